// The captures under test/captures: what real programs sent. The README there says which, and how they were recorded.
import {readFileSync} from 'node:fs'
import {ethernetLength, parseEthernetHeader} from '../../src/wire/ethernet.ts'
import {ipv4Length, parseIpv4Header} from '../../src/wire/ipv4.ts'
import {type CapturedFrame, parsePcap} from '../../src/wire/pcap.ts'
import {UDP_LENGTH} from '../../src/wire/udp.ts'
import type {Golden} from './codec-harness.ts'

/** The bytes of a capture file; `name` is without `.pcap`. */
export const captureFile = (name: string): Uint8Array =>
  Uint8Array.from(readFileSync(new URL(`../captures/${name}.pcap`, import.meta.url)))

/** The frames of a capture, in the order they were seen. */
export const captureFrames = (name: string): readonly CapturedFrame[] => parsePcap(captureFile(name)).frames

/** The frames of captures as golden bytes, cut down to one layer: undefined leaves a frame out. */
export function goldenOf(
  names: readonly string[],
  layer: (frame: Uint8Array) => Uint8Array | undefined = (frame) => frame,
): Golden[] {
  return names.flatMap((name) =>
    captureFrames(name).flatMap(({bytes}, i) => {
      const part = layer(bytes)
      return part ? [{name: `${name} frame ${i + 1}`, bytes: part}] : []
    }),
  )
}

/** Golden bytes without those that say the same twice over. */
export function distinct(golden: readonly Golden[]): Golden[] {
  return [...new Map(golden.map((one) => [Buffer.from(one.bytes).toString('hex'), one] as const)).values()]
}

/** What a frame carries, if its EtherType is this. */
export function payloadOf(frame: Uint8Array, etherType: number): Uint8Array | undefined {
  const header = parseEthernetHeader(frame)
  return header.etherType === etherType ? frame.slice(ethernetLength(header)) : undefined
}

/** What the IPv4 packet in a frame carries, if its protocol is this and it is no fragment. */
export function ipPayloadOf(frame: Uint8Array, protocol: number): Uint8Array | undefined {
  const packet = payloadOf(frame, 0x0800)
  if (!packet) return undefined
  const header = parseIpv4Header(packet)
  if (header.protocol !== protocol || header.moreFragments || header.fragmentOffset !== 0) return undefined
  return packet.slice(ipv4Length(header), header.totalLength)
}

/** What the UDP datagram in a frame carries, if one of its ports is this. */
export function udpPayloadOf(frame: Uint8Array, port: number): Uint8Array | undefined {
  const datagram = ipPayloadOf(frame, 17)
  if (!datagram) return undefined
  const ports = [(datagram[0]! << 8) | datagram[1]!, (datagram[2]! << 8) | datagram[3]!]
  return ports.includes(port) ? datagram.slice(UDP_LENGTH) : undefined
}
