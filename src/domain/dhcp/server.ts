// A DHCP server without sockets, disk and clock: what it holds, and what it does about what happens. Events come in with
// the time, what is to be done goes out as actions, in the order in which to do it.
import {ANY_IPV4, type Mac} from '../../wire/address.ts'
import {type Dhcp, parseDhcp} from '../../wire/dhcp.ts'
import {DHCPDISCOVER} from '../../wire/dhcp-options.ts'
import {WireError} from '../../wire/error.ts'
import type {LeaseBook} from './book.ts'
import {type Conflict, forgive, type Holder, leaveAlone, MOST_PROBES, storable} from './conflict.ts'
import {type Counters, counters} from './counters.ts'
import type {Directive, Lease} from './lease.ts'
import {merged} from './replication.ts'
import {serializeReply} from './reply.ts'
import {type ClientRequest, readRequest} from './request.ts'
import {type Answer, answer, type Case} from './rules.ts'
import {forgotten, inventorySiteOf, type Scope, type ServerFacts, scopeFor} from './scope.ts'
import type {
  Arrival,
  Batch,
  Departure,
  Exchange,
  HeldOffer,
  OpenBatch,
  ServerAction,
  ServerEvent,
  ServerNow,
} from './server-events.ts'

/**
 * What the server holds. Unlike other steps of ours this one changes it in place and returns actions only: leases are
 * tens of thousands, of which a packet changes one, and a copy for each would be most of the work. All of it but the
 * books, which their owner has filled, belongs to {@link step}; others read.
 */
export interface DhcpServer {
  facts: ServerFacts
  readonly counters: Counters
  /** By segment. */
  books: ReadonlyMap<string, LeaseBook>
  /** By {@link clientAt}. */
  readonly directives: Map<string, Directive>
  /** The greatest of all directives that were ever seen. */
  lastSequence: number
  /** By {@link clientAt}; bounded by the pools, since each holds an address for its client. */
  readonly probing: Map<string, HeldOffer>
}

export const dhcpServer = (
  facts: ServerFacts,
  books: ReadonlyMap<string, LeaseBook>,
  stored: readonly Directive[],
): DhcpServer => {
  const [directives, probing] = [new Map(), new Map()]
  const server: DhcpServer = {facts, counters: counters(), books, directives, lastSequence: 0, probing}
  // One from before there were versions is this server's own, and older than all others.
  for (const each of stored) direct(server, {version: {sequence: 0, origin: facts.serverIdentifier}, ...each})
  return server
}

interface Turn {
  readonly server: DhcpServer
  readonly now: ServerNow
  readonly actions: ServerAction[]
}

/** Changes `server`; see {@link DhcpServer}. */
export function step(server: DhcpServer, event: ServerEvent, now: ServerNow): readonly ServerAction[] {
  const turn: Turn = {server, now, actions: []}
  switch (event.kind) {
    case 'arrivals':
      receive(turn, event.batch)
      break
    case 'stored':
      settle(turn, event.batch.waiting)
      break
    case 'not_stored':
      takeBack(turn, event.batch, event.why)
      break
    case 'probed':
      probed(turn, event.client, event.holder)
      break
    case 'not_probed':
      notProbed(turn, event.client, event.why)
      break
    case 'changed':
      if (event.lease) bookOf(server, event.lease.segment).put(event.lease)
      for (const each of event.directives ?? []) direct(server, each)
      break
    case 'reloaded':
      reloaded(turn, event.facts, event.books)
  }
  return turn.actions
}

/** A client whose segment is not served any more waits for no answer. */
function reloaded(turn: Turn, facts: ServerFacts, books: DhcpServer['books']): void {
  const {server} = turn
  server.facts = facts
  server.books = books
  for (const [client, {exchange}] of server.probing)
    if (!books.has(exchange.scope.segment)) server.probing.delete(client)
  const directives = forgotten(facts, server.directives.values())
  for (const each of directives) direct(server, each)
  // Where that cannot be stored it is forgotten all the same, until the next start.
  if (directives.length > 0)
    turn.actions.push({kind: 'commit', batch: {leases: new Map(), directives, waiting: [], before: []}})
}

