// The messages a server sends: RFC 2131 4.3.1, table 3, and where they go (4.1).
import {ANY_IPV4, type Ipv4, ipv4Text, ipv4Value, type Mac, type Prefix} from '../../wire/address.ts'
import {BOOTREPLY, DHCP_BROADCAST, type Dhcp, serializeDhcp} from '../../wire/dhcp.ts'
import {reconfigureNonce} from '../../wire/dhcp-auth.ts'
import {DHCPNAK, type DhcpOption, dhcpOptions, writeOption} from '../../wire/dhcp-options.ts'
import {WireError} from '../../wire/error.ts'
import type {ClientRequest} from './request.ts'
import type {LeaseTimes, Scope} from './scope.ts'

/** Where a reply goes. */
export type ReplyTo =
  /** Port 67 of the relay. */
  | {readonly to: 'relay'; readonly ip: Ipv4}
  /** Port 68 of an address that the client may not have yet, so that nothing can ask for its MAC. */
  | {readonly to: 'client'; readonly ip: Ipv4; readonly mac: Mac}
  /** Port 68 of everybody on the interface's segment. */
  | {readonly to: 'all'}

/** What a reply says beside the request's own fields. */
export interface ReplyFields {
  readonly type: number
  readonly serverIdentifier: Ipv4
  readonly yiaddr: Ipv4
  /** Undefined for the answer to a DHCPINFORM, which has no lease. */
  readonly times: LeaseTimes | undefined
  readonly routers: readonly Ipv4[]
  /** RFC 6704: given to the client in this ACK. */
  readonly nonce?: {readonly key: string; readonly replay: bigint} | undefined
}

