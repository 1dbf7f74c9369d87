// Hellos and virtual MACs of redundancy protocols: of gateways, which a site filter must hold back, and of tenants, which it
// must let pass.
import type {Mac} from '../../src/wire/address.ts'
import {ETHERTYPE_IPV4, ETHERTYPE_IPV6, serializeEthernet, type Vlan} from '../../src/wire/ethernet.ts'
import {ipv4Header, udpFrame} from '../../src/wire/frames.ts'
import {serializeIpv4} from '../../src/wire/ipv4.ts'
import {serializeIpv6} from '../../src/wire/ipv6.ts'
import {type Ipv6, multicastMac} from '../../src/wire/ipv6-address.ts'
import {GATEWAY, OWN_IP, TAGS, type TestFrame, tagged, VLAN, VM} from './filter-frames.ts'

/** Routers of four sites share an address, each site by another protocol; the group is 7 everywhere, 0x107 where it has room. */
export const GROUPS_INVENTORY = `
version: 1
sites: {x: {}, y: {}, z: {}, w: {}}
segments:
  tenant-b:
    prefix: 10.1.0.0/24
    gateways:
      - { name: bx, site: x, ip: 10.1.0.254, mac: "00:00:5e:00:01:07", ip6: ["fe80::1"] }
      - { name: by, site: y, ip: 10.1.0.254, mac: "00:00:0c:07:ac:07" }
      - { name: bz, site: z, ip: 10.1.0.254, mac: "00:00:0c:9f:f1:07" }
      - { name: bw, site: w, ip: 10.1.0.254, mac: "00:07:b4:01:07:01", ip6: ["fe80::1"] }
vms:
  db-03: { segment: tenant-b, ip: 10.1.0.10, mac: "02:00:00:00:01:10" }
`

function ip4(
  source: Mac,
  destination: Mac,
  to: string,
  protocol: number,
  payload: Uint8Array,
  vlan?: Vlan,
): Uint8Array {
  const bytes = serializeIpv4({...ipv4Header(protocol, {source: OWN_IP, destination: to, ttl: 255}), payload})
  return serializeEthernet({destination, source, ...tagged(vlan), etherType: ETHERTYPE_IPV4, payload: bytes})
}
const hello4 = (to: string, port: number, payload: Uint8Array, source: Mac, vlan?: Vlan): Uint8Array => {
  const low = to
    .split('.')
    .slice(1)
    .map((octet) => Number(octet).toString(16).padStart(2, '0'))
  const packet = {source: OWN_IP, destination: to, ttl: 1}
  return udpFrame({destination: `01:00:5e:${low.join(':')}`, source, ...tagged(vlan)}, packet, {
    sourcePort: port,
    destinationPort: port,
    payload,
  })
}
/** A packet whose checksum nobody looks at on the way: VRRP and HSRP over IPv6. */
const hello6 = (to: Ipv6, nextHeader: number, payload: Uint8Array, source: Mac): Uint8Array => {
  const packet = serializeIpv6({
    trafficClass: 0,
    flowLabel: 0,
    hopLimit: 255,
    nextHeader,
    source: 'fe80::a:252',
    destination: to,
    payload,
  })
  return serializeEthernet({
    destination: multicastMac(to),
    source,
    etherType: ETHERTYPE_IPV6,
    payload: packet,
  })
}
const udp6 = (port: number, payload: Uint8Array): Uint8Array =>
  Uint8Array.of(port >> 8, port & 0xff, port >> 8, port & 0xff, 0, 8 + payload.length, 1, 1, ...payload)

/** RFC 5798 section 5.1, RFC 2281 section 5, and what Wireshark calls a Group State TLV and a GLBP header. */
const vrrp = (group: number): Uint8Array => Uint8Array.of(0x31, group, 100, 1, 0, 100, 0, 0, 10, 1, 0, 254)
const hsrp = (group: number): Uint8Array => Uint8Array.of(0, 0, 16, 3, 10, 100, group, 0, ...new Uint8Array(12))
const hsrp2 = (group: number): Uint8Array =>
  Uint8Array.of(1, 40, 2, 0, 6, 4, group >> 8, group & 0xff, ...new Uint8Array(34))
const glbp = (group: number): Uint8Array => Uint8Array.of(1, 0, group >> 8, group & 0xff, ...new Uint8Array(20))

/** Every hello of a group, from one router. `far`: the group of protocols that have room for it. */
function hellos(of: string, near: number, far: number, source: Mac): TestFrame[] {
  const ebtablesLeak = 'ebtables cannot read the group'
  return [
    {name: `VRRP hello of ${of}`, bytes: ip4(source, '01:00:5e:00:00:12', '224.0.0.18', 112, vrrp(near))},
    {name: `tagged VRRP hello of ${of}`, bytes: ip4(source, '01:00:5e:00:00:12', '224.0.0.18', 112, vrrp(near), VLAN)},
    {name: `HSRP hello of ${of}`, bytes: hello4('224.0.0.2', 1985, hsrp(near), source)},
    {name: `HSRP version 2 hello of ${of}`, bytes: hello4('224.0.0.102', 1985, hsrp2(far), source)},
    {name: `GLBP hello of ${of}`, bytes: hello4('224.0.0.102', 3222, glbp(far), source)},
    {name: `VRRP hello over IPv6 of ${of}`, bytes: hello6('ff02::12', 112, vrrp(near), source)},
    {name: `HSRP hello over IPv6 of ${of}`, bytes: hello6('ff02::66', 17, udp6(2029, hsrp2(far)), source)},
  ].map((frame) => ({...frame, ebtablesLeak}))
}

/** Ordinary data whose source MAC is a virtual one. */
const from = (source: Mac): Uint8Array => ip4(source, VM.mac, VM.ip, 253, new TextEncoder().encode(source))
const data = (of: string, macs: readonly Mac[]): TestFrame[] =>
  macs.map((mac) => ({name: `data from ${mac} of ${of}`, bytes: from(mac)}))

/** What a gateway with a MAC of its own says to its peers: held back in any segment. */
export const ROUTER_DROP: readonly TestFrame[] = hellos('a gateway', 9, 0x109, GATEWAY.mac).map((frame) => ({
  name: frame.name,
  bytes: frame.bytes,
  ...(frame.name.startsWith('tagged') && {ebtablesLeak: TAGS}),
}))

/** Of the gateways' groups: held back. */
export const GROUP_DROP: readonly TestFrame[] = [
  ...hellos("the gateways' group", 7, 0x107, '02:00:00:00:0a:52'),
  ...data("the gateways' group", [
    ...['00:00:5e:00:01:07', '00:00:5e:00:02:07', '00:00:0c:07:ac:07'],
    ...['00:00:0c:9f:f1:07', '00:05:73:a0:01:07', '00:07:b4:01:07:01', '00:07:b4:01:07:02'],
  ]),
  {
    name: "tagged data from a VRRP MAC of the gateways' group",
    bytes: ip4('00:00:5e:00:01:07', VM.mac, VM.ip, 253, vrrp(7), VLAN),
  },
]

/** Of tenants, who have groups of their own: let pass. */
export const TENANT_PASS: readonly TestFrame[] = [
  ...hellos('a tenant', 77, 0x177, '02:00:00:00:02:21'),
  ...data('a tenant', [
    ...['00:00:5e:00:01:4d', '00:00:5e:00:02:4d', '00:00:0c:07:ac:4d'],
    ...['00:00:0c:9f:f1:77', '00:05:73:a0:01:77', '00:07:b4:01:77:01'],
  ]),
]
