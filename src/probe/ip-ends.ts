// Whom the IP packet in a frame is from and for.

import type {Ipv4, Mac} from '../wire/address.ts'
import {WireError} from '../wire/error.ts'
import {ETHERTYPE_IPV6} from '../wire/ethernet.ts'
import {type Frame, parseFrame} from '../wire/frames.ts'
import {parseIpv6} from '../wire/ipv6.ts'
import type {Ipv6} from '../wire/ipv6-address.ts'

/** A frame taken apart; undefined for bytes that are none. */
export function frameOf(bytes: Uint8Array): Frame | undefined {
  try {
    return parseFrame(bytes)
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}

/** Source and destination of the IP packet in a frame. */
function endsOf(bytes: Uint8Array): {source: Ipv4 | Ipv6; destination: Ipv4 | Ipv6; frame: Frame} | undefined {
  const frame = frameOf(bytes)
  if (frame === undefined || frame.kind === 'arp') return undefined
  if (frame.kind !== 'other') return {source: frame.ip.source, destination: frame.ip.destination, frame}
  if (frame.ethernet.etherType !== ETHERTYPE_IPV6) return undefined
  try {
    const {source, destination} = parseIpv6(frame.payload)
    return {source, destination, frame}
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}

/** Whom the IP packet in a frame is for; undefined if there is none. */
export const sentTo = (bytes: Uint8Array): Ipv4 | Ipv6 | undefined => endsOf(bytes)?.destination

/** Whom a packet to the VM is from; undefined for any other frame. */
export function cameFrom(
  bytes: Uint8Array,
  vm: {readonly ip: Ipv4 | Ipv6; readonly mac: Mac},
): Ipv4 | Ipv6 | undefined {
  const ends = endsOf(bytes)
  return ends?.destination === vm.ip && ends.frame.ethernet.destination === vm.mac ? ends.source : undefined
}