export const bookOf = ({books}: DhcpServer, segment: string): LeaseBook => books.get(segment)!

export const directiveOf = ({directives}: DhcpServer, segment: string, mac: Mac): Directive | undefined =>
  directives.size === 0 ? undefined : directives.get(clientAt(segment, mac))

/** What changes here by directives of another server, and to what. */
export function newsOf(server: DhcpServer, came: readonly Directive[]): readonly Directive[] {
  const news = new Map<string, Directive>()
  for (const each of came) {
    const {segment, mac} = each
    const client = clientAt(segment, mac)
    const held = news.get(client) ?? server.directives.get(client)
    const holds = merged(held, each)
    const scope = server.facts.scopes.get(segment)
    if (holds === each) news.set(client, {...each, receivedSite: scope && inventorySiteOf(scope, mac)})
    else if (holds !== held) news.set(client, holds)
  }
  return [...news.values()]
}

/** Whether the client asked for its configuration and was told something: what a FORCERENEW is sent for. */
export const isAnsweredRequest = ({request, answer: given}: Exchange): boolean =>
  request.state !== undefined && given.reply !== undefined

const clientAt = (segment: string, mac: Mac): string => `${segment} ${mac}`

function direct(server: DhcpServer, directive: Directive): void {
  server.directives.set(clientAt(directive.segment, directive.mac), directive)
  server.lastSequence = Math.max(server.lastSequence, directive.version?.sequence ?? 0)
}

function warn({actions}: Turn, key: string, line: string): void {
  actions.push({kind: 'warn', key, line})
}

const nowMs = ({now}: Turn): number => Number(now.nowNs() / 1_000_000n)

/** Offers leave, then all leases of the batch are stored together, then what depends on them leaves. */
function receive(turn: Turn, arrivals: readonly Arrival[]): void {
  const atMs = nowMs(turn)
  const ready: Exchange[] = []
  const batch: OpenBatch = {leases: new Map(), directives: [], waiting: [], before: []}
  for (const arrival of arrivals) {
    const exchange = judge(turn, arrival, atMs)
    if (!exchange) continue
    const {lease, probe, nakDone} = exchange.answer
    const before = probe === undefined ? undefined : bookOf(turn.server, exchange.scope.segment).byIp(probe)
    if (lease) putLease(turn.server, lease, batch)
    if (nakDone) endNak(turn.server, exchange, batch)
    if (probe !== undefined && turn.now.probes) {
      // The packet's own bytes are another one's by the time that somebody has answered.
      const payload = Uint8Array.from(arrival.payload)
      holdOffer(turn, {exchange, arrival: {...arrival, payload}, before, conflicts: []})
    } else (outlives(exchange.answer) ? batch.waiting : ready).push(exchange)
  }
  settle(turn, ready)
  if (batch.waiting.length > 0) turn.actions.push({kind: 'commit', batch})
}

/** An offer promises nothing that must outlive this process: it need not wait for the disk. */
const outlives = ({lease, nakDone}: Answer): boolean => nakDone || (lease !== undefined && lease.state !== 'offered')

function judge(turn: Turn, {payload, destination}: Arrival, atMs: number): Exchange | undefined {
  const {facts, counters: count} = turn.server
  const message = parsed(payload)
  const request = typeof message === 'string' ? message : readRequest(message, destination)
  if (typeof request === 'string') {
    count.drop(request)
    return undefined
  }
  count.receive(request.type)
  const scope = scopeFor(facts, request, destination !== '255.255.255.255')
  if (!scope) {
    count.drop('unknown-segment')
    warn(turn, 'unknown-segment', `${relayText(request)} serves no segment of this server`)
    return undefined
  }
  if (request.type === DHCPDISCOVER && isProbing(turn.server, scope, request)) {
    count.drop('probing')
    return undefined
  }
  return {request, scope, answer: answer(caseOf(turn, request, scope, atMs))}
}

