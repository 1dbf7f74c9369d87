// The rules of the filter, each said three ways: for nft, for ebtables, and as tests on the bytes of a frame.
import {type Ipv4, ipv4Value, type Mac} from '../../wire/address.ts'
import {type Ipv6, ipv6Bytes, solicitedNode} from '../../wire/ipv6-address.ts'
import type {FhrpGroup} from './fhrp.ts'
import type {FilterIntent} from './intent.ts'

/** One comparison in a frame whose 802.1Q tag, if any, has been taken off. */
export interface ByteTest {
  /** From the Ethernet destination address on. */
  readonly offset: number
  readonly size: 1 | 2 | 4
  /** All bits, if nothing is said. */
  readonly mask?: number
  readonly value: number
}

/** Frames that are dropped at the inter-site port, in both directions. */
export interface FilterRule {
  /** For people; also the comment in the kernel. */
  readonly comment: string
  /** The match, in terms of the sets of {@link filterSets}. */
  readonly nft: string
  /** A frame is dropped if all tests of any of these hold. */
  readonly frames: readonly (readonly ByteTest[])[]
  /** Arguments of ebtables(8), a rule each. */
  readonly ebtables: readonly string[]
}

/** A named set that the nft rules look into. Never empty. */
export interface FilterSet {
  readonly name: string
  readonly type: string
  readonly elements: readonly string[]
}

const u8 = (offset: number, value: number): ByteTest => ({offset, size: 1, value})
const u16 = (offset: number, value: number): ByteTest => ({offset, size: 2, value})
const u32 = (offset: number, value: number): ByteTest => ({offset, size: 4, value: value >>> 0})

const ARP = u16(12, 0x0806)
const IP4 = u16(12, 0x0800)
const IP6 = u16(12, 0x86dd)
/** ARP sender and target address, IPv6 source and destination, target of a neighbour message: offsets in the frame. */
const AT = {arpSender: 28, arpTarget: 38, ip4Destination: 30, ip6Source: 22, ip6Destination: 38, ndTarget: 62} as const

const is4 = (offset: number, ip: Ipv4): ByteTest => u32(offset, ipv4Value(ip))

function is6(offset: number, ip: Ipv6): ByteTest[] {
  const bytes = Buffer.from(ipv6Bytes(ip))
  return [0, 4, 8, 12].map((at) => u32(offset + at, bytes.readUInt32BE(at)))
}

/** ICMPv6 (58) right behind the IPv6 header, as neighbour discovery always is in practice. */
const icmp6 = (type: number): ByteTest[] => [IP6, u8(20, 58), u8(54, type)]
/** Where the payload begins, of IPv4 without options and of IPv6. */
const IP4_PAYLOAD = 34
const IP6_PAYLOAD = 54
/** UDP behind an IPv4 header without options, as hellos are. */
const udp4 = (to: Ipv4, port: number): ByteTest[] => [IP4, is4(AT.ip4Destination, to), u8(23, 17), u16(36, port)]

function macTests(at: 0 | 6, mac: Mac, mask: Mac = 'ff:ff:ff:ff:ff:ff'): ByteTest[] {
  const [value, care] = [mac, mask].map((text) => Buffer.from(text.replaceAll(':', ''), 'hex'))
  return [
    {offset: at, size: 2, mask: care!.readUInt16BE(0), value: value!.readUInt16BE(0)},
    {offset: at + 2, size: 4, mask: care!.readUInt32BE(2), value: value!.readUInt32BE(2)},
  ]
}

/** The sets that the rules of this intent need. */
export function filterSets({ports, untagged, gw4, gw6, macs, routers}: FilterIntent): FilterSet[] {
  const names = (of: readonly string[]): string[] => of.map((port) => `"${port}"`)
  const raw = (ip: Ipv6): string => `0x${Buffer.from(ipv6Bytes(ip)).toString('hex')}`
  const sets = [
    {name: 'dci', type: 'type ifname', elements: names(ports.filter((port) => !untagged.includes(port)))},
    {name: 'untagged', type: 'type ifname', elements: names(untagged)},
    {name: 'gw4', type: 'type ipv4_addr', elements: gw4},
    {name: 'gw6', type: 'type ipv6_addr', elements: gw6},
    {name: 'gw6raw', type: 'typeof @th,64,128', elements: gw6.map(raw)},
    {name: 'gwmac', type: 'type ether_addr', elements: macs},
    {name: 'routers', type: 'type ether_addr', elements: routers},
  ]
  return sets.filter(({elements}) => elements.length > 0)
}

