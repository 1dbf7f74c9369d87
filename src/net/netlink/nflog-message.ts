// nfnetlink_log (linux/netfilter/nfnetlink_log.h) as bytes: packets that a rule's `log group` hands to a program.
import {attribute, attributeMap, type NetlinkMessage, NLM_F_ACK, request, whole} from './netlink-message.ts'

/** NFNL_SUBSYS_ULOG with NFULNL_MSG_PACKET and NFULNL_MSG_CONFIG. */
const SUBSYSTEM = 4 << 8
/** @internal */
export const NFLOG_PACKET = SUBSYSTEM | 0
const CONFIG = SUBSYSTEM | 1
const CFG_COMMAND = 1
const COMMAND_BIND = 1
const NFULA = {
  ...{inDevice: 4, outDevice: 5, physicalInDevice: 6, physicalOutDevice: 7},
  ...{payload: 9, vlan: 20, l2Header: 21},
} as const
const NFULA_VLAN = {protocol: 1, tci: 2} as const
/** nfgenmsg: family, version, and the group as the resource, big-endian. */
const NFGENMSG = 4
/** Two MAC addresses. */
const MACS = 12

/** A frame that a rule of nft(8)'s bridge family logged. */
export interface LoggedFrame {
  /** Whole, with the tag that the kernel carries beside it. */
  readonly bytes: Uint8Array
  /** Index of the bridge port by which it came; undefined for one of the host's own. */
  readonly inIndex: number | undefined
  /** Index of the bridge port by which it leaves; undefined where that is not decided yet. */
  readonly outIndex: number | undefined
}

/** Asks for the packets of a group, whole. */
export const bindGroup = (group: number): Buffer =>
  request(
    CONFIG,
    NLM_F_ACK,
    Buffer.concat([Buffer.of(0, 0, group >>> 8, group & 0xff), attribute(CFG_COMMAND, Buffer.of(COMMAND_BIND))]),
  )

/** Undefined for another message, and for a packet without Ethernet header. @throws WireError layer `netlink` */
export function parseLogged({type, body}: Pick<NetlinkMessage, 'type' | 'body'>): LoggedFrame | undefined {
  if (type !== NFLOG_PACKET) return undefined
  const found = attributeMap(whole(body, 0, NFGENMSG), NFGENMSG)
  const header = found.get(NFULA.l2Header)
  const payload = found.get(NFULA.payload)
  if (header === undefined || payload === undefined || header.length < MACS) return undefined
  // The bridge itself, where the kernel tells the port (BRIDGE_NETFILTER), and else the port.
  const index = (physical: number, device: number): number | undefined => {
    const value = found.get(physical) ?? found.get(device)
    return value === undefined ? undefined : whole(value, 0, 4).readUInt32BE(0)
  }
  const parts = [header.subarray(0, MACS), tagOf(found.get(NFULA.vlan)), header.subarray(MACS), payload]
  return {
    bytes: Uint8Array.from(Buffer.concat(parts)),
    inIndex: index(NFULA.physicalInDevice, NFULA.inDevice),
    outIndex: index(NFULA.physicalOutDevice, NFULA.outDevice),
  }
}

function tagOf(vlan: Buffer | undefined): Buffer {
  const found = attributeMap(vlan ?? Buffer.alloc(0), 0)
  const [protocol, tci] = [found.get(NFULA_VLAN.protocol), found.get(NFULA_VLAN.tci)]
  if (protocol === undefined || tci === undefined) return Buffer.alloc(0)
  return Buffer.concat([whole(protocol, 0, 2).subarray(0, 2), whole(tci, 0, 2).subarray(0, 2)])
}
