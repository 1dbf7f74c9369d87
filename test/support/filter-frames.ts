// Frames that a site filter must hold back, and frames that it must let pass. The gateway has 10.1.0.254, fe80::1 and
// 2001:db8:1::1 at both sites, its routers 10.1.0.252 and .253 beside it.
import {BROADCAST, type Mac, ZERO_MAC} from '../../src/wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, type Arp, RARP_REQUEST} from '../../src/wire/arp.ts'
import {ETHERTYPE_RARP, type Vlan} from '../../src/wire/ethernet.ts'
import {arpFrame, icmpFrame, tcpFrame, udpFrame} from '../../src/wire/frames.ts'
import {type Icmpv6, icmpv6Frame} from '../../src/wire/icmpv6.ts'
import {type Ipv6, multicastMac, solicitedNode} from '../../src/wire/ipv6-address.ts'
import {NO_BYTES} from '../../src/wire/memory.ts'
import type {NdOption} from '../../src/wire/nd-options.ts'
import {TCP_SYN} from '../../src/wire/tcp.ts'

export const GATEWAY = {
  ip: '10.1.0.254',
  linkLocal: 'fe80::1',
  global: '2001:db8:1::1',
  mac: '02:00:00:00:0a:02',
} as const
export const VM = {ip: '10.1.0.10', ip6: '2001:db8:1::10', mac: '02:00:00:00:01:10'} as const
const PEER = {ip: '10.1.0.77', ip6: '2001:db8:1::77', mac: '02:00:00:00:01:77'} as const
export const OWN_IP = '10.1.0.252'
export const VLAN: Vlan = {id: 100, priority: 0, dropEligible: false}

export interface TestFrame {
  readonly name: string
  readonly bytes: Uint8Array
  /** Why the ebtables form lets it pass all the same. */
  readonly ebtablesLeak?: string
}

/** The frame with this tag, or none, in place of the one that it may have. */
export function retagged(bytes: Uint8Array, id: number | undefined): Uint8Array {
  const bare = bytes[12] === 0x81 && bytes[13] === 0 ? [...bytes.subarray(0, 12), ...bytes.subarray(16)] : [...bytes]
  const tag = id === undefined ? [] : [0x81, 0, id >> 8, id & 0xff]
  return Uint8Array.from([...bare.slice(0, 12), ...tag, ...bare.slice(12)])
}

export const FILTER_INVENTORY = `
version: 1
sites: {x: {}, y: {}}
segments:
  tenant-b:
    prefix: 10.1.0.0/24
    gateways:
      - { name: bx, site: x, ip: ${GATEWAY.ip}, mac: "${GATEWAY.mac}", ip6: ["${GATEWAY.linkLocal}", "${GATEWAY.global}"], ownIp: ${OWN_IP} }
      - { name: by, site: y, ip: ${GATEWAY.ip}, mac: "02:00:00:00:0b:02", ip6: ["${GATEWAY.linkLocal}", "${GATEWAY.global}"], ownIp: 10.1.0.253 }
vms:
  db-03: { segment: tenant-b, ip: ${VM.ip}, mac: "${VM.mac}", ip6: ["${VM.ip6}"] }
`

export const tagged = (vlan: Vlan | undefined) => (vlan ? {vlan} : {})
const arp = (destination: Mac, packet: Partial<Arp>, vlan?: Vlan, etherType?: number): Uint8Array => {
  const full = {
    operation: ARP_REQUEST,
    senderMac: VM.mac,
    senderIp: VM.ip,
    targetMac: ZERO_MAC,
    targetIp: GATEWAY.ip,
    ...packet,
  }
  return arpFrame({destination, source: full.senderMac, ...tagged(vlan)}, full, etherType)
}
/** An ARP packet that speaks for the gateway. */
const claim = (destination: Mac, packet: Partial<Arp>, vlan?: Vlan): Uint8Array =>
  arp(destination, {senderMac: GATEWAY.mac, senderIp: GATEWAY.ip, ...packet}, vlan)

interface Ends {
  readonly mac: Mac
  readonly source: Ipv6
  readonly to: Ipv6
  readonly toMac?: Mac
  readonly vlan?: Vlan
}
const nd = ({mac, source, to, toMac = multicastMac(to), vlan}: Ends, message: Icmpv6): Uint8Array =>
  icmpv6Frame({destination: toMac, source: mac, ...tagged(vlan)}, {source, destination: to}, message)
