// What a DHCP client and its server say to each other, seen on the wire.
import {type ClientTraits, clientTraits} from '../../domain/dhcp/client-kind.ts'
import {told, toldRouter} from '../../domain/dhcp/told.ts'
import {anyOf, etherType, type Instruction, ipProtocol, macTests, type Test} from '../../net/packet/bpf.ts'
import type {ReceivedFrame} from '../../net/packet/link.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {ARP_REQUEST} from '../../wire/arp.ts'
import {BOOTREPLY, BOOTREQUEST, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, parseDhcp} from '../../wire/dhcp.ts'
import {readReconfigureNonce} from '../../wire/dhcp-auth.ts'
import {
  DHCPACK,
  DHCPDISCOVER,
  DHCPFORCERENEW,
  DHCPNAK,
  DHCPREQUEST,
  dhcpOptions,
  readOption,
} from '../../wire/dhcp-options.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4} from '../../wire/ethernet.ts'
import {parseFrame} from '../../wire/frames.ts'
import {UNREACHABLE_PORT} from '../../wire/icmp.ts'
import {PROTOCOL_ICMP, PROTOCOL_UDP} from '../../wire/ipv4.ts'
import {quotedProbe} from '../../wire/quote.ts'

/** One thing seen of a client. */
export type ClientSighting = {readonly atNs: bigint; readonly mac: Mac} & (
  | {
      readonly kind: 'request'
      readonly xid: number
      readonly ip: Ipv4 | undefined
      readonly discover: boolean
      readonly traits: ClientTraits
    }
  | {
      readonly kind: 'ack'
      readonly xid: number
      readonly ip: Ipv4
      readonly router: Ipv4 | undefined
      readonly serverId: Ipv4 | undefined
      readonly nonce: Uint8Array | undefined
      readonly leaseS: number | undefined
      readonly renewS: number | undefined
      /** Of option 90: what the client compares the next one with. */
      readonly replay?: bigint | undefined
    }
  | {readonly kind: 'nak'; readonly xid: number}
  /** It has no socket on port 68; `sourcePort` is that of the datagram it refuses. */
  | {readonly kind: 'unreachable'; readonly ip: Ipv4; readonly sourcePort: number}
  /** Somebody tells it to renew, signed; whether with its nonce is for others to check. */
  | {readonly kind: 'forcerenew'; readonly replay: bigint; readonly message: Uint8Array}
  /** It asks the segment where an address is: it is about to send there. */
  | {readonly kind: 'arp-request'; readonly target: Ipv4}
)

const UDP_DESTINATION_PORT = 36

/** Lets through DHCP of anybody, and ICMP and ARP of `macs` (ICMP of all where there are too many to name). */
export const dhcpFilter = (macs: readonly Mac[]): Instruction[] => anyOf(dhcpClauses(macs))

/** The clauses of {@link dhcpFilter}, to be joined with others. */
export function dhcpClauses(macs: readonly Mac[]): Test[][] {
  const udpTo = (port: number) => [
    etherType(ETHERTYPE_IPV4),
    ipProtocol(PROTOCOL_UDP),
    {offset: UDP_DESTINATION_PORT, size: 2 as const, value: port},
  ]
  const icmp = [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)]
  const named =
    macs.length > 8
      ? [icmp]
      : macs.flatMap((mac) => [
          [...icmp, ...macTests('source', mac)],
          [etherType(ETHERTYPE_ARP), ...macTests('source', mac)],
        ])
  return [udpTo(DHCP_SERVER_PORT), udpTo(DHCP_CLIENT_PORT), ...named]
}

/** Reads one frame of a VLAN (undefined: untagged); undefined if it tells nothing about a DHCP client. */
export function readClientSighting(received: ReceivedFrame, vlanId?: number): ClientSighting | undefined {
  return ifWellFormed(() => {
    const frame = parseFrame(received.bytes)
    if (frame.ethernet.vlan?.id !== vlanId) return undefined
    const seen = {atNs: received.timestampNs}
    if (frame.kind === 'arp') {
      if (frame.arp.operation !== ARP_REQUEST) return undefined
      return {...seen, kind: 'arp-request', mac: frame.ethernet.source, target: frame.arp.targetIp}
    }
    if (frame.kind === 'icmp') {
      if (frame.icmp.kind !== 'destination-unreachable' || frame.icmp.code !== UNREACHABLE_PORT) return undefined
      const quoted = quotedProbe(frame.icmp.quoted)
      if (quoted?.protocol !== 'udp' || quoted.destinationPort !== DHCP_CLIENT_PORT) return undefined
      return {
        ...seen,
        kind: 'unreachable',
        mac: frame.ethernet.source,
        ip: frame.ip.source,
        sourcePort: quoted.sourcePort,
      }
    }
    if (frame.kind !== 'udp' || ![DHCP_SERVER_PORT, DHCP_CLIENT_PORT].includes(frame.udp.destinationPort))
      return undefined
    return readDhcp(frame.udp.payload, seen)
  })
}

function readDhcp(payload: Uint8Array, seen: {readonly atNs: bigint}): ClientSighting | undefined {
  const message = parseDhcp(payload)
  const {options, xid, chaddr: mac} = message
  const type = readOption(options, dhcpOptions.messageType)
  if (message.op === BOOTREQUEST && (type === DHCPREQUEST || type === DHCPDISCOVER)) {
    const asked = told(options, dhcpOptions.requestedAddress)
    const ip = message.ciaddr === '0.0.0.0' ? asked : message.ciaddr
    return {...seen, mac, kind: 'request', xid, ip, discover: type === DHCPDISCOVER, traits: clientTraits(options)}
  }
  if (message.op !== BOOTREPLY) return undefined
  if (type === DHCPNAK) return {...seen, mac, kind: 'nak', xid}
  const authentication = told(options, dhcpOptions.authentication)
  if (type === DHCPFORCERENEW && authentication)
    return {...seen, mac, kind: 'forcerenew', replay: authentication.replay, message: payload.slice()}
  if (type !== DHCPACK) return undefined
  const nonce = authentication && readReconfigureNonce(authentication)
  return {
    ...seen,
    mac,
    kind: 'ack',
    xid,
    ip: message.yiaddr,
    router: toldRouter(options),
    serverId: told(options, dhcpOptions.serverIdentifier),
    nonce,
    leaseS: told(options, dhcpOptions.leaseTime),
    renewS: told(options, dhcpOptions.renewalTime),
    ...(nonce && {replay: authentication?.replay}),
  }
}