/** The rules of an intent, in the order in which frames meet them. */
export function filterRules({gw4, gw6, ipv6, macs, routers, groups}: FilterIntent): FilterRule[] {
  const hellos = HELLOS.filter(({family}) => ipv6 || family === 'ip')
  return [
    ...(gw4.length > 0 ? arpRules(gw4) : []),
    ...(gw6.length > 0 ? neighbourRules(gw6) : []),
    ...(ipv6 ? [ROUTER_RULE] : []),
    ...(routers.length > 0 ? hellos.map((hello) => helloOfRouter(hello, routers)) : []),
    ...hellos.flatMap((hello) => helloOfGroup(hello, groups)),
    ...groups.map(virtualMacRule),
    ...(macs.length > 0 ? macRules(macs) : []),
  ]
}

/** "meta protocol", never "ether type": it holds for 802.1Q-tagged frames too. */
function arpRules(gw4: readonly Ipv4[]): FilterRule[] {
  return [
    {
      comment: 'ARP that asks for a gateway, or announces it',
      nft: 'meta protocol arp arp daddr ip @gw4',
      frames: gw4.map((ip) => [ARP, is4(AT.arpTarget, ip)]),
      ebtables: gw4.map((ip) => `-p ARP --arp-ip-dst ${ip}`),
    },
    {
      comment: 'ARP that comes from a gateway',
      nft: 'meta protocol arp arp saddr ip @gw4',
      frames: gw4.map((ip) => [ARP, is4(AT.arpSender, ip)]),
      ebtables: gw4.map((ip) => `-p ARP --arp-ip-src ${ip}`),
    },
  ]
}

/** RFC 4861: the target is bytes 8 to 23 of a solicitation (135) and of an advertisement (136). */
function neighbourRules(gw6: readonly Ipv6[]): FilterRule[] {
  const types = ['neighbour-solicitation', 'neighbour-advertisement']
  const ebtables = (match: string, type: string): string =>
    `-p IPv6 ${match} --ip6-proto ipv6-icmp --ip6-icmp-type ${type}`
  return [
    {
      comment: 'neighbour messages about a gateway',
      nft: 'meta protocol ip6 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } @th,64,128 @gw6raw',
      frames: gw6.flatMap((ip) => [135, 136].map((type) => [...icmp6(type), ...is6(AT.ndTarget, ip)])),
      // It cannot look at the target: what asks for the gateway goes to its group, or to itself.
      ebtables: gw6.flatMap((ip) => [
        ...[solicitedNode(ip), ip].map((to) => ebtables(`--ip6-dst ${to}`, types[0]!)),
        ...types.map((type) => ebtables(`--ip6-src ${ip}`, type)),
      ]),
    },
    {
      comment: 'neighbour solicitations of a gateway',
      nft: 'meta protocol ip6 icmpv6 type nd-neighbor-solicit ip6 saddr @gw6',
      frames: gw6.map((ip) => [...icmp6(135), ...is6(AT.ip6Source, ip)]),
      ebtables: [],
    },
  ]
}

const ROUTER_RULE: FilterRule = {
  comment: 'router advertisements and redirects',
  nft: 'meta protocol ip6 icmpv6 type { nd-router-advert, nd-redirect }',
  frames: [icmp6(134), icmp6(137)],
  ebtables: ['router-advertisement', 'redirect'].map((type) => `-p IPv6 --ip6-proto ipv6-icmp --ip6-icmp-type ${type}`),
}

/** What the routers of a redundancy protocol say to each other, and where it carries the number of their group. */
interface Hello {
  readonly name: string
  readonly protocol: FhrpGroup['protocol']
  /** What stands behind `meta protocol ... `. */
  readonly family: 'ip' | 'ip6'
  readonly nft: string
  readonly tests: readonly ByteTest[]
  readonly ebtables: string
  /** Offset from the transport header in bytes, and size. */
  readonly group: {readonly at: number; readonly size: 1 | 2}
}

/**
 * VRRP and CARP: RFC 5798 section 5.2, the group in byte 1. HSRP version 1: RFC 2281 section 5, byte 6. Its version 2 and
 * GLBP: as Wireshark reads them (packet-hsrp.c, packet-glbp.c), bytes 6 and 7, bytes 2 and 3. All but VRRP behind 8 bytes
 * of UDP.
 */