const relayText = ({message: {giaddr}, relay: {linkSelection}}: ClientRequest): string =>
  `a relay at ${giaddr}${linkSelection === undefined ? '' : ` that selects link ${linkSelection} (option 82.5)`}`

function parsed(payload: Uint8Array): Dhcp | WireError['reason'] {
  try {
    return parseDhcp(payload)
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    return error.reason
  }
}

/** A client that asks again while its address is being asked for waits for that. */
const isProbing = ({probing}: DhcpServer, {segment}: Scope, {mac}: ClientRequest): boolean =>
  probing.size > 0 && probing.has(clientAt(segment, mac))

const caseOf = ({server, now}: Turn, request: ClientRequest, scope: Scope, atMs: number): Case => ({
  request,
  scope,
  serverIdentifier: request.relay.serverIdOverride ?? server.facts.serverIdentifier,
  ownIdentifier: server.facts.serverIdentifier,
  leases: bookOf(server, scope.segment),
  directive: directiveOf(server, scope.segment, request.mac),
  nowMs: atMs,
  nowNs: now.nowNs,
  newNonce: now.newNonce,
})

function putLease(server: DhcpServer, lease: Lease, batch: OpenBatch): void {
  const {segment, ip} = lease
  const book = bookOf(server, segment)
  if (lease.state !== 'offered') {
    batch.before.push({segment, ip, lease: book.byIp(ip)})
    batch.leases.set(`${segment} ${ip}`, lease)
  }
  book.put(lease)
}

/** The order to refuse its next renewal has been carried out, or the client has begun anew by itself. */
function endNak(server: DhcpServer, {request, scope}: Exchange, batch: OpenBatch): void {
  const before = directiveOf(server, scope.segment, request.mac)!
  const done = {...before, nak: false}
  direct(server, done)
  batch.directives.push(done)
  batch.before.push({directive: before})
}

/** Nothing of this batch is on disk, so that nobody may be told that it is. */
function takeBack(turn: Turn, {waiting, before}: Batch, why: string): void {
  for (const was of before.toReversed()) {
    if ('directive' in was) direct(turn.server, was.directive)
    else if (was.lease) bookOf(turn.server, was.segment).put(was.lease)
    else bookOf(turn.server, was.segment).remove(was.ip)
  }
  if (waiting.length > 0) turn.server.counters.drop('not-stored')
  warn(turn, 'store', why)
}

function settle(turn: Turn, exchanges: readonly Exchange[]): void {
  if (exchanges.length === 0) return
  const departures: Departure[] = []
  for (const exchange of exchanges) {
    const {request, answer: given} = exchange
    if (given.reason !== undefined) noteReason(turn, exchange)
    if (given.sharedWith !== undefined) noteClone(turn, exchange)
    if (!given.reply) continue
    turn.server.counters.send(given.reply.type)
    const payload = bytesOf(turn, request, given.reply.message)
    if (payload) departures.push({payload, to: given.reply.to})
  }
  if (departures.length > 0) turn.actions.push({kind: 'send', departures})
  turn.actions.push({kind: 'tell', exchanges})
}

function bytesOf(turn: Turn, {mac, maximum}: ClientRequest, message: Dhcp): Uint8Array | undefined {
  const room = Math.min(maximum, turn.now.maximum)
  try {
    const {payload, left} = serializeReply(message, room)
    if (left.length > 0) warn(turn, 'too-long', `${mac} takes ${room} bytes: option ${left.join(', ')} is left out`)
    return payload
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    turn.server.counters.drop('reply-too-long')
    warn(turn, 'too-long', `${mac} takes ${room} bytes, and gets no answer: ${error.message}`)
    return undefined
  }
}