/** An OFFER or an ACK. */
export function offerOrAck(request: ClientRequest, scope: Scope, fields: ReplyFields): Dhcp {
  const {message} = request
  const options: DhcpOption[] = [
    writeOption(dhcpOptions.messageType, fields.type),
    writeOption(dhcpOptions.serverIdentifier, fields.serverIdentifier),
  ]
  if (fields.times) {
    options.push(
      writeOption(dhcpOptions.leaseTime, fields.times.leaseS),
      writeOption(dhcpOptions.renewalTime, fields.times.t1S),
      writeOption(dhcpOptions.rebindingTime, fields.times.t2S),
    )
  }
  addConfiguration(options, request.wants, scope, fields.routers)
  echoClient(options, request)
  if (fields.nonce) {
    const {key, replay} = fields.nonce
    const nonce = Uint8Array.from(key.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
    options.push(writeOption(dhcpOptions.authentication, reconfigureNonce(replay, nonce)))
  }
  echoRelay(options, request)
  const {ciaddr, flags} = message
  return {...bare(message, flags), ciaddr, yiaddr: fields.yiaddr, siaddr: scope.nextServer, options}
}

/** What a NAK says that was ordered. */
export const START_OVER = 'start over: the configuration has changed'

/** A NAK, with why for whoever reads the client's log. */
export function nak(request: ClientRequest, serverIdentifier: Ipv4, why: string): Dhcp {
  const {message} = request
  const options: DhcpOption[] = [
    writeOption(dhcpOptions.messageType, DHCPNAK),
    writeOption(dhcpOptions.serverIdentifier, serverIdentifier),
    writeOption(dhcpOptions.message, why),
  ]
  echoClient(options, request)
  echoRelay(options, request)
  // RFC 2131 4.3.2: the relay shall broadcast it, since the client's address is wrong.
  const flags = message.giaddr === ANY_IPV4 ? message.flags : message.flags | DHCP_BROADCAST
  return {...bare(message, flags), options}
}

const bare = ({htype, xid, giaddr, chaddr}: Dhcp, flags: number): Dhcp => ({
  op: BOOTREPLY,
  htype,
  hops: 0,
  xid,
  secs: 0,
  flags,
  ciaddr: ANY_IPV4,
  yiaddr: ANY_IPV4,
  siaddr: ANY_IPV4,
  giaddr,
  chaddr,
  sname: '',
  file: '',
  options: [],
})

/** Mask and router, and what else the client asks for, in its order; mask before router (RFC 2132 3.3). */
function addConfiguration(
  options: DhcpOption[],
  wants: readonly number[] | undefined,
  scope: Scope,
  routers: readonly Ipv4[],
): void {
  const {subnetMask, router, broadcastAddress, classlessStaticRoute} = dhcpOptions
  const wanted = (code: number): boolean => wants === undefined || wants.includes(code)
  if (wanted(subnetMask.code)) options.push(writeOption(subnetMask, maskOf(scope.prefix)))
  if (wanted(router.code) && routers.length > 0) options.push(writeOption(router, routers))
  if (scope.routes.length > 0 && wants?.includes(classlessStaticRoute.code)) {
    // Whoever takes option 121 ignores option 3 (RFC 3442), so that it must hold the default route too.
    const fallback = routers.slice(0, 1).map((ip) => ({prefix: {address: ANY_IPV4, length: 0}, router: ip}))
    options.push(writeOption(classlessStaticRoute, [...fallback, ...scope.routes]))
  }
  const own = new Set<number>([subnetMask.code, router.code, classlessStaticRoute.code])
  for (const code of wants ?? scope.options.map((option) => option.code)) {
    if (own.has(code)) continue
    own.add(code)
    const configured = scope.options.find((option) => option.code === code)
    if (configured) options.push(configured)
    else if (code === broadcastAddress.code && wants) {
      options.push(writeOption(broadcastAddress, broadcastOf(scope.prefix)))
    }
  }
}

/** RFC 6842: a client that sent an identifier gets it back. */
function echoClient(options: DhcpOption[], {clientId}: ClientRequest): void {
  if (clientId !== undefined) options.push({code: dhcpOptions.clientIdentifier.code, data: clientId})
}

/**
 * RFC 3046 2.2: option 82 goes back as it came, behind all others, in every reply: a switch that adds it (DHCP snooping)
 * leaves giaddr alone.
 */
function echoRelay(options: DhcpOption[], {message}: ClientRequest): void {
  const {code} = dhcpOptions.relayAgentInformation
  const relay = message.options.find((option) => option.code === code)
  if (relay) options.push({code, data: relay.data})
}

/** What a client cannot do without, and what must be echoed. */
const ESSENTIAL: ReadonlySet<number> = new Set(
  [
    dhcpOptions.subnetMask,
    dhcpOptions.router,
    dhcpOptions.leaseTime,
    dhcpOptions.messageType,
    dhcpOptions.serverIdentifier,
    dhcpOptions.renewalTime,
    dhcpOptions.rebindingTime,
    dhcpOptions.clientIdentifier,
    dhcpOptions.relayAgentInformation,
    dhcpOptions.authentication,
    dhcpOptions.classlessStaticRoute,
  ].map(({code}) => code),
)

/**
 * The bytes of a reply, at most `maximum`: where its options do not fit, the longest that the client can do without are
 * left out. Returns their codes too. Throws `WireError`, reason `out-of-range`, if the rest does not fit either.
 */
export function serializeReply(
  message: Dhcp,
  maximum: number,
): {readonly payload: Uint8Array; readonly left: readonly number[]} {
  const left: number[] = []
  for (let {options} = message; ; ) {
    try {
      return {payload: serializeDhcp({...message, options}, {maximum}), left}
    } catch (error) {
      const spare = options.filter(({code}) => !ESSENTIAL.has(code)).sort((a, b) => b.data.length - a.data.length)
      if (!(error instanceof WireError) || spare.length === 0) throw error
      left.push(spare[0]!.code)
      options = options.filter((option) => option !== spare[0])
    }
  }
}

/** Where an OFFER or an ACK goes. */
export function replyTo({message, broadcast, mac}: ClientRequest, yiaddr: Ipv4): ReplyTo {
  if (message.giaddr !== ANY_IPV4) return {to: 'relay', ip: message.giaddr}
  if (message.ciaddr !== ANY_IPV4) return {to: 'client', ip: message.ciaddr, mac}
  return broadcast ? {to: 'all'} : {to: 'client', ip: yiaddr, mac}
}

/**
 * Where a NAK goes: to everybody, as the client may not have the address it asks for. One that renews has it, and some
 * then listen on it alone (dhcpcd), so that a broadcast would not be heard.
 */
export function nakTo({message, state, mac}: ClientRequest): ReplyTo {
  if (message.giaddr !== ANY_IPV4) return {to: 'relay', ip: message.giaddr}
  return state === 'renewing' ? {to: 'client', ip: message.ciaddr, mac} : {to: 'all'}
}

const maskOf = ({length}: Prefix): Ipv4 => ipv4Text(length === 0 ? 0 : (~0 << (32 - length)) >>> 0)

const broadcastOf = ({address, length}: Prefix): Ipv4 =>
  ipv4Text((ipv4Value(address) | (length === 32 ? 0 : 0xffff_ffff >>> length)) >>> 0)