const HELLOS: readonly Hello[] = [
  {
    ...{name: 'VRRP and CARP hellos', protocol: 'VRRP', family: 'ip'},
    nft: 'ip daddr 224.0.0.18 ip protocol 112',
    tests: [IP4, is4(AT.ip4Destination, '224.0.0.18'), u8(23, 112)],
    ebtables: '-p IPv4 --ip-dst 224.0.0.18 --ip-proto 112',
    group: {at: 1, size: 1},
  },
  hello4('HSRP hellos', 'HSRP', {to: '224.0.0.2', port: 1985, group: {at: 14, size: 1}}),
  hello4('HSRP version 2 hellos', 'HSRP version 2', {to: '224.0.0.102', port: 1985, group: {at: 14, size: 2}}),
  hello4('GLBP hellos', 'GLBP', {to: '224.0.0.102', port: 3222, group: {at: 10, size: 2}}),
  {
    ...{name: 'VRRP hellos over IPv6', protocol: 'VRRP', family: 'ip6'},
    nft: 'ip6 daddr ff02::12 meta l4proto 112',
    tests: [IP6, u8(20, 112), ...is6(AT.ip6Destination, 'ff02::12')],
    ebtables: '-p IPv6 --ip6-dst ff02::12 --ip6-proto 112',
    group: {at: 1, size: 1},
  },
  {
    ...{name: 'HSRP hellos over IPv6', protocol: 'HSRP version 2', family: 'ip6'},
    nft: 'ip6 daddr ff02::66 udp dport 2029',
    tests: [IP6, u8(20, 17), ...is6(AT.ip6Destination, 'ff02::66'), u16(56, 2029)],
    ebtables: '-p IPv6 --ip6-dst ff02::66 --ip6-proto udp --ip6-dport 2029',
    group: {at: 14, size: 2},
  },
]

function hello4(
  name: string,
  protocol: FhrpGroup['protocol'],
  {to, port, group}: {to: Ipv4; port: number; group: Hello['group']},
): Hello {
  const ebtables = `-p IPv4 --ip-dst ${to} --ip-proto udp --ip-dport ${port}`
  return {
    ...{name, protocol, group, ebtables, family: 'ip'},
    nft: `ip daddr ${to} udp dport ${port}`,
    tests: udp4(to, port),
  }
}

/** A hello that a gateway sends from its own MAC is of the gateways, whatever its group. */
const helloOfRouter = ({name, family, nft, tests, ebtables}: Hello, routers: readonly Mac[]): FilterRule => ({
  comment: `${name} of a gateway`,
  nft: `meta protocol ${family} ether saddr @routers ${nft}`,
  frames: routers.map((mac) => [...tests, ...macTests(6, mac)]),
  ebtables: routers.map((mac) => `${ebtables} -s ${mac}`),
})

/** ebtables cannot read the group. What comes from its virtual MAC is dropped all the same. */
function helloOfGroup({name, protocol, family, nft, tests, group}: Hello, groups: readonly FhrpGroup[]): FilterRule[] {
  const numbers = groups.filter((each) => each.protocol === protocol).map((each) => each.group)
  if (numbers.length === 0) return []
  const offset = (family === 'ip' ? IP4_PAYLOAD : IP6_PAYLOAD) + group.at
  return [
    {
      comment: `${name} of group ${numbers.join(', ')}`,
      nft: `meta protocol ${family} ${nft} @th,${8 * group.at},${8 * group.size} { ${numbers.join(', ')} }`,
      frames: numbers.map((value) => [...tests, {offset, size: group.size, value}]),
      ebtables: [],
    },
  ]
}

/** Never learn at one site that the other has the virtual MAC: whatever carries it as its source stays. */
const virtualMacRule = ({protocol, group, macs}: FhrpGroup): FilterRule => ({
  comment: `frames from a virtual MAC of ${protocol} group ${group}`,
  nft: `ether saddr ${macSet(macs)}`,
  frames: macs.map(({value, mask}) => macTests(6, value, mask)),
  ebtables: macs.map(({value, mask}) => `-s ${value}/${mask}`),
})

/** All of one mask: a group of GLBP has one range, every other exact MACs. */
const macSet = ([first, ...others]: FhrpGroup['macs']): string =>
  others.length > 0 || first!.mask === 'ff:ff:ff:ff:ff:ff'
    ? `{ ${[first!, ...others].map(({value}) => value).join(', ')} }`
    : `& ${first!.mask} == ${first!.value}`

function macRules(macs: readonly Mac[]): FilterRule[] {
  return [
    {
      comment: "frames from a gateway's MAC",
      nft: 'ether saddr @gwmac',
      frames: macs.map((mac) => macTests(6, mac)),
      ebtables: macs.map((mac) => `-s ${mac}`),
    },
    {
      comment: "frames to a gateway's MAC",
      nft: 'ether daddr @gwmac',
      frames: macs.map((mac) => macTests(0, mac)),
      ebtables: macs.map((mac) => `-d ${mac}`),
    },
  ]
}
