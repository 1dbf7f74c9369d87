// Ethernet II frames (IEEE 802.3 type encapsulation), optionally with one IEEE 802.1Q tag. No frame check sequence.
import type {Mac} from './address.ts'
import {expectWhole, WireError} from './error.ts'
import {copyBytes, zeros} from './memory.ts'
import {mac, table, u16} from './table.ts'

export const ETHERTYPE_IPV4 = 0x0800
export const ETHERTYPE_ARP = 0x0806
export const ETHERTYPE_RARP = 0x8035
/** @internal */
export const ETHERTYPE_VLAN = 0x8100
export const ETHERTYPE_IPV6 = 0x86dd

/** Shortest payload of a frame on a cable, in bytes; shorter ones are padded. Virtual links carry shorter ones too. */
const ETHERNET_MINIMUM_PAYLOAD = 46

/** An 802.1Q tag. */
export interface Vlan {
  /** VLAN identifier, 0 (priority tag only) to 4095 (reserved). */
  readonly id: number
  /** Priority code point, 0 to 7. */
  readonly priority: number
  readonly dropEligible: boolean
}

/** The tag of a VLAN whose number is known and nothing else; null or undefined: untagged. */
export const vlanTag = (id: number | null | undefined): Vlan | undefined =>
  id === null || id === undefined ? undefined : {id, priority: 0, dropEligible: false}

export interface Ethernet {
  readonly destination: Mac
  readonly source: Mac
  readonly vlan?: Vlan
  /** EtherType of the payload, behind the tag if there is one; at least 0x0600. */
  readonly etherType: number
  /** What follows, padding included: only the protocol above knows where it ends. */
  readonly payload: Uint8Array
}

/** A frame without what it carries. */
export type EthernetHeader = Omit<Ethernet, 'payload'>

/** Where a frame goes on its segment: the header without the type of what it carries. */
export type FrameAddresses = Pick<Ethernet, 'destination' | 'source'> & {readonly vlan?: Vlan | undefined}

interface Untagged {
  readonly destination: Mac
  readonly source: Mac
  readonly etherType: number
}

interface Tagged {
  readonly destination: Mac
  readonly source: Mac
  readonly tagProtocol: number
  readonly tagControl: number
  readonly etherType: number
}

const untagged = table<Untagged>('ethernet', {destination: mac, source: mac, etherType: u16})
const tagged = table<Tagged>('ethernet', {
  destination: mac,
  source: mac,
  tagProtocol: u16,
  tagControl: u16,
  etherType: u16,
})

/** Bytes of this header: 14, or 18 with a tag. */
export const ethernetLength = ({vlan}: {readonly vlan?: Vlan | undefined}): number =>
  vlan ? tagged.size : untagged.size

/**
 * Reads a frame; the payload is a copy.
 * Throws `WireError`: `truncated` below 14 bytes (18 with a tag), `unsupported` for a length in place of an EtherType
 * (IEEE 802.3 with LLC, as spanning tree sends).
 */
export function parseEthernet(bytes: Uint8Array): Ethernet {
  const {destination, source, vlan, etherType} = parseEthernetHeader(bytes)
  if (!vlan) return {destination, source, etherType, payload: copyBytes(bytes, untagged.size)}
  return {destination, source, vlan, etherType, payload: copyBytes(bytes, tagged.size)}
}

/** Reads the header alone; the payload starts at {@link ethernetLength}. Throws as {@link parseEthernet} does. */
export function parseEthernetHeader(bytes: Uint8Array): EthernetHeader {
  const {destination, source, etherType} = untagged.parse(bytes)
  if (etherType !== ETHERTYPE_VLAN) {
    expectEtherType('unsupported', untagged.offsets.etherType, etherType)
    return {destination, source, etherType}
  }
  const {tagControl, etherType: inner} = tagged.parse(bytes)
  expectEtherType('unsupported', tagged.offsets.etherType, inner)
  const vlan = {id: tagControl & 0xfff, priority: tagControl >>> 13, dropEligible: (tagControl & 0x1000) !== 0}
  return {destination, source, vlan, etherType: inner}
}

function expectEtherType(reason: 'unsupported' | 'out-of-range', offset: number, etherType: number): void {
  if (etherType >= 0x0600) return
  throw new WireError('ethernet', reason, offset, `${etherType} is a length (IEEE 802.3), not an EtherType`)
}

/**
 * The bytes of a frame, its payload padded with zeros to `minimumPayload` bytes (46: a frame of 60, or 64 with a tag, so
 * that a switch that takes the tag off need not pad). Throws `WireError`, reason `out-of-range`.
 */
export function serializeEthernet(frame: Ethernet, minimumPayload = ETHERNET_MINIMUM_PAYLOAD): Uint8Array {
  const length = ethernetLength(frame)
  const out = zeros(length + Math.max(frame.payload.length, minimumPayload))
  writeEthernetHeader(frame, out, 0)
  out.set(frame.payload, length)
  return out
}

/**
 * Writes the header into `out` at `offset`; the caller has made {@link ethernetLength} bytes of room.
 * @internal
 */
export function writeEthernetHeader(header: EthernetHeader, out: Uint8Array, offset: number): void {
  const {destination, source, vlan, etherType} = header
  if (!vlan) {
    expectEtherType('out-of-range', untagged.offsets.etherType, etherType)
    if (etherType === ETHERTYPE_VLAN) {
      throw new WireError('ethernet', 'out-of-range', untagged.offsets.etherType, 'etherType 0x8100 needs a vlan')
    }
    untagged.write({destination, source, etherType}, out, offset)
    return
  }
  expectEtherType('out-of-range', tagged.offsets.etherType, etherType)
  tagged.write({destination, source, tagProtocol: ETHERTYPE_VLAN, tagControl: tagControl(vlan), etherType}, out, offset)
}

/** A frame with room for `length` bytes behind its header, padded to the minimum, and where they start. */
export function frameRoom(
  {destination, source, vlan}: FrameAddresses,
  etherType: number,
  length: number,
): {out: Uint8Array; at: number} {
  const header: EthernetHeader = vlan ? {destination, source, vlan, etherType} : {destination, source, etherType}
  const at = ethernetLength(header)
  const out = zeros(at + Math.max(length, ETHERNET_MINIMUM_PAYLOAD))
  writeEthernetHeader(header, out, 0)
  return {out, at}
}

function tagControl({id, priority, dropEligible}: Vlan): number {
  expectWhole('ethernet', 'vlan id', id, 0xfff, tagged.offsets.tagControl)
  expectWhole('ethernet', 'vlan priority', priority, 7, tagged.offsets.tagControl)
  return (priority << 13) | (dropEligible ? 0x1000 : 0) | id
}
