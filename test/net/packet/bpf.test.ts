// What a filter lets through, by a machine of our own: a kernel is asked in link.test.ts.
import {describe, expect, it} from 'vitest'
import {
  ANNOUNCEMENTS,
  anyOf,
  encodeFilter,
  etherType,
  type Instruction,
  ipProtocol,
  macTests,
} from '../../../src/net/packet/bpf.ts'
import {vmFilter} from '../../../src/probe/vm-watch.ts'
import {dhcpFilter} from '../../../src/strategies/dhcp/client-watch.ts'
import {parseEthernetHeader} from '../../../src/wire/ethernet.ts'
import {accepts} from '../../support/bpf-machine.ts'
import {captureFrames, ipPayloadOf, payloadOf, udpPayloadOf} from '../../support/captures.ts'

const VM = '02:00:00:00:00:10'
const FRAMES = ['arping', 'ping', 'traceroute', 'dhcpcd', 'neighbour'].flatMap((name) =>
  captureFrames(name).map(({bytes}) => bytes),
)
const fromVm = (frame: Uint8Array): boolean => parseEthernetHeader(frame).source === VM
const isArp = (frame: Uint8Array): boolean => payloadOf(frame, 0x0806) !== undefined

describe.each<[string, readonly Instruction[], (frame: Uint8Array) => boolean]>([
  ['nothing', anyOf([]), () => false],
  ['one clause of one test', anyOf([[etherType(0x0806)]]), isArp],
  ['all tests of a clause', anyOf([[etherType(0x0806), ...macTests('source', VM)]]), (f) => isArp(f) && fromVm(f)],
  [
    'what announces a station',
    ANNOUNCEMENTS,
    (frame) => {
      const arp = payloadOf(frame, 0x0806)
      return arp !== undefined && Buffer.compare(arp.subarray(14, 18), arp.subarray(24, 28)) === 0
    },
  ],
  [
    'any of several clauses',
    anyOf([[etherType(0x0806)], [etherType(0x0800), ipProtocol(17)]]),
    (frame) => isArp(frame) || payloadOf(frame, 0x0800)?.[9] === 17,
  ],
  ['a test under a mask', anyOf([[{offset: 0, size: 1, mask: 1, value: 1}]]), (frame) => (frame[0]! & 1) === 1],
  [
    'what is looked for of a VM',
    vmFilter({mac: VM}, false),
    (f) => fromVm(f) && (isArp(f) || payloadOf(f, 0x86dd) !== undefined || payloadOf(f, 0x0800)?.[9] === 1),
  ],
  [
    'DHCP of anybody, and ARP and ICMP of a client',
    dhcpFilter([VM]),
    (f) =>
      [67, 68].some(
        (port) =>
          udpPayloadOf(f, port) !== undefined && payloadOf(f, 0x0800)![22] === 0 && payloadOf(f, 0x0800)![23] === port,
      ) ||
      (fromVm(f) && (isArp(f) || ipPayloadOf(f, 1) !== undefined || payloadOf(f, 0x0800)?.[9] === 1)),
  ],
])('a filter for %s', (name, program, wanted) => {
  it('lets that through and nothing else', () => {
    const passed = FRAMES.filter((frame) => accepts(program, frame))
    expect(passed).toEqual(FRAMES.filter(wanted))
    if (name !== 'nothing') expect(passed.length).toBeGreaterThan(0)
    expect(passed.length).toBeLessThan(FRAMES.length)
  })

  it('is laid out as the kernel takes it', () => {
    const bytes = encodeFilter(program)
    const back = program.map((_, i) => [
      bytes.readUInt16LE(i * 8),
      bytes[i * 8 + 2],
      bytes[i * 8 + 3],
      bytes.readUInt32LE(i * 8 + 4),
    ])
    expect(back).toEqual(program)
  })
})
