// What a shim knows of its VMs' clients: what they asked last, and what they were told. In memory alone, a VM an entry.
import {ANY_IPV4, type Ipv4, type Mac} from '../../wire/address.ts'
import {DHCP_SERVER_PORT, type Dhcp, parseDhcp} from '../../wire/dhcp.ts'
import {derivedNonce, readReconfigureNonce} from '../../wire/dhcp-auth.ts'
import {DHCPACK, DHCPNAK, DHCPREQUEST, dhcpOptions} from '../../wire/dhcp-options.ts'
import {ifWellFormed} from '../../wire/error.ts'
import type {Vlan} from '../../wire/ethernet.ts'
import {parseFrame} from '../../wire/frames.ts'
import {clientKind} from './client-kind.ts'
import {isActive, type Lease, renewsAtMs} from './lease.ts'
import {type ClientRequest, clientKey, readRequest} from './request.ts'
import {nextReplay} from './rules.ts'
import type {ShimGrant} from './shim.ts'
import type {ShimVm} from './shim-scope.ts'
import {told, toldRouter} from './told.ts'

/** A lease by the ACK that went to its client. */
export interface ShimLease extends Lease {
  readonly serverIdentifier: Ipv4
  /** The bridge port that its client is at, undefined if it is at none here, and the tag that its frames carry there. */
  readonly portIndex: number | undefined
  readonly vlan: Vlan | undefined
}

/** A client's last DHCPREQUEST, and where it came in. */
export interface ShimAsked {
  readonly request: ClientRequest
  readonly portIndex: number
  readonly vlan: Vlan | undefined
}

/** A reply that went to the client that asked. */
export interface ShimAnswer {
  readonly request: ClientRequest
  readonly type: number
  readonly lease: ShimLease | undefined
}

export interface ShimClients {
  readonly leases: Map<Mac, ShimLease>
  /** Those whose next renewal gets a NAK, if it comes until then, ms since 1970. */
  readonly refused: Map<Mac, number>
  /** A frame came from a port of a VM. */
  heard(frame: Uint8Array, portIndex: number): void
  /** What becomes of an ACK that leaves by a port whose IP packets have `mtu` bytes at most. */
  grant(ack: Dhcp, port: {readonly index: number; readonly mtu: number}, nowNs: bigint): ShimGrant
  /** A reply went out of a port; undefined if it is for nobody who asked there. */
  answered(reply: Uint8Array, portIndex: number, nowNs: bigint): ShimAnswer | undefined
  /** Forgets whoever is none of these. */
  keep(vms: ReadonlyMap<Mac, ShimVm>): void
}

const IP_AND_UDP = 28

/** `secret`: what the nonces of clients are made from; without it they get none. */
export function shimClients(vms: ReadonlyMap<Mac, ShimVm>, secret: Uint8Array | undefined): ShimClients {
  let known = vms
  const leases = new Map<Mac, ShimLease>()
  const refused = new Map<Mac, number>()
  const asked = new Map<Mac, ShimAsked>()
  /** An answer to everybody leaves by other ports too, where it is nobody's. */
  const askedFor = ({xid, chaddr}: Dhcp, portIndex: number): ShimAsked | undefined => {
    const found = asked.get(chaddr)
    return found?.portIndex === portIndex && found.request.message.xid === xid ? found : undefined
  }
  return {
    leases,
    refused,
    heard(frame, portIndex) {
      const found = ifWellFormed(() => requestIn(frame))
      if (found && known.has(found.request.mac)) asked.set(found.request.mac, {...found, portIndex})
    },
    grant(ack, {index, mtu}, nowNs) {
      const request = askedFor(ack, index)?.request
      if (request === undefined) return {}
      const {mac, maximum, capable145} = request
      if (renews(request) && (refused.get(mac) ?? 0) > Number(nowNs / 1_000_000n)) return {refused: request}
      if (secret === undefined || !capable145) return {}
      const before = leases.get(mac)
      // It did not take the answer to this: strict clients take no nonce whose replay value, by another's clock, is no higher.
      if (renews(request) && before?.xid === request.message.xid) return {}
      const value = derivedNonce(secret, mac)
      // That of its server stays: with another one the client would not obey that server any more.
      if (renews(request) && before?.nonce && before.nonce !== nonceText(value)) return {}
      const replay = nextReplay(before?.replay ?? 0n, nowNs)
      return {nonce: {value, replay, maximum: Math.min(maximum, mtu - IP_AND_UDP)}}
    },
    answered(reply, portIndex, nowNs) {
      const message = ifWellFormed(() => parseDhcp(reply))
      const from = message && askedFor(message, portIndex)
      if (message === undefined || from === undefined) return undefined
      const {request} = from
      const type = told(message.options, dhcpOptions.messageType)
      if (type !== DHCPACK && type !== DHCPNAK) return undefined
      // It begins anew, or has.
      if (type === DHCPNAK || !renews(request)) refused.delete(request.mac)
      const vm = known.get(request.mac)
      const before = leases.get(request.mac)
      const lease = type === DHCPACK && vm ? leaseOf(message, from, vm, before, nowNs) : undefined
      if (lease !== undefined) leases.set(request.mac, lease)
      return {request, type, lease}
    },
    keep(next) {
      known = next
      for (const held of [leases, refused, asked]) for (const mac of held.keys()) if (!next.has(mac)) held.delete(mac)
    },
  }
}

