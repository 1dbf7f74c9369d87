// A DHCP client and its server in memory.

import {BOOTREPLY, BOOTREQUEST, type Dhcp, parseDhcp, serializeDhcp} from '../../../src/wire/dhcp.ts'
import {verifyReconfigure} from '../../../src/wire/dhcp-auth.ts'
import {
  DHCPACK,
  DHCPNAK,
  DHCPREQUEST,
  type DhcpOption,
  dhcpOptions,
  readOption,
  writeOption,
} from '../../../src/wire/dhcp-options.ts'
import {ETHERTYPE_IPV6, ethernetLength, serializeEthernet} from '../../../src/wire/ethernet.ts'
import {arpFrame, icmpFrame, ipv4Header, parseFrame, udpFrame} from '../../../src/wire/frames.ts'
import {parseIpv4Header} from '../../../src/wire/ipv4.ts'
import {fillChecksum6, NEXT_HEADER_UDP, serializeIpv6} from '../../../src/wire/ipv6.ts'
import {linkLocalOf} from '../../../src/wire/ipv6-address.ts'
import type {FakeWorld} from '../../support/world.ts'

export const SERVER = {ip: '10.0.0.254', mac: '02:00:00:00:0f:fe'}
export const CLIENT = {name: 'web-07', ip: '10.0.0.10', mac: '02:00:00:00:00:10'}
export const NONCE = Uint8Array.from(Buffer.from('49f5494a9392438406bc35804a6f7342', 'hex'))

export interface FakeClient {
  ip: string
  mac: string
  xid: number
  readonly nonce?: Uint8Array
  /** `deaf`: no listener; `mute`: it takes no notice. */
  readonly manner?: 'deaf' | 'mute'
  /** What the server answers. */
  router?: string | undefined
  readonly answer?: 'ack' | 'nak' | 'none'
  /** FORCERENEWs that are lost before one arrives. */
  lose?: number
  readonly options?: readonly DhcpOption[]
}

const blank: Dhcp = {
  op: 1,
  htype: 1,
  hops: 0,
  xid: 0,
  secs: 0,
  flags: 0,
  ciaddr: '0.0.0.0',
  yiaddr: '0.0.0.0',
  siaddr: '0.0.0.0',
  giaddr: '0.0.0.0',
  chaddr: '',
  sname: '',
  file: '',
  options: [],
}

export function requestFrame(client: Pick<FakeClient, 'ip' | 'mac' | 'xid' | 'options'>): Uint8Array {
  const options = [
    writeOption(dhcpOptions.messageType, DHCPREQUEST),
    ...(client.options ?? [writeOption(dhcpOptions.forcerenewNonceCapable, [1])]),
  ]
  const payload = serializeDhcp({
    ...blank,
    op: BOOTREQUEST,
    xid: client.xid,
    ciaddr: client.ip,
    chaddr: client.mac,
    options,
  })
  return udpFrame(
    {destination: SERVER.mac, source: client.mac},
    {source: client.ip, destination: SERVER.ip},
    {sourcePort: 68, destinationPort: 67, payload},
  )
}

export function answerFrame(
  client: Pick<FakeClient, 'ip' | 'mac' | 'xid'>,
  type: number,
  more: readonly DhcpOption[],
): Uint8Array {
  const options = [
    writeOption(dhcpOptions.messageType, type),
    writeOption(dhcpOptions.serverIdentifier, SERVER.ip),
    ...more,
  ]
  const payload = serializeDhcp({
    ...blank,
    op: BOOTREPLY,
    xid: client.xid,
    yiaddr: type === DHCPACK ? client.ip : '0.0.0.0',
    chaddr: client.mac,
    options,
  })
  return udpFrame(
    {destination: client.mac, source: SERVER.mac},
    {source: SERVER.ip, destination: client.ip},
    {sourcePort: 67, destinationPort: 68, payload},
  )
}

