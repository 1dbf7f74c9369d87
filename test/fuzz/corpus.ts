// Valid inputs: what real programs sent (test/captures), and one of everything that we build.
import {globSync} from 'node:fs'
import {basename} from 'node:path'
import {captureFrames} from '../support/captures.ts'
import {SAMPLE_FRAMES} from '../support/sample-frames.ts'

/** Frames of which one byte is another say nothing new to a fuzzer: that many of a capture. */
const OF_EACH = 40

const names = globSync('*.pcap', {cwd: new URL('../captures', import.meta.url).pathname}).map((file) =>
  basename(file, '.pcap'),
)

/** Ethernet frames. */
export const FRAMES: readonly Uint8Array[] = [
  ...names.toSorted().flatMap((name) =>
    captureFrames(name)
      .slice(0, OF_EACH)
      .map(({bytes}) => bytes),
  ),
  ...SAMPLE_FRAMES.map(({bytes}) => bytes),
]

/** One layer of every frame that has it. */
export const partsOf = (layer: (frame: Uint8Array) => Uint8Array | undefined): readonly Uint8Array[] =>
  FRAMES.flatMap((frame) => layer(frame) ?? [])
