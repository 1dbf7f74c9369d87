// A world whose links write down every frame that passes, for --pcap.

import type {World} from '../world.ts'
import type {Link} from './link.ts'
import {createPcapWriter, type PcapWriter} from './pcap-file.ts'

/**
 * The same world, with every frame that its links send or receive in `file`, which is there from the first link on. Close
 * it to be sure all is written. Opening a link throws Failure `runtime` if the file cannot be written.
 */
export function recordingWorld(world: World, file: string): {world: World; close(): void} {
  let opened: PcapWriter | undefined
  const record = (link: Link, writer: PcapWriter): Link => {
    link.onFrame(({bytes, timestampNs}) => writer.write(timestampNs, bytes))
    return {
      ...link,
      send(frame) {
        const at = link.send(frame)
        writer.write(at, frame)
        return at
      },
      sendMany(frames) {
        const sent = link.sendMany(frames)
        for (const frame of frames.slice(0, sent)) writer.write(world.now(), frame)
        return sent
      },
    }
  }
  return {
    world: {
      ...world,
      async openLink(name, options) {
        opened ??= createPcapWriter(file)
        return record(await world.openLink(name, options), opened)
      },
    },
    close: () => opened?.close(),
  }
}
