// Arbitrary packets: everything that the types of src/wire can say, for round trips through the codecs.
import fc from 'fast-check'
import type {Arp} from '../../src/wire/arp.ts'
import type {Dhcp} from '../../src/wire/dhcp.ts'
import type {DhcpOption} from '../../src/wire/dhcp-options.ts'
import type {Ethernet, Vlan} from '../../src/wire/ethernet.ts'
import type {Icmp} from '../../src/wire/icmp.ts'
import {type IcmpExtension, INTERFACE_ROLES} from '../../src/wire/icmp-extensions.ts'
import {type Ipv4Header, type Ipv4Packet, ipv4Length} from '../../src/wire/ipv4.ts'
import type {CapturedFrame, Pcap} from '../../src/wire/pcap.ts'
import type {Quoted} from '../../src/wire/quote.ts'
import type {Tcp} from '../../src/wire/tcp.ts'
import type {Udp} from '../../src/wire/udp.ts'
import {arbitrary} from './codec-harness.ts'

const {bytes, ipv4, mac, u8, u16, u32, words} = arbitrary

export const anyArp: fc.Arbitrary<Arp> = fc.record({
  operation: u16,
  senderMac: mac,
  senderIp: ipv4,
  targetMac: mac,
  targetIp: ipv4,
})

const vlan: fc.Arbitrary<Vlan> = fc.record({
  id: fc.nat(0xfff),
  priority: fc.nat(7),
  dropEligible: fc.boolean(),
})

const etherType = fc.integer({min: 0x0600, max: 0xffff}).filter((type) => type !== 0x8100)

export const anyEthernet: fc.Arbitrary<Ethernet> = fc.oneof(
  fc.record({destination: mac, source: mac, etherType, payload: bytes(80)}),
  fc.record({destination: mac, source: mac, vlan, etherType, payload: bytes(80)}),
)

export const anyIpv4Header: fc.Arbitrary<Ipv4Header> = fc.record({
  dscp: fc.nat(63),
  ecn: fc.nat(3),
  identification: u16,
  dontFragment: fc.boolean(),
  moreFragments: fc.boolean(),
  fragmentOffset: fc.nat(0x1fff),
  ttl: u8,
  protocol: u8,
  source: ipv4,
  destination: ipv4,
  options: words(10),
})

export const anyIpv4: fc.Arbitrary<Ipv4Packet> = fc
  .tuple(anyIpv4Header, bytes(80))
  .map(([header, payload]) => ({...header, payload}))

export const anyUdp: fc.Arbitrary<Udp> = fc.record({sourcePort: u16, destinationPort: u16, payload: bytes(80)})

export const anyTcp: fc.Arbitrary<Tcp> = fc.record({
  sourcePort: u16,
  destinationPort: u16,
  sequence: u32,
  acknowledgment: u32,
  flags: fc.nat(0xfff),
  window: u16,
  urgentPointer: u16,
  options: words(10),
  payload: bytes(40),
})

/** A quoted packet, cut or not. */
const anyQuoted: fc.Arbitrary<Quoted> = fc.oneof(
  fc.tuple(anyIpv4Header, bytes(60), u16, u16).map(([header, payload, totalLength, headerChecksum]) => ({
    header: {...header, totalLength, headerChecksum},
    payload,
  })),
  // Too short for a header, or of another version.
  bytes(19).map((payload) => ({payload})),
  bytes(60).map((payload) => ({payload: Uint8Array.of(0x60, ...payload)})),
)

/** A quoted packet that an extension structure can follow: one that says where it ends, or needs no filling. */
const anyFilledQuoted: fc.Arbitrary<Quoted> = fc.oneof(
  fc.tuple(anyIpv4Header, bytes(200), u16).map(([header, payload, headerChecksum]) => {
    const totalLength = ipv4Length(header) + payload.length
    return {header: {...header, totalLength, headerChecksum}, payload}
  }),
  words(10).map((payload) => ({payload: Uint8Array.of(...new Uint8Array(128).fill(0x60), ...payload)})),
)

const name = fc
  .oneof(fc.string({maxLength: 63}), fc.string({maxLength: 15, unit: 'grapheme'}))
  .filter((text) => !text.includes('\0') && Buffer.byteLength(text) <= 63)

export const anyExtension: fc.Arbitrary<IcmpExtension> = fc.oneof(
  fc.record({
    kind: fc.constant('mpls' as const),
    labels: fc.array(
      fc.record({label: fc.nat(0xf_ffff), trafficClass: fc.nat(7), bottomOfStack: fc.boolean(), ttl: u8}),
      {maxLength: 5},
    ),
  }),
  fc.record(
    {
      kind: fc.constant('interface' as const),
      role: fc.constantFrom(...INTERFACE_ROLES),
      index: u32,
      address: ipv4,
      name,
      mtu: u32,
    },
    {requiredKeys: ['kind', 'role']},
  ),
  fc.record({
    kind: fc.constant('unknown' as const),
    classNumber: fc.integer({min: 3, max: 0xff}),
    classType: u8,
    data: words(6),
  }),
)

