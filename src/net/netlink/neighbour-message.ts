// rtnetlink(7) as bytes: the neighbour table, IPv4's (ARP) and IPv6's, and how to write an entry of it.
import {type Mac, macText, writeMac} from '../../wire/address.ts'
import {
  addressBytes,
  addressText,
  af,
  attribute,
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

const RTM_NEWNEIGH = 28
const RTM_GETNEIGH = 30
const NDA_DST = 1
const NDA_LLADDR = 2
/** ndmsg: family, pad, pad, ifindex (s32), state (u16), flags, type. */
const NDMSG = 12

export const NUD_INCOMPLETE = 1
export const NUD_REACHABLE = 2
export const NUD_FAILED = 0x20
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
