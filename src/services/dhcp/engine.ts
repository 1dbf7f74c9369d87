// The server without its sockets: batches of datagrams in; leases committed, replies and events out, in that order.

import type {LeaseBook} from '../../domain/dhcp/book.ts'
import type {ExchangeEvent} from '../../domain/dhcp/control.ts'
import type {Directive, Lease} from '../../domain/dhcp/lease.ts'
import {type ReplyTo, serializeReply} from '../../domain/dhcp/reply.ts'
import {type ClientRequest, readRequest} from '../../domain/dhcp/request.ts'
import {type Answer, answer, type Case, declined} from '../../domain/dhcp/rules.ts'
import {type Scope, type ServerFacts, scopeFor} from '../../domain/dhcp/scope.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {type Dhcp, parseDhcp} from '../../wire/dhcp.ts'
import {DHCPDISCOVER} from '../../wire/dhcp-options.ts'
import {WireError} from '../../wire/error.ts'
import {type Counters, counters} from './counters.ts'
import {exchangeEvent} from './events.ts'
import {guarded} from './guarded.ts'

/** A packet that came to port 67; its bytes are valid until `receive` returns. */
export interface Arrival {
  readonly payload: Uint8Array
  readonly destination: Ipv4
}

/** A packet to send. */
export interface Departure {
  readonly payload: Uint8Array
  readonly to: ReplyTo
}

/** All that the engine may touch. */
export interface EngineOutside {
  /** CLOCK_REALTIME, ns. */
  now(): bigint
  /** 16 unguessable bytes, 32 hex digits. */
  newNonce(): string
  /** Durable when it returns. @throws Failure */
  commit(leases: Iterable<Lease>, directives?: Iterable<Directive>): void
  send(departures: readonly Departure[]): void
  /** Whether somebody uses the address; undefined: do not ask. `relay` is that of the client, if it has one. */
  readonly probe: ((ip: Ipv4, client: Mac, relay: Ipv4 | undefined) => Promise<boolean>) | undefined
  /** Tells of an exchange. Left out as long as nobody listens. */
  readonly report: ((event: ExchangeEvent) => void) | undefined
  /** Something an operator should look at; `key` names the kind, for limiting its rate. */
  warn(key: string, line: string): void
  /** Longest UDP payload that leaves in one frame. */
  readonly maximum: number
}

export interface Engine {
  readonly facts: ServerFacts
  readonly counters: Counters
  /** Answers a batch: offers leave, then all of its leases are stored together, then what depends on them leaves. */
  receive(batch: readonly Arrival[]): void
  book(segment: string): LeaseBook
  directive(segment: string, mac: Mac): Directive | undefined
  /** Stores a lease or a directive that changed for another reason than a client's message. @throws Failure */
  store(change: {readonly lease?: Lease; readonly directive?: Directive}): void
  /** Calls `listener` for every DHCPREQUEST that was answered; returns what takes it off. */
  onRequest(listener: (mac: Mac) => void): () => void
}

/** A judged message that waits for the batch to be stored. */
interface Judged {
  readonly request: ClientRequest
  readonly scope: Scope
  readonly answer: Answer
}

const directiveKey = (segment: string, mac: Mac): string => `${segment} ${mac}`

