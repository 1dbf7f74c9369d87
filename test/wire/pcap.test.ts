import {describe, expect, it} from 'vitest'
import {parsePcap, pcapHeader, pcapRecord, serializePcap} from '../../src/wire/pcap.ts'
import {captureFile} from '../support/captures.ts'
import {describeCodec} from '../support/codec-harness.ts'
import {anyPcap} from '../support/wire-values.ts'

const captures = ['arping', 'vlan', 'offload', 'udhcpc']

describeCodec({
  name: 'pcap',
  // What is left of a file that breaks off is written without the break.
  parse(bytes) {
    const {truncatedAt: _, ...pcap} = parsePcap(bytes)
    return pcap
  },
  serialize: serializePcap,
  golden: captures.map((name) => ({name, bytes: captureFile(name)})),
  arbitrary: anyPcap,
  minimum: 24,
})

describe('pcap', () => {
  const file = captureFile('arping')

  it('reads both resolutions that tcpdump writes', () => {
    expect(parsePcap(file)).toMatchObject({resolution: 'microseconds', byteOrder: 'little', snapLength: 262_144})
    expect(parsePcap(captureFile('vlan'))).toMatchObject({resolution: 'nanoseconds'})
    const [first, second] = parsePcap(captureFile('vlan')).frames
    expect(second!.timestamp - first!.timestamp).toBeGreaterThan(0n)
    expect(first!.timestamp % 1000n === 0n && second!.timestamp % 1000n === 0n).toBe(false)
  })

  it('says where a file breaks off, and keeps the frames before it', () => {
    const whole = parsePcap(file)
    expect(whole.truncatedAt).toBeUndefined()
    const last = file.length - 16 - whole.frames.at(-1)!.bytes.length
    for (const length of [last + 1, last + 16, file.length - 1]) {
      const cut = parsePcap(file.slice(0, length))
      expect(cut.truncatedAt).toBe(last)
      expect(cut.frames).toEqual(whole.frames.slice(0, -1))
    }
    expect(parsePcap(file.slice(0, last)).truncatedAt).toBeUndefined()
  })

  it('keeps the original length of frames that the capture cut', () => {
    const frame = {timestamp: 1n, bytes: Uint8Array.of(1, 2, 3), originalLength: 1500}
    expect(parsePcap(Uint8Array.of(...pcapHeader(), ...pcapRecord(frame))).frames).toEqual([frame])
  })

  it('appends record by record what it would write at once', () => {
    const pcap = parsePcap(file)
    const parts = [pcapHeader(pcap), ...pcap.frames.map((frame) => pcapRecord(frame, pcap))]
    expect(Uint8Array.from(Buffer.concat(parts))).toEqual(file)
  })

  it.each([
    ['pcapng', 0, [0x0a, 0x0d, 0x0d, 0x0a], 'unsupported', 0],
    ['another version', 4, [3], 'unsupported', 4],
    ['local time', 8, [1], 'unsupported', 8],
    ['another link type', 20, [113], 'unsupported', 20],
    ['more than a second of microseconds', 28, [0x40, 0x42, 0x0f, 0], 'malformed', 28],
    ['a frame longer than there are', 32, [0, 0, 5, 0], 'malformed', 32],
  ])('refuses %s', (_what, at, bytes, reason, offset) => {
    const changed = file.slice()
    changed.set(bytes, at)
    expect(() => parsePcap(changed)).toThrow(expect.objectContaining({layer: 'pcap', reason, offset}))
  })

  it.each([
    ['before 1970', {timestamp: -1n}],
    ['after 2106', {timestamp: 2n ** 32n * 1_000_000_000n}],
    ['too long', {bytes: new Uint8Array(262_145)}],
  ])('has no bytes for a frame %s', (_what, change) => {
    const frame = {timestamp: 0n, bytes: new Uint8Array(1), originalLength: 1, ...change}
    expect(() => pcapRecord(frame)).toThrow(expect.objectContaining({reason: 'out-of-range'}))
  })
})