/** Where nobody knows when a client asks. */
const DAY_MS = 86_400_000

/**
 * How long an order to refuse a client's next renewal stands, ms since 1970: until it is late by as long as it waits from one
 * to the next. One that has not asked by then was elsewhere: it comes back with another lease, and another switch.
 */
export const refusedUntilMs = (lease: ShimLease | undefined, nowMs: number): number =>
  lease && isActive(lease, nowMs)
    ? Math.max(renewsAtMs(lease), nowMs) + renewsAtMs(lease) - lease.lastSeenMs
    : nowMs + DAY_MS

/** As leases keep it. */
export const nonceText = (nonce: Uint8Array): string => Buffer.from(nonce).toString('hex')

const renews = ({state}: ClientRequest): boolean => state === 'renewing' || state === 'rebinding'

/** What a client asks itself: another VM may put its address into the message, but not send as it past a filter. */
function requestIn(frame: Uint8Array): Omit<ShimAsked, 'portIndex'> | undefined {
  const parsed = parseFrame(frame)
  if (parsed.kind !== 'udp' || parsed.udp.destinationPort !== DHCP_SERVER_PORT) return undefined
  const request = readRequest(parseDhcp(parsed.udp.payload), parsed.ip.destination)
  if (typeof request === 'string' || request.type !== DHCPREQUEST) return undefined
  const isOwn = parsed.ethernet.source === request.mac && request.message.giaddr === ANY_IPV4
  return isOwn ? {request, vlan: parsed.ethernet.vlan} : undefined
}

/** Undefined for an ACK without a lease. */
function leaseOf(
  {options, xid, yiaddr}: Dhcp,
  {request, portIndex, vlan}: ShimAsked,
  {segment}: ShimVm,
  before: ShimLease | undefined,
  nowNs: bigint,
): ShimLease | undefined {
  const {mac, capable145, message, wants, clientId, hostName} = request
  const leaseS = told(options, dhcpOptions.leaseTime)
  if (leaseS === undefined) return undefined
  const authentication = told(options, dhcpOptions.authentication)
  const nonce = authentication && readReconfigureNonce(authentication)
  // A nonce holds until there is another one, or the client begins anew.
  const held = renews(request) ? (before?.nonce ?? '') : ''
  const lastSeenMs = Number(nowNs / 1_000_000n)
  const replays = [before?.replay ?? 0n, nonce ? authentication.replay : 0n]
  return {
    ...{segment, ip: yiaddr, client: clientKey(mac, clientId, true), mac, state: 'bound', xid, lastSeenMs, capable145},
    expiresAtMs: lastSeenMs + leaseS * 1000,
    nonce: nonce ? nonceText(nonce) : held,
    replay: replays.reduce((most, each) => (each > most ? each : most)),
    router: toldRouter(options) ?? '',
    hostName,
    t1S: told(options, dhcpOptions.renewalTime) ?? Math.floor(leaseS / 2),
    kind: clientKind(message.options, wants, capable145) ?? '',
    serverIdentifier: told(options, dhcpOptions.serverIdentifier) ?? ANY_IPV4,
    ...{portIndex, vlan},
  }
}
