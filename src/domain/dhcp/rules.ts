// The rules of a DHCPv4 server that knows sites (RFC 2131 4.3): a client's message and the leases in, the reply and the
// changed lease out. Nothing is stored and nothing is sent here.
import {ANY_IPV4, type Ipv4, type Mac, prefixContains} from '../../wire/address.ts'
import type {Dhcp} from '../../wire/dhcp.ts'
import {
  DHCPACK,
  DHCPDECLINE,
  DHCPDISCOVER,
  DHCPINFORM,
  DHCPNAK,
  DHCPOFFER,
  DHCPRELEASE,
  DHCPREQUEST,
} from '../../wire/dhcp-options.ts'
import type {LeaseView} from './book.ts'
import {clientKind} from './client-kind.ts'
import {type Directive, isActive, type Lease} from './lease.ts'
import {nak, nakTo, offerOrAck, type ReplyTo, replyTo, START_OVER} from './reply.ts'
import {type ClientRequest, clientKey} from './request.ts'
import {routersAt, type Scope, siteOf} from './scope.ts'

/** A client's message and what else the rules need to judge it. */
export interface Case {
  readonly request: ClientRequest
  readonly scope: Scope
  /** What the server calls itself towards this client: its own identifier, or what the relay puts in its place. */
  readonly serverIdentifier: Ipv4
  /** Its own, which a client may know from before its relay changed. */
  readonly ownIdentifier: Ipv4
  readonly leases: LeaseView
  readonly directive: Directive | undefined
  /** Milliseconds since 1970. */
  readonly nowMs: number
  /** The same clock in ns, where replay values come from. */
  readonly nowNs: () => bigint
  /** 16 random bytes in hex, unguessable. */
  readonly newNonce: () => string
}

/** Why there is no reply, or why it is a NAK. */
export type Reason =
  | 'pool-exhausted'
  | 'reservation-in-use'
  | 'other-server'
  | 'no-record'
  | 'wrong-network'
  | 'reserved-another'
  | 'held-by-another'
  | 'not-served'
  | 'ordered'
  | 'not-its-own'
  | 'no-address'
  | 'not-for-a-server'

export interface Answer {
  /** Undefined: silence. */
  readonly reply: {readonly message: Dhcp; readonly type: number; readonly to: ReplyTo} | undefined
  /** The lease as it is from now on. Unless it is only `offered` it must be on disk before the reply leaves. */
  readonly lease: Lease | undefined
  /** Ask the segment whether somebody uses the address, before the reply leaves. */
  readonly probe: Ipv4 | undefined
  /** The order to refuse the client's next renewal has been carried out, or it has begun anew without. */
  readonly nakDone: boolean
  readonly reason: Reason | undefined
  /** Another MAC with the same client identifier, whose lease this one takes over while it runs. */
  readonly sharedWith: Mac | undefined
  /** What it is about: the address offered, leased, refused or given back. */
  readonly ip: Ipv4 | undefined
  readonly router: Ipv4 | undefined
}

/** How long an offer is held. @internal */
export const OFFER_MS = 15_000
/** How long an address is left alone that somebody else was found to use. */
export const DECLINE_MS = 600_000
/** The same for a reservation: nothing else can be offered, and whoever has it may be gone. @internal */
export const DECLINED_RESERVATION_MS = 60_000

const NOTHING: Answer = {
  reply: undefined,
  lease: undefined,
  probe: undefined,
  nakDone: false,
  reason: undefined,
  sharedWith: undefined,
  ip: undefined,
  router: undefined,
}

const silence = (reason: Reason, ip?: Ipv4, lease?: Lease): Answer => ({...NOTHING, reason, ip, lease})

/** Answers one message. */
export function answer(at: Case): Answer {
  switch (at.request.type) {
    case DHCPDISCOVER:
      return onDiscover(at)
    case DHCPREQUEST:
      return onRequest(at)
    case DHCPINFORM:
      return onInform(at)
    case DHCPDECLINE:
      return onDecline(at)
    case DHCPRELEASE:
      return onRelease(at)
    default:
      return silence('not-for-a-server')
  }
}

const keyOf = ({request, scope}: Case): string =>
  clientKey(request.mac, request.clientId, scope.ignoreClientId || scope.reservations.has(request.mac))

const routersFor = ({scope, request, directive}: Case): readonly Ipv4[] =>
  routersAt(scope, siteOf(scope, request.mac, directive))