const sourceOption = (mac: Mac): NdOption[] => [{kind: 'source-link-layer-address', mac}]
const solicit = (target: Ipv6, mac: Mac): Icmpv6 => ({
  kind: 'neighbour-solicitation',
  target,
  options: sourceOption(mac),
})
const advertise = (target: Ipv6, mac: Mac): Icmpv6 => ({
  kind: 'neighbour-advertisement',
  router: true,
  solicited: false,
  override: true,
  target,
  options: [{kind: 'target-link-layer-address', mac}],
})
const routerAdvertisement = (lifetime: number): Icmpv6 => ({
  kind: 'router-advertisement',
  currentHopLimit: 64,
  managed: false,
  otherConfiguration: false,
  preference: 'medium',
  routerLifetime: lifetime,
  reachableTime: 0,
  retransmitTimer: 0,
  options: sourceOption(GATEWAY.mac),
})

export const TAGS = 'ebtables does not look behind an 802.1Q tag'
const TARGET = 'ebtables does not look at the target'

/** Held back, whichever way they go. */
export const MUST_DROP: readonly TestFrame[] = [
  {name: 'who-has gateway', bytes: arp(BROADCAST, {})},
  {name: 'who-has gateway, unicast to the old gateway', bytes: arp(GATEWAY.mac, {targetMac: GATEWAY.mac})},
  {name: 'ARP probe for the gateway', bytes: arp(BROADCAST, {senderIp: '0.0.0.0'})},
  {name: "gateway's reply", bytes: claim(VM.mac, {operation: ARP_REPLY, targetMac: VM.mac, targetIp: VM.ip})},
  {
    name: "gateway's reply, broadcast",
    bytes: claim(BROADCAST, {operation: ARP_REPLY, targetMac: VM.mac, targetIp: VM.ip}),
  },
  {name: 'gratuitous request', bytes: claim(BROADCAST, {})},
  {name: 'gratuitous request, target all ones', bytes: claim(BROADCAST, {targetMac: BROADCAST})},
  {name: 'gratuitous reply', bytes: claim(BROADCAST, {operation: ARP_REPLY, targetMac: GATEWAY.mac})},
  {name: 'unicast who-has VM tell gateway', bytes: claim(VM.mac, {targetIp: VM.ip})},
  {name: 'who-has VM tell gateway', bytes: claim(BROADCAST, {targetIp: VM.ip})},
  {name: 'tagged who-has gateway', bytes: arp(BROADCAST, {}, VLAN), ebtablesLeak: TAGS},
  {
    name: 'tagged gratuitous reply',
    bytes: claim(BROADCAST, {operation: ARP_REPLY, targetMac: GATEWAY.mac}, VLAN),
    ebtablesLeak: TAGS,
  },
  {name: 'tagged unicast who-has VM tell gateway', bytes: claim(VM.mac, {targetIp: VM.ip}, VLAN), ebtablesLeak: TAGS},
  {
    name: 'solicitation for the gateway',
    bytes: nd({mac: VM.mac, source: VM.ip6, to: solicitedNode(GATEWAY.global)}, solicit(GATEWAY.global, VM.mac)),
  },
  {
    name: 'solicitation for the gateway, link-local',
    bytes: nd({mac: VM.mac, source: VM.ip6, to: solicitedNode(GATEWAY.linkLocal)}, solicit(GATEWAY.linkLocal, VM.mac)),
  },
  {
    name: 'unicast solicitation for the gateway',
    bytes: nd(
      {mac: VM.mac, source: VM.ip6, to: GATEWAY.linkLocal, toMac: GATEWAY.mac},
      solicit(GATEWAY.linkLocal, VM.mac),
    ),
  },
  {
    name: 'solicitation of the gateway for a VM',
    bytes: nd({mac: GATEWAY.mac, source: GATEWAY.linkLocal, to: VM.ip6, toMac: VM.mac}, solicit(VM.ip6, GATEWAY.mac)),
  },
  {
    name: 'advertisement of the gateway',
    bytes: nd({mac: GATEWAY.mac, source: GATEWAY.linkLocal, to: 'ff02::1'}, advertise(GATEWAY.linkLocal, GATEWAY.mac)),
  },
  {
    name: "advertisement of the gateway from its router's own address",
    bytes: nd({mac: GATEWAY.mac, source: 'fe80::a:252', to: 'ff02::1'}, advertise(GATEWAY.global, GATEWAY.mac)),
    ebtablesLeak: TARGET,
  },
  {
    name: 'router advertisement',
    bytes: nd({mac: GATEWAY.mac, source: GATEWAY.linkLocal, to: 'ff02::1'}, routerAdvertisement(1800)),
  },
  {
    name: 'router advertisement that gives the router up',
    bytes: nd({mac: GATEWAY.mac, source: 'fe80::a:252', to: 'ff02::1'}, routerAdvertisement(0)),
  },
  {
    name: 'redirect',
    bytes: nd(
      {mac: GATEWAY.mac, source: GATEWAY.linkLocal, to: VM.ip6, toMac: VM.mac},
      {kind: 'redirect', target: 'fe80::b:253', destination: '2001:db8:9::1', options: []},
    ),
  },
  {
    name: 'tagged solicitation for the gateway',
    bytes: nd(
      {mac: VM.mac, source: VM.ip6, to: solicitedNode(GATEWAY.global), vlan: VLAN},
      solicit(GATEWAY.global, VM.mac),
    ),
    ebtablesLeak: TAGS,
  },
  {
    name: 'tagged router advertisement',
    bytes: nd({mac: GATEWAY.mac, source: GATEWAY.linkLocal, to: 'ff02::1', vlan: VLAN}, routerAdvertisement(1800)),
    ebtablesLeak: TAGS,
  },
]

