// A world whose links write down every frame that passes, for --pcap.

import type {World} from '../world.ts'
import type {Link} from './link.ts'
import {createPcapWriter} from './pcap-file.ts'

/** The same world, with every frame that its links send or receive in `file`. Close it to be sure all is written. */
export function recordingWorld(world: World, file: string): {world: World; close(): void} {
  const writer = createPcapWriter(file)
  const record = (link: Link): Link => {
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
    world: {...world, openLink: async (name, options) => record(await world.openLink(name, options))},
    close: () => writer.close(),
  }
}
