// rtnetlink(7) as bytes: the neighbour table, IPv4's (ARP) and IPv6's, and how to write an entry of it.
import {type Mac, macText, writeMac} from '../../wire/address.ts'
import {
  addressBytes,
  addressText,
  af,
  attribute,
  attributeAt,
  attributeMap,
  type Family,
  familyOf,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  request,
  whole,
} from './netlink-message.ts'

export const RTM_NEWNEIGH = 28
const RTM_GETNEIGH = 30
const NDA_DST = 1
const NDA_LLADDR = 2
const NDA_VLAN = 5
const NDA_MASTER = 9
export const AF_BRIDGE = 7
/** ndmsg: family, pad, pad, ifindex (s32), state (u16), flags, type. */
const NDMSG = 12

export const NUD_INCOMPLETE = 1
export const NUD_REACHABLE = 2
export const NUD_FAILED = 0x20
/** Of a forwarding table: set by hand, and the MAC of a port itself. */
const NUD_NOARP = 0x40
const NUD_PERMANENT = 0x80
/** ndm_flags: a control plane (a routing daemon) wrote it, and it does not age. */
const NTF_EXT_LEARNED = 0x10

export interface NeighbourFacts {
  readonly interfaceIndex: number
  readonly ip: string
  readonly mac: Mac | undefined
  /** NUD state bits (neighbour.h). */
  readonly state: number
  /** Written by a control plane, which has it from elsewhere (`extern_learn` of ip-neighbour(8)). */
  readonly external: boolean
}

/** Every entry of this network namespace. */
export const dumpNeighbours = (): Buffer => request(RTM_GETNEIGH, NLM_F_DUMP, Buffer.alloc(NDMSG))

/** Which entry is asked for. */
export type NeighbourKey = Pick<NewNeighbour, 'family' | 'interfaceIndex' | 'ip'>

/** One entry alone (Linux 5.0). */
export function askNeighbour({family, interfaceIndex, ip}: NeighbourKey): Buffer {
  const header = Buffer.alloc(NDMSG)
  header[0] = af(family)
  header.writeInt32LE(interfaceIndex, 4)
  return request(RTM_GETNEIGH, 0, Buffer.concat([header, attribute(NDA_DST, addressBytes(family, ip))]))
}

/** @throws WireError */
export function parseNeighbour(body: Buffer): NeighbourFacts | undefined {
  const found = attributeMap(whole(body, 0, NDMSG), NDMSG)
  const ip = found.get(NDA_DST)
  const mac = found.get(NDA_LLADDR)
  if (familyOf(body[0] ?? 0) === undefined || ip === undefined) return undefined
  return {
    interfaceIndex: body.readInt32LE(4),
    ip: addressText(ip),
    mac: mac?.length === 6 ? macText(mac.readUInt16BE(0), mac.readUInt32BE(2)) : undefined,
    state: body.readUInt16LE(8),
    external: (body[10]! & NTF_EXT_LEARNED) !== 0,
  }
}

/** Behind which port a bridge has learned a MAC. */
export interface LearnedFacts {
  readonly mac: Mac
  readonly interfaceIndex: number
  /** Undefined outside a VLAN-aware bridge. */
  readonly vlan: number | undefined
}

/** An entry of a bridge's forwarding table. */
export interface FdbFacts extends LearnedFacts {
  /** Index of the bridge; `interfaceIndex` is the same for its own MAC. */
  readonly bridge: number
  /** The MAC of the port (or the bridge) itself. */
  readonly own: boolean
  /** Set by hand. */
  readonly fixed: boolean
}

/** The forwarding tables of all bridges of this network namespace, and those of ports. */
export function dumpFdb(): Buffer {
  const header = Buffer.alloc(NDMSG)
  header[0] = AF_BRIDGE
  return request(RTM_GETNEIGH, NLM_F_DUMP, header)
}

/**
 * Undefined for what is no bridge's: a port's own table, in which a VXLAN still has hosts that have moved here.
 * @throws WireError
 */
export function parseFdb(body: Buffer): FdbFacts | undefined {
  whole(body, 0, NDMSG)
  if (body[0] !== AF_BRIDGE) return undefined
  const mac = attributeAt(body, NDMSG, NDA_LLADDR, 6)
  const bridge = attributeAt(body, NDMSG, NDA_MASTER, 4)
  if (mac === 0 || bridge === 0) return undefined
  const vlan = attributeAt(body, NDMSG, NDA_VLAN, 2)
  const state = body.readUInt16LE(8)
  return {
    mac: macText(body.readUInt16BE(mac), body.readUInt32BE(mac + 2)),
    interfaceIndex: body.readInt32LE(4),
    bridge: body.readUInt32LE(bridge),
    vlan: vlan === 0 ? undefined : body.readUInt16LE(vlan),
    own: (state & NUD_PERMANENT) !== 0,
    fixed: (state & (NUD_NOARP | NUD_PERMANENT)) === NUD_NOARP,
  }
}

/** Undefined also for what nobody was heard for: an entry that was set by hand, the MAC of a port itself. @throws WireError */
export function parseLearned(body: Buffer): LearnedFacts | undefined {
  const entry = parseFdb(body)
  if (entry === undefined || entry.own || entry.fixed) return undefined
  const {mac, interfaceIndex, vlan} = entry
  return {mac, interfaceIndex, vlan}
}

/** What is written of a neighbour. */
export interface NewNeighbour {
  readonly family: Family
  readonly interfaceIndex: number
  readonly ip: string
  readonly mac: Mac
}

/** Writes a reachable entry over whatever is there, a control plane's included. */
export function replaceNeighbour({family, interfaceIndex, ip, mac}: NewNeighbour): Buffer {
  const header = Buffer.alloc(NDMSG)
  header[0] = af(family)
  header.writeInt32LE(interfaceIndex, 4)
  header.writeUInt16LE(NUD_REACHABLE, 8)
  const lladdr = new Uint8Array(6)
  writeMac(mac, lladdr, 0)
  return request(
    RTM_NEWNEIGH,
    NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
    Buffer.concat([header, attribute(NDA_DST, addressBytes(family, ip)), attribute(NDA_LLADDR, lladdr)]),
  )
}