/** What the clients do with a sent frame, for `fakeWorld`'s onSend: as stock dhcpcd, unless their manner is another. */
export const clientsBehind =
  (clients: readonly FakeClient[]) =>
  (bytes: Uint8Array, world: FakeWorld): void => {
    const frame = parseFrame(bytes)
    const client = clients.find(({mac}) => mac === frame.ethernet.destination)
    if (!client || frame.kind !== 'udp' || frame.udp.destinationPort !== 68) return
    if ((client.lose ?? 0) > 0) {
      client.lose!--
      return
    }
    if (client.manner === 'mute') return
    if (client.manner === 'deaf') {
      const packet = bytes.subarray(ethernetLength(frame.ethernet))
      const {headerChecksum, totalLength, ...header} = parseIpv4Header(packet)
      const quoted = {
        header: {...ipv4Header(header.protocol, header), totalLength, headerChecksum},
        payload: packet.slice(20, 28),
      }
      const unreachable = {kind: 'destination-unreachable', code: 3, quoted, extensions: []} as const
      world.deliver(
        icmpFrame(
          {destination: frame.ethernet.source, source: client.mac},
          {source: client.ip, destination: frame.ip.source},
          unreachable,
        ),
      )
      return
    }
    const message = parseDhcp(frame.udp.payload)
    if (message.xid !== client.xid) return
    const signed = readOption(message.options, dhcpOptions.authentication) !== undefined
    if (client.nonce && !(signed && verifyReconfigure(frame.udp.payload, client.nonce))) return
    client.xid = (client.xid + 1) >>> 0
    const now = {...client}
    world.deliver(requestFrame(now), 0.3)
    if (client.answer === 'none') return
    const router = client.router === undefined ? [] : [writeOption(dhcpOptions.router, [client.router])]
    world.deliver(
      answerFrame(now, client.answer === 'nak' ? DHCPNAK : DHCPACK, client.answer === 'nak' ? [] : router),
      1,
    )
  }

/** A VM on the segment: what it answers to ARP and to an echo from far away, which passes here if `through` is given. */
export const vmBehind =
  (through: () => string | undefined = () => undefined) =>
  (bytes: Uint8Array, world: FakeWorld): void => {
    const frame = parseFrame(bytes)
    if (frame.kind === 'arp') answerArp(bytes, world, CLIENT)
    const gateway = through()
    if (frame.kind !== 'icmp' || frame.icmp.kind !== 'echo-request' || gateway === undefined) return
    if (frame.ethernet.destination !== CLIENT.mac) return
    world.deliver(
      icmpFrame(
        {destination: gateway, source: CLIENT.mac},
        {source: CLIENT.ip, destination: frame.ip.source},
        {...frame.icmp, kind: 'echo-reply'},
      ),
    )
  }

/** Gateways that answer ARP, and through which somebody beyond answers echoes; those in `dead` do neither. */
export const gatewaysBehind =
  (gateways: readonly {readonly ip: string; readonly mac: string}[], dead: ReadonlySet<string> = new Set()) =>
  (bytes: Uint8Array, world: FakeWorld): void => {
    const frame = parseFrame(bytes)
    for (const gateway of gateways.filter(({mac}) => !dead.has(mac))) {
      if (frame.kind === 'arp') answerArp(bytes, world, gateway)
      if (frame.kind !== 'icmp' || frame.icmp.kind !== 'echo-request') continue
      if (frame.ethernet.destination !== gateway.mac) continue
      world.deliver(
        icmpFrame(
          {destination: frame.ethernet.source, source: gateway.mac},
          {source: frame.ip.destination, destination: frame.ip.source, ttl: 63},
          {...frame.icmp, kind: 'echo-reply'},
        ),
      )
    }
  }

function answerArp(bytes: Uint8Array, world: FakeWorld, {ip, mac}: {readonly ip: string; readonly mac: string}): void {
  const frame = parseFrame(bytes)
  if (frame.kind !== 'arp' || frame.arp.operation !== 1 || frame.arp.targetIp !== ip) return
  const {senderMac, senderIp} = frame.arp
  world.deliver(
    arpFrame(
      {destination: frame.ethernet.source, source: mac},
      {operation: 2, senderMac: mac, senderIp: ip, targetMac: senderMac, targetIp: senderIp},
    ),
  )
}

/** A DHCPv6 message of the server to the client. */
export function frame6(message: Uint8Array): Uint8Array {
  const udp = new Uint8Array(8 + message.length)
  const view = new DataView(udp.buffer)
  for (const [at, word] of [547, 546, udp.length].entries()) view.setUint16(at * 2, word)
  udp.set(message, 8)
  const ends = {source: linkLocalOf(SERVER.mac), destination: linkLocalOf(CLIENT.mac)}
  fillChecksum6(ends, NEXT_HEADER_UDP, udp, 0, udp.length, 6)
  const packet = {trafficClass: 0, flowLabel: 0, nextHeader: NEXT_HEADER_UDP, hopLimit: 64, ...ends, payload: udp}
  return serializeEthernet({
    destination: CLIENT.mac,
    source: SERVER.mac,
    etherType: ETHERTYPE_IPV6,
    payload: serializeIpv6(packet),
  })
}