function noteReason(turn: Turn, {request: {mac}, scope: {segment}, answer: {reason, reply, ip}}: Exchange): void {
  if (!reply) turn.server.counters.drop(reason!)
  if (reason === 'pool-exhausted')
    warn(turn, reason, `the pool of segment ${segment} is exhausted: ${mac} gets no answer`)
  if (reason === 'reservation-in-use')
    warn(turn, reason, `somebody else uses the address reserved for ${mac} on segment ${segment}`)
  if (reason === 'held-by-another' && !reply)
    warn(turn, 'declined', `${mac} declines ${ip}: somebody else uses it on segment ${segment}`)
}

/** It is the server's rule (RFC 2131 4.2) and nearly always a mistake: both use one address. */
function noteClone(turn: Turn, {request: {mac}, scope: {segment}, answer: {sharedWith, ip}}: Exchange): void {
  const pair = `${mac} and ${sharedWith} on segment ${segment} say the same client identifier, and have ${ip} both`
  warn(turn, 'clone', `${pair}: clones? Give one a machine-id of its own, or serve with --ignore-client-id`)
}

function holdOffer(turn: Turn, held: HeldOffer): void {
  const {request, scope, answer: given} = held.exchange
  const {mac} = request
  const {giaddr} = request.message
  const client = clientAt(scope.segment, mac)
  turn.server.probing.set(client, held)
  const relay = giaddr === ANY_IPV4 ? undefined : giaddr
  turn.actions.push({kind: 'probe', client, ip: given.probe!, mac, relay})
}

/** The offer that was held, which it is not any more. */
function release({server}: Turn, client: string): HeldOffer | undefined {
  const held = server.probing.get(client)
  server.probing.delete(client)
  return held
}

function probed(turn: Turn, client: string, holder: Holder | undefined): void {
  const held = release(turn, client)
  if (!held) return
  if (holder) conflict(turn, held, holder)
  else settle(turn, [held.exchange])
}

function notProbed(turn: Turn, client: string, why: string): void {
  const held = release(turn, client)
  if (!held) return
  const {answer: given, scope} = held.exchange
  // Or it would count as the client's own when it asks again, and be offered without a question.
  const book = bookOf(turn.server, scope.segment)
  if (book.byIp(given.probe!) === given.lease) book.remove(given.probe!)
  warn(turn, 'probe', `nobody could be asked for ${given.probe}, so it is not offered: ${why}`)
}

/** Somebody else has what was to be offered: the client, who never saw the offer, gets another for the same message. */
function conflict(turn: Turn, held: HeldOffer, holder: Holder): void {
  const {exchange, arrival, before} = held
  const {scope, answer: given} = exchange
  const book = bookOf(turn.server, scope.segment)
  const by = holder.mac === undefined ? 'a host' : `${holder.mac}, a host`
  warn(turn, 'conflict', `${given.probe} is in use by ${by} that did not get it here (segment ${scope.segment})`)
  turn.server.counters.drop('conflict')
  const found = leaveAlone(book, scope, given.lease!, before, holder, nowMs(turn))
  const conflicts = [...held.conflicts, found]
  // Not taken back where it cannot be stored: then it is known until a restart, after which the address is asked for
  // again.
  storeConflicts(turn, [found])
  const next = conflicts.length < MOST_PROBES ? judge(turn, arrival, nowMs(turn)) : undefined
  const probe = next?.answer.probe
  const was = probe === undefined ? undefined : book.byIp(probe)
  if (next?.answer.lease) book.put(next.answer.lease)
  if (next && probe !== undefined) {
    holdOffer(turn, {exchange: next, arrival, before: was, conflicts})
    return
  }
  const forgiven = forgive(book, conflicts, nowMs(turn))
  if (forgiven) {
    storeConflicts(turn, forgiven.freed)
    warn(turn, 'answers-for-all', `${forgiven.line} (segment ${scope.segment})`)
  }
  if (next) settle(turn, [next])
  else turn.server.counters.drop('all-in-use')
}

function storeConflicts({actions}: Turn, conflicts: readonly Conflict[]): void {
  const leases = storable(conflicts)
  if (leases.size > 0) actions.push({kind: 'commit', batch: {leases, directives: [], waiting: [], before: []}})
}