function onDiscover(at: Case): Answer {
  const {request, scope, serverIdentifier, leases, nowMs} = at
  const client = keyOf(at)
  const ip = addressToOffer(at, client)
  if (typeof ip !== 'string') return silence(ip.reason)
  const held = leases.byClient(client)
  const own = held?.ip === ip && isActive(held, nowMs)
  const routers = routersFor(at)
  const message = offerOrAck(request, scope, {
    type: DHCPOFFER,
    serverIdentifier,
    yiaddr: ip,
    times: scope.times,
    routers,
  })
  const lease = own && held.state === 'bound' ? undefined : offered(at, client, ip, held?.ip === ip ? held : undefined)
  return {
    ...NOTHING,
    reply: {message, type: DHCPOFFER, to: replyTo(request, ip)},
    lease,
    // Nobody but the VM can rightly have a reserved address, and there is no other to offer.
    probe: own || scope.reservations.has(request.mac) || wouldAnswerItself(at, ip) ? undefined : ip,
    ip,
    router: routers[0],
  }
}

/** Behind a relay an echo is all there is to ask with, and tells no MAC: the client may still have its last address. */
function wouldAnswerItself({request, leases}: Case, ip: Ipv4): boolean {
  const last = leases.byIp(ip)
  return request.message.giaddr !== ANY_IPV4 && last?.mac === request.mac && last.state !== 'declined'
}

/** RFC 2131 4.3.1: its reservation, its address, the address it had, the one it wants, any. */
function addressToOffer({request, scope, leases, nowMs}: Case, client: string): Ipv4 | {readonly reason: Reason} {
  const reserved = scope.reservations.get(request.mac)
  if (reserved) {
    const holder = leases.byIp(reserved.ip)
    const free =
      holder === undefined || !isActive(holder, nowMs) || (holder.mac === request.mac && holder.state !== 'declined')
    return free ? reserved.ip : {reason: 'reservation-in-use'}
  }
  const before = leases.byClient(client)
  if (before && before.state !== 'declined' && leases.isPooled(before.ip)) return before.ip
  return leases.pick(nowMs, request.requestedIp) ?? {reason: 'pool-exhausted'}
}

function offered({request, scope, nowMs}: Case, client: string, ip: Ipv4, before: Lease | undefined): Lease {
  return {
    segment: scope.segment,
    ip,
    client,
    mac: request.mac,
    state: 'offered',
    expiresAtMs: nowMs + OFFER_MS,
    xid: request.message.xid,
    lastSeenMs: nowMs,
    capable145: request.capable145,
    nonce: before?.nonce ?? '',
    replay: before?.replay ?? 0n,
    router: '',
    hostName: request.hostName,
    t1S: 0,
    kind: '',
  }
}

/** How an address stands towards a client. */
type Standing = 'own' | 'free' | 'not-served' | 'wrong-network' | 'reserved-another' | 'held-by-another'

function standing({request, scope, leases, nowMs}: Case, client: string, ip: Ipv4): Standing {
  if (!prefixContains(scope.prefix, ip)) return 'wrong-network'
  const reserved = scope.reservations.get(request.mac)
  const holder = leases.byIp(ip)
  const held =
    holder !== undefined && isActive(holder, nowMs) && (holder.client !== client || holder.state === 'declined')
  if (reserved) {
    if (reserved.ip !== ip) return 'reserved-another'
    return held && (holder.mac !== request.mac || holder.state === 'declined') ? 'held-by-another' : 'own'
  }
  if (held) return 'held-by-another'
  if (!leases.isPooled(ip)) return scope.excluded.has(ip) ? 'held-by-another' : 'not-served'
  return holder?.client === client && holder.state !== 'declined' ? 'own' : 'free'
}

function onRequest(at: Case): Answer {
  const {request, leases, nowMs, directive} = at
  const {message, state} = request
  const client = keyOf(at)
  const ip = message.ciaddr === ANY_IPV4 ? request.requestedIp! : message.ciaddr
  if (state === 'selecting' && isForOther(at)) {
    const offer = leases.byClient(client)
    const withdrawn = offer?.state === 'offered' ? {...offer, expiresAtMs: nowMs} : undefined
    return silence('other-server', ip, withdrawn)
  }
  if (directive?.nak && (state === 'renewing' || state === 'rebinding'))
    return {...refuse(at, ip, 'ordered'), nakDone: true}
  const found = standing(at, client, ip)
  if (found === 'own') return acknowledge(at, client, ip)
  if (found === 'free') {
    // A free address that the client already uses, or was offered before this server lost its memory. One that says
    // "I had this" or "anybody?" may be another server's client (RFC 2131 4.3.2).
    return state === 'selecting' || state === 'renewing' ? acknowledge(at, client, ip) : silence('no-record', ip)
  }
  if (found === 'not-served' && (state === 'init-reboot' || state === 'rebinding')) return silence('no-record', ip)
  return refuse(at, ip, found)
}

/** Whether the client speaks to another server (option 54). */
const isForOther = ({request: {serverIdentifier: meant}, serverIdentifier, ownIdentifier}: Case): boolean =>
  meant !== serverIdentifier && meant !== ownIdentifier

