// What a DHCPv6 client and its server say to each other, seen on the wire.
import {etherType, type Test} from '../../net/packet/bpf.ts'
import type {ReceivedFrame} from '../../net/packet/link.ts'
import {AUTH_PROTOCOL_RECONFIGURE} from '../../wire/dhcp-options.ts'
import {
  DHCPV6_CLIENT_PORT,
  DHCPV6_INFORMATION_REQUEST,
  DHCPV6_OPTION_AUTH,
  DHCPV6_OPTION_CLIENTID,
  DHCPV6_OPTION_SERVERID,
  DHCPV6_REBIND,
  DHCPV6_RECONFIGURE,
  DHCPV6_RENEW,
  DHCPV6_REPLY,
  DHCPV6_SERVER_PORT,
  type Dhcpv6,
  dhcpv6Option,
  parseDhcpv6,
  readDhcpv6ReconfigureKey,
} from '../../wire/dhcpv6-reconfigure.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_IPV6, parseEthernet} from '../../wire/ethernet.ts'
import {NEXT_HEADER_UDP, parseIpv6} from '../../wire/ipv6.ts'
import {parseUdp} from '../../wire/udp.ts'
import type {Client6Record, ClientStore, Reconfigure6Sighting} from './client-store.ts'
import type {ClientSighting} from './client-watch.ts'

export interface Sighting6 {
  /** What the client and its server did. */
  readonly sighting?: ClientSighting
  /** A Reply tells who the two are, and now and then the key. */
  readonly learned?: Client6Record | undefined
  /** Of the message that gave the key. */
  readonly replay?: bigint | undefined
  /** Somebody's Reconfigure. */
  readonly reconfigure?: Reconfigure6Sighting
}

/** Writes down what a frame told. */
export function learnSighting6(store: ClientStore, {learned, replay, reconfigure}: Sighting6): void {
  if (learned) store.learn6(learned, replay)
  if (reconfigure) store.learnReconfigure6(reconfigure)
}

const NEXT_HEADER = 20
const UDP_DESTINATION_PORT = 56
const ASKS = [DHCPV6_RENEW, DHCPV6_REBIND, DHCPV6_INFORMATION_REQUEST]

/** Lets through DHCPv6. */
export const dhcp6Clauses = (): Test[][] =>
  [DHCPV6_CLIENT_PORT, DHCPV6_SERVER_PORT].map((value) => [
    etherType(ETHERTYPE_IPV6),
    {offset: NEXT_HEADER, size: 1, value: NEXT_HEADER_UDP},
    {offset: UDP_DESTINATION_PORT, size: 2, value},
  ])

/** Reads one frame of a VLAN (undefined: untagged); undefined if it tells nothing about a DHCPv6 client. */
export function readClientSighting6(received: ReceivedFrame, vlanId?: number): Sighting6 | undefined {
  return ifWellFormed(() => {
    const frame = parseEthernet(received.bytes)
    if (frame.etherType !== ETHERTYPE_IPV6 || frame.vlan?.id !== vlanId) return undefined
    const packet = parseIpv6(frame.payload)
    if (packet.nextHeader !== NEXT_HEADER_UDP) return undefined
    const udp = parseUdp(packet.payload)
    const message = parseDhcpv6(udp.payload)
    const seen = {atNs: received.timestampNs, xid: message.transactionId}
    if (udp.destinationPort === DHCPV6_SERVER_PORT && ASKS.includes(message.type)) {
      const traits = {kind: undefined, canListen: true}
      return {sighting: {...seen, kind: 'request', mac: frame.source, ip: packet.source, discover: false, traits}}
    }
    if (udp.destinationPort !== DHCPV6_CLIENT_PORT) return undefined
    const [mac, ip] = [frame.destination, packet.destination]
    const replay = replayOf(message)
    if (message.type === DHCPV6_RECONFIGURE && replay !== undefined)
      return {reconfigure: {mac, replay, message: udp.payload.slice()}}
    if (message.type !== DHCPV6_REPLY) return undefined
    const clientDuid = dhcpv6Option(message, DHCPV6_OPTION_CLIENTID)
    const serverDuid = dhcpv6Option(message, DHCPV6_OPTION_SERVERID)
    const key = readDhcpv6ReconfigureKey(message)
    const learned = clientDuid && serverDuid && {mac, ip, clientDuid, serverDuid, key}
    const none = {router: undefined, serverId: undefined, nonce: undefined, leaseS: undefined, renewS: undefined}
    return {sighting: {...seen, kind: 'ack', mac, ip, ...none}, learned, replay: key && replay}
  })
}

/** Where option 11 has its 64 bits, behind protocol, algorithm and method (RFC 8415 21.11). */
const REPLAY_OFFSET = 3
const REPLAY_END = 11

function replayOf(message: Dhcpv6): bigint | undefined {
  const data = dhcpv6Option(message, DHCPV6_OPTION_AUTH)
  if (!data || data.length < REPLAY_END || data[0] !== AUTH_PROTOCOL_RECONFIGURE) return undefined
  return new DataView(data.buffer, data.byteOffset).getBigUint64(REPLAY_OFFSET)
}
