// rtnetlink(7) as bytes: what a network interface is, and the IPv4 addresses it has.
import {type Ipv4, ipv4Text, type Mac, macText} from '../../wire/address.ts'
import {attributeMap, familyOf, u32In, whole} from './netlink-message.ts'

const IFLA = {address: 1, name: 3, mtu: 4, master: 10, linkInfo: 18} as const
const IFLA_INFO = {kind: 1, data: 2, slaveKind: 4} as const
/** Of the data of an interface of kind `vlan` (if_link.h). */
const IFLA_VLAN_ID = 1
const IFA = {address: 1, local: 2} as const
const IFF_UP = 0x1
const IFF_LOWER_UP = 0x10000
const ARPHRD_ETHER = 1
/** Bytes of ifinfomsg (family, pad, type u16, index s32, flags u32, change) and ifaddrmsg (family, prefix length, flags, scope, index). */
const IFINFOMSG = 16
const IFADDRMSG = 8

/** An interface as RTM_NEWLINK tells of it. */
export interface InterfaceMessage {
  readonly index: number
  readonly name: string
  readonly mac: Mac
  readonly mtu: number
  readonly up: boolean
  /** Up, and the other end of the wire is too. */
  readonly carrier: boolean
  readonly ethernet: boolean
  /** Index of the bridge that it is a port of. */
  readonly bridge: number | undefined
  readonly isBridge: boolean
  /** ip-link(8)'s (`veth`, `tun`, `vxlan`, ...); empty for a card's own. */
  readonly kind: string
  /** The VLAN that it takes out of the device below it. */
  readonly vlan: number | undefined
  /** Index of the VRF that it is in. */
  readonly vrf: number | undefined
}

const textOf = (data: Buffer | undefined): string => (data?.toString('utf8') ?? '').replace(/\0.*$/s, '')

/** @throws WireError layer `netlink` for what is cut. */
export function parseInterface(body: Buffer): InterfaceMessage {
  const found = attributeMap(whole(body, 0, IFINFOMSG), IFINFOMSG)
  const mac = found.get(IFLA.address)
  const info = attributeMap(found.get(IFLA.linkInfo) ?? Buffer.alloc(0), 0)
  const kind = textOf(info.get(IFLA_INFO.kind))
  const vlan =
    kind === 'vlan' ? attributeMap(info.get(IFLA_INFO.data) ?? Buffer.alloc(0), 0).get(IFLA_VLAN_ID) : undefined
  const flags = body.readUInt32LE(8)
  const master = (of: string): number | undefined =>
    textOf(info.get(IFLA_INFO.slaveKind)) === of ? u32In(found, IFLA.master) : undefined
  return {
    index: body.readInt32LE(4),
    name: textOf(found.get(IFLA.name)),
    mac: mac?.length === 6 ? macText(mac.readUInt16BE(0), mac.readUInt32BE(2)) : '00:00:00:00:00:00',
    mtu: u32In(found, IFLA.mtu) ?? 0,
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    ethernet: body.readUInt16LE(2) === ARPHRD_ETHER,
    bridge: master('bridge'),
    isBridge: kind === 'bridge',
    kind,
    vlan: vlan && whole(vlan, 0, 2).readUInt16LE(0),
    vrf: master('vrf'),
  }
}

/** An IPv4 address of an interface; undefined for another family. The far end of a point-to-point link is not ours. */
export function parseLocalAddress(
  body: Buffer,
): {readonly interfaceIndex: number; readonly ip: Ipv4; readonly prefixLength: number} | undefined {
  const found = attributeMap(whole(body, 0, IFADDRMSG), IFADDRMSG)
  const address = found.get(IFA.local) ?? found.get(IFA.address)
  if (familyOf(body[0] ?? 0) !== 4 || address === undefined) return undefined
  return {
    interfaceIndex: body.readUInt32LE(4),
    ip: ipv4Text(whole(address, 0, 4).readUInt32BE(0)),
    prefixLength: body[1]!,
  }
}
