// The same for a whole frame: lengths and checksums right again, the header bytes as they were sent.
import {checksum, writeChecksum} from '../../wire/checksum.ts'
import {DHCP_CLIENT_PORT, DHCP_SERVER_PORT, type Dhcp} from '../../wire/dhcp.ts'
import {WireError} from '../../wire/error.ts'
import {ETHERTYPE_IPV4, ethernetLength, parseEthernetHeader} from '../../wire/ethernet.ts'
import {ipv4Length, PROTOCOL_UDP, parseIpv4Header, type ReceivedIpv4Header} from '../../wire/ipv4.ts'
import {zeros} from '../../wire/memory.ts'
import {pseudoSum} from '../../wire/pseudo-header.ts'
import {parseUdp, UDP_LENGTH, writeUdpHeader} from '../../wire/udp.ts'
import {type ShimGrant, type ShimRules, type ShimVerdict, shimReply} from './shim.ts'

/** Where they lie in an IPv4 header (RFC 791 3.1) and a UDP header (RFC 768). */
const TOTAL_LENGTH = 2
const HEADER_CHECKSUM = 10
const UDP_CHECKSUM = 6

export interface ShimFrame {
  /** What goes to the VM. */
  readonly frame: Uint8Array
  readonly verdict: ShimVerdict
  /** The DHCP message in it; undefined for what was not understood so far. */
  readonly message: Uint8Array | undefined
}

/** What becomes of a frame for a port with this MTU (bytes of the IP packet), as {@link shimReply} says. Never throws. */
export function shimFrame(
  frame: Uint8Array,
  mtu: number,
  rules: ShimRules,
  grant?: (ack: Dhcp) => ShimGrant,
): ShimFrame {
  try {
    return understood(frame, mtu, rules, grant)
  } catch (error) {
    if (error instanceof WireError) return asItIs(frame, error.message)
    throw error
  }
}

const asItIs = (frame: Uint8Array, reason: string): ShimFrame => ({
  frame,
  verdict: {kind: 'unchanged', reason, type: undefined, vm: undefined, ip: undefined},
  message: undefined,
})

function understood(
  frame: Uint8Array,
  mtu: number,
  rules: ShimRules,
  grant: ((ack: Dhcp) => ShimGrant) | undefined,
): ShimFrame {
  const ethernet = parseEthernetHeader(frame)
  if (ethernet.etherType !== ETHERTYPE_IPV4) return asItIs(frame, 'no IPv4 packet')
  const at = ethernetLength(ethernet)
  const packet = frame.subarray(at)
  const ip = parseIpv4Header(packet)
  if (ip.protocol !== PROTOCOL_UDP || ip.moreFragments || ip.fragmentOffset > 0)
    return asItIs(frame, 'no whole UDP datagram')
  const datagram = packet.subarray(ipv4Length(ip), ip.totalLength)
  const udp = parseUdp(datagram, ip)
  if (udp.sourcePort !== DHCP_SERVER_PORT || udp.destinationPort !== DHCP_CLIENT_PORT)
    return asItIs(frame, 'not from a DHCP server to a client')
  const verdict = shimReply(udp.payload, rules, grant)
  const asItCame = () => ({frame: completed(frame, at, ip, udp.payload, datagram), message: udp.payload})
  if (verdict.kind === 'unchanged') return {...asItCame(), verdict}
  const {message, type, vm} = verdict
  const length = ipv4Length(ip) + UDP_LENGTH + message.length
  if (length <= mtu || length <= ip.totalLength) return {frame: carrying(frame, at, ip, message), message, verdict}
  const reason = `would be ${length} bytes long, more than the port's MTU of ${mtu}`
  return {...asItCame(), verdict: {kind: 'unchanged', reason, type, vm, ip: verdict.ip}}
}

/** The frame with another message in it. */
function carrying(frame: Uint8Array, at: number, ip: ReceivedIpv4Header, message: Uint8Array): Uint8Array {
  const udpAt = at + ipv4Length(ip)
  const out = zeros(udpAt + UDP_LENGTH + message.length)
  out.set(frame.subarray(0, udpAt))
  writeChecksum(out.length - at, out, at + TOTAL_LENGTH)
  writeChecksum(0, out, at + HEADER_CHECKSUM)
  writeChecksum(checksum(out, at, udpAt), out, at + HEADER_CHECKSUM)
  out.set(message, udpAt + UDP_LENGTH)
  const ports = {sourcePort: DHCP_SERVER_PORT, destinationPort: DHCP_CLIENT_PORT}
  writeUdpHeader(ports, message.length, ip, out, udpAt)
  return out
}

/** The frame itself; a checksum that was left to a network card, which this frame will not pass, is computed. */
function completed(
  frame: Uint8Array,
  at: number,
  ip: ReceivedIpv4Header,
  message: Uint8Array,
  datagram: Uint8Array,
): Uint8Array {
  const length = UDP_LENGTH + message.length
  const none = datagram[UDP_CHECKSUM] === 0 && datagram[UDP_CHECKSUM + 1] === 0
  const right = checksum(datagram, 0, length, pseudoSum(ip, PROTOCOL_UDP, length)) === 0
  return none || right ? frame : carrying(frame, at, ip, message)
}