const extensions = fc.array(anyExtension, {minLength: 1, maxLength: 4})
const quoting = fc.oneof(
  fc.record({quoted: anyQuoted, extensions: fc.constant([])}),
  fc.record({quoted: anyFilledQuoted, extensions}),
)
const otherType = fc
  .tuple(u8, u8)
  .filter(([type, code]) => ![3, 5, 11].includes(type) && !([0, 8].includes(type) && code === 0))

export const anyIcmp: fc.Arbitrary<Icmp> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('echo-request' as const, 'echo-reply' as const),
    identifier: u16,
    sequence: u16,
    payload: bytes(80),
  }),
  fc.tuple(u8, quoting).map(([code, body]) => ({kind: 'time-exceeded' as const, code, ...body})),
  fc.tuple(u8, quoting, u16).map(([code, body, nextHopMtu]) => ({
    kind: 'destination-unreachable' as const,
    code,
    ...body,
    ...(code === 4 && {nextHopMtu}),
  })),
  fc.tuple(quoting, u16).map(([body, nextHopMtu]) => ({
    kind: 'destination-unreachable' as const,
    code: 4,
    ...body,
    nextHopMtu,
  })),
  fc.record({kind: fc.constant('redirect' as const), code: u8, gateway: ipv4, quoted: anyQuoted}),
  fc.tuple(otherType, bytes(40, 4)).map(([[type, code], rest]) => ({kind: 'other' as const, type, code, rest})),
)

const latin1 = (maxLength: number): fc.Arbitrary<string> =>
  fc.array(fc.integer({min: 1, max: 0xff}), {maxLength}).map((codes) => String.fromCharCode(...codes))

const chaddr = fc.oneof(
  mac,
  fc
    .uint8Array({maxLength: 16})
    .map((data) => Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join(':')),
)

/** Codes of options but 0 and 255 (no options), 52 (said otherwise) and 82 (always last). */
const code = fc.integer({min: 1, max: 254}).filter((value) => value !== 52 && value !== 82)

const optionsOf = (maxOptions: number, maxLength: number, field?: 'file' | 'sname'): fc.Arbitrary<DhcpOption[]> =>
  fc.uniqueArray(
    fc.record({code, data: bytes(maxLength)}).map((option) => (field ? {...option, field} : option)),
    {maxLength: maxOptions, selector: (option) => option.code},
  )

const header = {
  op: u8,
  htype: u8,
  hops: u8,
  xid: u32,
  secs: u16,
  flags: u16,
  ciaddr: ipv4,
  yiaddr: ipv4,
  siaddr: ipv4,
  giaddr: ipv4,
  chaddr,
}

/** Some with options longer than 255 bytes, some with option 82, some with options in `file` and `sname`. */
export const anyDhcp: fc.Arbitrary<Dhcp> = fc.oneof(
  fc
    .record({...header, sname: latin1(64), file: latin1(128), options: optionsOf(8, 300), relay: fc.option(bytes(40))})
    .map(({relay, options, ...rest}) => ({
      ...rest,
      options: relay ? [...options, {code: 82, data: relay}] : options,
    })),
  fc
    .record({...header, plain: optionsOf(4, 20), file: optionsOf(3, 30, 'file'), sname: optionsOf(2, 20, 'sname')})
    .map(({plain, file, sname, ...rest}) => {
      const all = [...plain, ...file, ...sname]
      const options = all.filter((option, i) => all.findIndex((other) => other.code === option.code) === i)
      const uses = (field: string) => options.some((option) => option.field === field)
      const bits = (uses('file') ? 1 : 0) + (uses('sname') ? 2 : 0)
      const overload = {code: 52, data: Uint8Array.of(bits)}
      const at = options.findIndex(({field}) => field)
      return {...rest, sname: '', file: '', options: bits > 0 ? options.toSpliced(at, 0, overload) : options}
    }),
)

/** Timestamps that both resolutions can say. */
const capturedFrame: fc.Arbitrary<CapturedFrame> = fc.record({
  timestamp: fc
    .tuple(u32, fc.nat(999_999))
    .map(([seconds, micro]) => BigInt(seconds) * 1_000_000_000n + BigInt(micro * 1000)),
  bytes: bytes(100),
  originalLength: u32,
})

export const anyPcap: fc.Arbitrary<Pcap> = fc.record({
  resolution: fc.constantFrom('microseconds' as const, 'nanoseconds' as const),
  byteOrder: fc.constantFrom('little' as const, 'big' as const),
  snapLength: u32,
  frames: fc.array(capturedFrame, {maxLength: 5}),
})
