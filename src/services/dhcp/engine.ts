// The server between its sockets and its disk: tells the step what happens, and does what that says.
import type {LeaseBook} from '../../domain/dhcp/book.ts'
import type {Holder} from '../../domain/dhcp/conflict.ts'
import type {ExchangeEvent} from '../../domain/dhcp/control.ts'
import type {Counters} from '../../domain/dhcp/counters.ts'
import type {Directive, Lease} from '../../domain/dhcp/lease.ts'
import {nextSequence} from '../../domain/dhcp/replication.ts'
import type {ServerFacts} from '../../domain/dhcp/scope.ts'
import {bookOf, dhcpServer, directiveOf, isAnsweredRequest, newsOf, step} from '../../domain/dhcp/server.ts'
import type {
  Arrival,
  Batch,
  Departure,
  Exchange,
  ServerAction,
  ServerEvent,
  ServerNow,
} from '../../domain/dhcp/server-events.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {exchangeEvent} from './events.ts'
import {guarded} from './guarded.ts'
import type {LeaseHolder} from './holder.ts'

/** All that the engine may touch. */
export interface EngineOutside {
  /** CLOCK_REALTIME, ns. */
  now(): bigint
  /** 16 unguessable bytes, 32 hex digits. */
  newNonce(): string
  /** Durable when it returns. @throws Failure */
  commit(leases: Iterable<Lease>, directives?: Iterable<Directive>): void
  /** What a client or the inventory did to directives is durable. Left out where there is no other server. */
  readonly replicate?: ((directives: readonly Directive[]) => void) | undefined
  send(departures: readonly Departure[]): void
  /** Who uses the address; undefined: do not ask. `relay` is that of the client, if it has one. */
  readonly probe: ((ip: Ipv4, client: Mac, relay: Ipv4 | undefined) => Promise<Holder | undefined>) | undefined
  /** Tells of an exchange. Left out as long as nobody listens. */
  readonly report: ((event: ExchangeEvent) => void) | undefined
  /** Something an operator should look at; `key` names the kind, for limiting its rate. */
  warn(key: string, line: string): void
  /** Longest UDP payload that leaves in one frame. */
  readonly maximum: number
}

export interface Engine extends LeaseHolder {
  readonly facts: ServerFacts
  readonly counters: Counters
  /** Answers a batch, whose bytes are valid until it returns. */
  receive(batch: readonly Arrival[]): void
  book(segment: string): LeaseBook
  /** All of them, the segments' that are not served too. */
  directives(): readonly Directive[]
  /** The greatest of all directives that were ever seen. */
  readonly lastSequence: number
  /** Stores what is news among the directives of another server, and returns it. @throws Failure */
  take(directives: readonly Directive[]): readonly Directive[]
  /** Goes on with another inventory. */
  reload(facts: ServerFacts, books: ReadonlyMap<string, LeaseBook>): void
}

export function createEngine(
  facts: ServerFacts,
  books: ReadonlyMap<string, LeaseBook>,
  stored: readonly Directive[],
  outside: EngineOutside,
): Engine {
  const server = dhcpServer(facts, books, stored)
  const requestListeners = new Set<(mac: Mac) => void>()
  const now: ServerNow = {
    nowNs: outside.now,
    newNonce: outside.newNonce,
    probes: outside.probe !== undefined,
    maximum: outside.maximum,
  }

  const happen = (event: ServerEvent): void => {
    for (const action of step(server, event, now)) carryOut(action)
  }

  const carryOut = (action: ServerAction): void => {
    switch (action.kind) {
      case 'send':
        outside.send(action.departures)
        break
      case 'commit':
        happen(committed(action.batch))
        break
      case 'probe':
        ask(action)
        break
      case 'tell':
        for (const exchange of action.exchanges) tell(exchange)
        break
      case 'warn':
        outside.warn(action.key, action.line)
    }
  }

  const committed = (batch: Batch): ServerEvent => {
    try {
      outside.commit(batch.leases.values(), batch.directives)
      if (batch.directives.length > 0) outside.replicate?.(batch.directives)
      return {kind: 'stored', batch}
    } catch (error) {
      return {kind: 'not_stored', batch, why: (error as Error).message}
    }
  }

  const ask = ({client, ip, mac, relay}: ServerAction & {kind: 'probe'}): void => {
    const answered = (event: ServerEvent): void => guarded(() => happen(event), outside.warn)
    outside.probe!(ip, mac, relay).then(
      (holder) => answered({kind: 'probed', client, holder}),
      (error: Error) => answered({kind: 'not_probed', client, why: error.message}),
    )
  }

  const tell = (exchange: Exchange): void => {
    const {request, scope, answer} = exchange
    if (isAnsweredRequest(exchange)) for (const listener of requestListeners) listener(request.mac)
    if (!outside.report) return
    const directive = directiveOf(server, scope.segment, request.mac)
    outside.report(exchangeEvent(request, scope, answer, directive, outside.now()))
  }

  happen({kind: 'reloaded', facts, books})
  return {
    get facts() {
      return server.facts
    },
    counters: server.counters,
    receive: (batch) => happen({kind: 'arrivals', batch}),
    book: (segment) => bookOf(server, segment),
    directive: (segment, mac) => directiveOf(server, segment, mac),
    directives: () => [...server.directives.values()],
    get lastSequence() {
      return server.lastSequence
    },
    store(lease) {
      outside.commit([lease])
      happen({kind: 'changed', lease})
    },
    direct(said) {
      const sequence = nextSequence(server.lastSequence, Number(outside.now() / 1_000_000n))
      const directive = {...said, version: {sequence, origin: server.facts.serverIdentifier}}
      outside.commit([], [directive])
      happen({kind: 'changed', directives: [directive]})
      return directive
    },
    take(came) {
      const news = newsOf(server, came)
      if (news.length === 0) return news
      outside.commit([], news)
      happen({kind: 'changed', directives: news})
      return news
    },
    reload: (next, itsBooks) => happen({kind: 'reloaded', facts: next, books: itsBooks}),
    serverOf: () => server.facts.serverIdentifier,
    onRequest(listener) {
      requestListeners.add(listener)
      return () => void requestListeners.delete(listener)
    },
  }
}
