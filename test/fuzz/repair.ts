// Makes the checksums of changed packets right again, layer by layer, as far as the lengths allow.

import {ipv4Text} from '../../src/wire/address.ts'
import {checksum, type Ends, pseudoHeaderSum, writeChecksum} from '../../src/wire/checksum.ts'
import {fillChecksum6} from '../../src/wire/ipv6.ts'
import {ipv6Text} from '../../src/wire/ipv6-address.ts'

const ICMP = 1
const TCP = 6
const UDP = 17
const ICMPV6 = 58

const u16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!
const u32 = (bytes: Uint8Array, at: number): number => (u16(bytes, at) * 0x1_0000 + u16(bytes, at + 2)) >>> 0

/** A copy with the checksum at `at` computed over all of it. */
function summed(bytes: Uint8Array, at: number, sum = 0): Uint8Array {
  const out = bytes.slice()
  if (out.length < at + 2) return out
  out.fill(0, at, at + 2)
  writeChecksum(checksum(out, 0, out.length, sum), out, at)
  return out
}

export const repairTcp =
  (ends: Ends) =>
  (bytes: Uint8Array): Uint8Array =>
    summed(bytes, 16, pseudoHeaderSum(ends, TCP, bytes.length))

/** 0 says that there is none. */
export function repairUdp(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice()
  if (out.length >= 8) out.fill(0, 6, 8)
  return out
}

/** That of the message, and of what follows the quoted packet where it begins as an extension structure does. */
export function repairIcmp(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice()
  const said = (out[5] ?? 0) * 4
  for (const at of new Set([8 + 128, 8 + said])) {
    if (at + 4 <= out.length && out[at]! >>> 4 === 2) out.set(summed(out.subarray(at), 2), at)
  }
  return summed(out, 2)
}

export function repairIpv4(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice()
  const length = ((out[0] ?? 0) & 0xf) * 4
  if (out.length < 20 || length < 20 || length > out.length) return out
  const total = Math.min(Math.max(u16(out, 2), length), out.length)
  writeChecksum(total, out, 2)
  out.set(summed(out.subarray(0, length), 10))
  const payload = out.subarray(length, total)
  const ends = {source: ipv4Text(u32(out, 12)), destination: ipv4Text(u32(out, 16))}
  if (out[9] === ICMP) payload.set(repairIcmp(payload))
  if (out[9] === TCP) payload.set(repairTcp(ends)(payload))
  if (out[9] === UDP) payload.set(repairUdp(payload))
  return out
}

export function repairIpv6(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice()
  if (out.length < 48) return out
  out[0] = 0x60 | (out[0]! & 0x0f)
  const length = Math.min(u16(out, 4), out.length - 40)
  writeChecksum(length, out, 4)
  if (out[6] === ICMPV6 && length >= 4) {
    out.fill(0, 42, 44)
    const ends = {source: ipv6Text(out, 8), destination: ipv6Text(out, 24)}
    fillChecksum6(ends, ICMPV6, out, 40, 40 + length, 42)
  }
  return out
}

/** Of an Ethernet frame, tagged or not. */
export function repairFrame(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice()
  if (out.length < 18) return out
  const tagged = u16(out, 12) === 0x8100
  const at = tagged ? 18 : 14
  const etherType = u16(out, tagged ? 16 : 12)
  if (etherType === 0x0800) out.set(repairIpv4(out.subarray(at)), at)
  if (etherType === 0x86dd) out.set(repairIpv6(out.subarray(at)), at)
  return out
}