/** What a NAK says, for the client's log. */
const WHY: Partial<Record<Reason, string>> = {
  'wrong-network': 'the address is not of this segment',
  'reserved-another': 'another address is reserved for you',
  'held-by-another': 'the address is not yours',
  'not-served': 'the address is not served here',
  ordered: START_OVER,
}

function refuse({request, serverIdentifier}: Case, ip: Ipv4, reason: Reason): Answer {
  const message = nak(request, serverIdentifier, WHY[reason] ?? reason)
  return {...silence(reason, ip), reply: {message, type: DHCPNAK, to: nakTo(request)}}
}

function acknowledge(at: Case, client: string, ip: Ipv4): Answer {
  const {request, scope, serverIdentifier, leases, nowMs} = at
  const before = leases.byIp(ip)
  const mine = before?.client === client ? before : undefined
  const routers = routersFor(at)
  const {nonce, replay, tell} = reconfigureKey(at, mine)
  const lease: Lease = {
    ...offered(at, client, ip, undefined),
    state: 'bound',
    expiresAtMs: nowMs + scope.times.leaseS * 1000,
    nonce,
    replay,
    router: routers[0] ?? '',
    hostName: request.hostName || (mine?.hostName ?? ''),
    t1S: scope.times.t1S,
    kind: clientKind(request.message.options, request.wants, request.capable145) ?? '',
  }
  const message = offerOrAck(request, scope, {
    type: DHCPACK,
    serverIdentifier,
    yiaddr: ip,
    times: scope.times,
    routers,
    nonce: tell ? {key: nonce, replay} : undefined,
  })
  return {
    ...NOTHING,
    reply: {message, type: DHCPACK, to: replyTo(request, ip)},
    lease,
    // Only one that begins anew gets here with the order standing: it takes the router without being refused.
    nakDone: at.directive?.nak ?? false,
    sharedWith: mine?.state === 'bound' && isActive(mine, nowMs) && mine.mac !== request.mac ? mine.mac : undefined,
    ip,
    router: routers[0],
  }
}

/**
 * The key of the client's FORCERENEWs and whether this ACK tells it. A client keeps it in memory only, so that one that
 * starts anew needs it again, as does one whose ACK was lost and that repeats its request; a plain renewal must not show
 * it to the segment once more.
 */
function reconfigureKey(at: Case, before: Lease | undefined): {nonce: string; replay: bigint; tell: boolean} {
  const {request} = at
  const replay = before?.replay ?? 0n
  if (!request.capable145) return {nonce: '', replay, tell: false}
  const known = before?.nonce ?? ''
  const repeated = known !== '' && before?.state === 'bound' && before.xid === request.message.xid
  const starts = request.state === 'selecting' || request.state === 'init-reboot'
  if (!starts && !repeated && known !== '') return {nonce: known, replay, tell: false}
  return {nonce: repeated ? known : at.newNonce(), replay: nextReplay(replay, at.nowNs()), tell: true}
}

/** A replay value above every earlier one (RFC 3118 2): the clock, or one more where the clock has gone back. */
export const nextReplay = (last: bigint, nowNs: bigint): bigint => (nowNs > last ? nowNs : last + 1n)

function onInform(at: Case): Answer {
  const {request, scope, serverIdentifier} = at
  const ip = request.message.ciaddr
  if (ip === ANY_IPV4) return silence('no-address')
  const routers = routersFor(at)
  const message = offerOrAck(request, scope, {
    type: DHCPACK,
    serverIdentifier,
    yiaddr: ANY_IPV4,
    times: undefined,
    routers,
  })
  const reply = {message, type: DHCPACK, to: replyTo(request, ip)}
  return {...NOTHING, reply, ip, router: routers[0]}
}

function onDecline(at: Case): Answer {
  const {request, scope, leases, nowMs} = at
  const ip = request.requestedIp
  if (ip === undefined) return silence('no-address')
  if (isForOther(at)) return silence('other-server', ip)
  const lease = leases.byIp(ip)
  if (lease?.client !== keyOf(at)) return silence('not-its-own', ip)
  return {...silence('held-by-another', ip), lease: declined(lease, scope, nowMs)}
}

/** An address that somebody else uses. */
export const declined = (lease: Lease, scope: Scope, nowMs: number): Lease => ({
  ...lease,
  state: 'declined',
  expiresAtMs: nowMs + (scope.reservations.has(lease.mac) ? DECLINED_RESERVATION_MS : DECLINE_MS),
})

function onRelease(at: Case): Answer {
  const {request, leases, nowMs} = at
  const ip = request.message.ciaddr
  if (isForOther(at)) return silence('other-server', ip)
  const lease = leases.byIp(ip)
  if (lease?.client !== keyOf(at) || lease.state !== 'bound') return silence('not-its-own', ip)
  const released: Lease = {...lease, state: 'released', expiresAtMs: nowMs, lastSeenMs: nowMs}
  return {...NOTHING, ip, lease: released}
}