export function createEngine(
  facts: ServerFacts,
  books: ReadonlyMap<string, LeaseBook>,
  stored: readonly Directive[],
  outside: EngineOutside,
): Engine {
  const count = counters()
  const directives = new Map(stored.map((each) => [directiveKey(each.segment, each.mac), each]))
  const requestListeners = new Set<(mac: Mac) => void>()
  /** Addresses being asked for: bounded by the pools, since each is held for its client. */
  const probing = new Set<string>()
  const book = (segment: string): LeaseBook => books.get(segment)!

  const caseOf = (request: ClientRequest, scope: Scope, nowNs: bigint): Case => ({
    request,
    scope,
    serverIdentifier: facts.serverIdentifier,
    leases: book(scope.segment),
    directive: directives.size === 0 ? undefined : directives.get(directiveKey(scope.segment, request.mac)),
    nowMs: Number(nowNs / 1_000_000n),
    nowNs: outside.now,
    newNonce: outside.newNonce,
  })

  const judge = ({payload, destination}: Arrival, nowNs: bigint): Judged | undefined => {
    let message: ReturnType<typeof parseDhcp>
    try {
      message = parseDhcp(payload)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      count.drop(error.reason)
      return undefined
    }
    const request = readRequest(message, destination)
    if (typeof request === 'string') {
      count.drop(request)
      return undefined
    }
    count.receive(request.type)
    const scope = scopeFor(facts, message.giaddr, message.ciaddr, destination !== '255.255.255.255')
    if (!scope) {
      count.drop('unknown-segment')
      outside.warn('unknown-segment', `a relay at ${message.giaddr} serves no segment of this server`)
      return undefined
    }
    if (request.type === DHCPDISCOVER && isProbing(request, scope)) {
      count.drop('probing')
      return undefined
    }
    return {request, scope, answer: answer(caseOf(request, scope, nowNs))}
  }

  /** A client that asks again while its address is being asked for waits for that. */
  const isProbing = ({mac}: ClientRequest, scope: Scope): boolean =>
    probing.size > 0 && probing.has(directiveKey(scope.segment, mac))

  const settle = (judged: readonly Judged[]): void => {
    const leaving: Departure[] = []
    for (const {request, scope, answer: given} of judged) {
      if (given.reason !== undefined) noteReason(request, scope, given)
      if (given.reply) {
        count.send(given.reply.type)
        const payload = bytesOf(request, given.reply.message)
        if (payload) leaving.push({payload, to: given.reply.to})
      }
    }
    if (leaving.length > 0) outside.send(leaving)
    for (const {request, scope, answer: given} of judged) {
      if (request.state !== undefined && given.reply) for (const listener of requestListeners) listener(request.mac)
      if (outside.report) {
        const directive = directives.get(directiveKey(scope.segment, request.mac))
        outside.report(exchangeEvent(request, scope, given, directive, outside.now()))
      }
    }
  }

  const bytesOf = ({mac, maximum}: ClientRequest, message: Dhcp): Uint8Array | undefined => {
    const room = Math.min(maximum, outside.maximum)
    try {
      const {payload, left} = serializeReply(message, room)
      if (left.length > 0) outside.warn('too-long', `${mac} takes ${room} bytes: option ${left.join(', ')} is left out`)
      return payload
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      count.drop('reply-too-long')
      outside.warn('too-long', `${mac} takes ${room} bytes, and gets no answer: ${error.message}`)
      return undefined
    }
  }

  const noteReason = ({mac}: ClientRequest, {segment}: Scope, {reason, reply, ip}: Answer): void => {
    if (!reply) count.drop(reason!)
    if (reason === 'pool-exhausted')
      outside.warn(reason, `the pool of segment ${segment} is exhausted: ${mac} gets no answer`)
    if (reason === 'reservation-in-use')
      outside.warn(reason, `somebody else uses the address reserved for ${mac} on segment ${segment}`)
    if (reason === 'held-by-another' && !reply)
      outside.warn('declined', `${mac} declines ${ip}: somebody else uses it on segment ${segment}`)
  }

  /** Puts a lease into its book; returns how to take it back. */
  const apply = (lease: Lease): (() => void) => {
    const target = book(lease.segment)
    const before = target.byIp(lease.ip)
    target.put(lease)
    return () => (before ? target.put(before) : target.remove(lease.ip))
  }

  const startProbe = (judged: Judged, arrival: Arrival): void => {
    const {request, scope, answer: given} = judged
    const key = directiveKey(scope.segment, request.mac)
    const again = {...arrival, payload: Uint8Array.from(arrival.payload)}
    const relay = request.message.giaddr === '0.0.0.0' ? undefined : request.message.giaddr
    probing.add(key)
    outside.probe!(given.probe!, request.mac, relay).then(
      (used) => {
        probing.delete(key)
        guarded(() => (used ? onConflict(judged, again) : settle([judged])), outside.warn)
      },
      (error: Error) => {
        probing.delete(key)
        // Or it would count as the client's own when it asks again, and be offered without a question.
        const held = book(scope.segment)
        if (held.byIp(given.probe!) === given.lease) held.remove(given.probe!)
        outside.warn('probe', `nobody could be asked for ${given.probe}, so it is not offered: ${error.message}`)
      },
    )
  }

  /** Somebody else has what was to be offered: the client, who never saw the offer, gets another for the same message. */
  const onConflict = ({scope, answer: given}: Judged, again: Arrival): void => {
    const segment = `segment ${scope.segment}`
    outside.warn('conflict', `${given.probe} is in use by a host that did not get it here (${segment})`)
    count.drop('conflict')
    if (given.lease) {
      const lease = declined(given.lease, scope, Number(outside.now() / 1_000_000n))
      // What cannot be stored is known until a restart, after which the address is asked for again.
      apply(lease)
      try {
        outside.commit([lease])
      } catch (error) {
        outside.warn('store', (error as Error).message)
      }
    }
    receive([again])
  }

  const store: Engine['store'] = ({lease, directive}) => {
    outside.commit(lease ? [lease] : [], directive ? [directive] : [])
    if (lease) apply(lease)
    if (directive) directives.set(directiveKey(directive.segment, directive.mac), directive)
  }

  const receive = (batch: readonly Arrival[]): void => {
    const nowNs = outside.now()
    const ready: Judged[] = []
    const durable = new Map<string, Lease>()
    const doneNaks: Directive[] = []
    const undo: (() => void)[] = []
    for (const arrival of batch) {
      const judged = judge(arrival, nowNs)
      if (!judged) continue
      const {lease, probe, nakDone} = judged.answer
      if (lease) {
        const takeBack = apply(lease)
        if (lease.state !== 'offered') {
          undo.push(takeBack)
          durable.set(`${lease.segment} ${lease.ip}`, lease)
        }
      }
      if (nakDone) {
        const key = directiveKey(judged.scope.segment, judged.request.mac)
        const done = {...directives.get(key)!, nak: false}
        directives.set(key, done)
        doneNaks.push(done)
      }
      if (probe !== undefined && outside.probe) startProbe(judged, arrival)
      else ready.push(judged)
    }
    const waits = ({answer: {lease, nakDone}}: Judged): boolean =>
      nakDone || (lease !== undefined && lease.state !== 'offered')
    // Offers promise nothing that must outlive this process: they need not wait for the disk.
    const waiting = ready.filter(waits)
    settle(waiting.length === 0 ? ready : ready.filter((judged) => !waits(judged)))
    if (waiting.length === 0) return
    try {
      outside.commit(durable.values(), doneNaks)
    } catch (error) {
      // Nothing of this batch is on disk, so that nobody may be told that it is.
      for (const takeBack of undo.reverse()) takeBack()
      for (const done of doneNaks) directives.set(directiveKey(done.segment, done.mac), {...done, nak: true})
      count.drop('not-stored')
      outside.warn('store', (error as Error).message)
      return
    }
    settle(waiting)
  }

  return {
    facts,
    counters: count,
    receive,
    book,
    directive: (segment, mac) => directives.get(directiveKey(segment, mac)),
    store,
    onRequest(listener) {
      requestListeners.add(listener)
      return () => void requestListeners.delete(listener)
    },
  }
}