const datagram = (port: number) => ({sourcePort: 40_000, destinationPort: port, payload: new Uint8Array(30)})
const echo = {kind: 'echo-request', identifier: 7, sequence: 1, payload: new Uint8Array(8)} as const

/** Let pass, whichever way they go. */
export const MUST_PASS: readonly TestFrame[] = [
  {name: 'who-has between VMs', bytes: arp(BROADCAST, {targetIp: PEER.ip})},
  {name: 'reply between VMs', bytes: arp(PEER.mac, {operation: ARP_REPLY, targetMac: PEER.mac, targetIp: PEER.ip})},
  {
    name: "who-has VM of a router's own address",
    bytes: arp(BROADCAST, {senderMac: GATEWAY.mac, senderIp: OWN_IP, targetIp: VM.ip}),
  },
  {name: 'tagged who-has between VMs', bytes: arp(BROADCAST, {targetIp: PEER.ip}, VLAN)},
  {
    name: "a resumed VM's RARP",
    bytes: arp(
      BROADCAST,
      {operation: RARP_REQUEST, senderIp: '0.0.0.0', targetMac: VM.mac, targetIp: '0.0.0.0'},
      undefined,
      ETHERTYPE_RARP,
    ),
  },
  {name: "a VM's own announcement", bytes: arp(BROADCAST, {targetIp: VM.ip})},
  {
    name: 'a packet that the gateway routes',
    bytes: icmpFrame({destination: VM.mac, source: GATEWAY.mac}, {source: '198.51.100.10', destination: VM.ip}, echo),
  },
  {
    name: 'a packet for the gateway to route',
    bytes: tcpFrame(
      {destination: GATEWAY.mac, source: VM.mac},
      {source: VM.ip, destination: '198.51.100.10'},
      {
        sourcePort: 40_000,
        destinationPort: 443,
        sequence: 1,
        acknowledgment: 0,
        flags: TCP_SYN,
        window: 1000,
        urgentPointer: 0,
        options: NO_BYTES,
        payload: NO_BYTES,
      },
    ),
  },
  {
    name: 'a ping of the gateway itself',
    bytes: icmpFrame({destination: GATEWAY.mac, source: VM.mac}, {source: VM.ip, destination: GATEWAY.ip}, echo),
  },
  {
    name: 'a datagram between VMs',
    bytes: udpFrame({destination: PEER.mac, source: VM.mac}, {source: VM.ip, destination: PEER.ip}, datagram(53)),
  },
  {
    name: 'a datagram between VMs to the HSRP port',
    bytes: udpFrame({destination: PEER.mac, source: VM.mac}, {source: VM.ip, destination: PEER.ip}, datagram(1985)),
  },
  {
    name: 'a tagged datagram',
    bytes: udpFrame(
      {destination: PEER.mac, source: VM.mac, vlan: VLAN},
      {source: VM.ip, destination: PEER.ip},
      datagram(54),
    ),
  },
  {
    name: 'a DHCP discover',
    bytes: udpFrame(
      {destination: BROADCAST, source: VM.mac},
      {source: '0.0.0.0', destination: '255.255.255.255'},
      {sourcePort: 68, destinationPort: 67, payload: new Uint8Array(240)},
    ),
  },
  {
    name: 'multicast DNS',
    bytes: udpFrame(
      {destination: '01:00:5e:00:00:fb', source: VM.mac},
      {source: VM.ip, destination: '224.0.0.251'},
      datagram(5353),
    ),
  },
  {
    name: 'solicitation between VMs',
    bytes: nd({mac: VM.mac, source: VM.ip6, to: solicitedNode(PEER.ip6)}, solicit(PEER.ip6, VM.mac)),
  },
  {
    name: 'advertisement between VMs',
    bytes: nd({mac: PEER.mac, source: PEER.ip6, to: VM.ip6, toMac: VM.mac}, advertise(PEER.ip6, PEER.mac)),
  },
  {name: 'a ping over IPv6', bytes: nd({mac: VM.mac, source: VM.ip6, to: GATEWAY.global, toMac: GATEWAY.mac}, echo)},
  {
    name: 'a router solicitation',
    bytes: nd({mac: VM.mac, source: VM.ip6, to: 'ff02::2'}, {kind: 'router-solicitation', options: []}),
  },
]
