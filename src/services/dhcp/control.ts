// What the control socket's requests do. The protocol is in domain/dhcp/control.ts.
import {
  CONTROL_LINE_LIMIT,
  type ControlAnswers,
  type ControlRequest,
  type ExchangeEvent,
  type Ordered,
  parseControlRequest,
  type ServerStatus,
  type ShimStatus,
  type Transaction,
  type Whereabouts,
} from '../../domain/dhcp/control.ts'
import {isActive, type Lease, renewsAtMs} from '../../domain/dhcp/lease.ts'
import {inventorySiteOf, type Reservation, routersAt, type Sites, saidSite, siteOf} from '../../domain/dhcp/scope.ts'
import {hint} from '../../domain/suggest.ts'
import {Failure} from '../../errors.ts'
import type {JsonLines, JsonSession} from '../../net/stream/json-lines.ts'
import {isMac, type Mac, readMac} from '../../wire/address.ts'
import type {Engine, EngineOutside} from './engine.ts'
import {isoTime, leaseRow, xidText} from './events.ts'
import type {Forcerenewer} from './forcerenew.ts'
import {whereOf} from './guarded.ts'
import type {LeaseHolder} from './holder.ts'
import type {PeerLink} from './peer-link.ts'

/** Bytes that may wait for a watcher before it is cut off: the server's memory is not its to fill. */
const WATCHER_BACKLOG = 1 << 20
const PAGE = 500

export interface ControlParts {
  readonly engine: LeaseHolder
  readonly forcerenewer: Forcerenewer
  nowMs(): number
  /** The other server of the segment, if there is one. */
  readonly peer?: Pick<PeerLink, 'tell' | 'status'> | undefined
  readonly watchers: Watchers
  status(): ServerStatus | ShimStatus
  warn: EngineOutside['warn']
  /** Finds out what a request asks for, where that is not known here yet. */
  learn?(request: ControlRequest): Promise<void>
}

/** Those who asked to be told of exchanges. */
export interface Watchers {
  readonly size: number
  tell(event: ExchangeEvent): void
  add(lines: JsonLines, wants: (event: ExchangeEvent) => boolean): void
  remove(lines: JsonLines): void
}

export function watchers(): Watchers {
  const all = new Map<JsonLines, (event: ExchangeEvent) => boolean>()
  return {
    get size() {
      return all.size
    },
    tell(event) {
      for (const [lines, wants] of all) {
        if (!wants(event) || lines.send({event}) < WATCHER_BACKLOG) continue
        all.delete(lines)
        lines.close()
      }
    },
    add: (lines, wants) => void all.set(lines, wants),
    remove: (lines) => void all.delete(lines),
  }
}

/** One connection. Every request is answered, whatever is wrong with it. */
export function controlSession(parts: ControlParts, lines: JsonLines): JsonSession {
  const refuse = (error: unknown): void => {
    const known = error instanceof Failure
    // A bug in one command must not stop the service for all.
    if (!known) parts.warn('internal', `a control command met an internal error: ${whereOf(error)}`)
    const message = known ? error.message : `internal error: ${(error as Error).message}`
    lines.send({ok: false, error: {kind: known ? error.kind : 'runtime', message}})
  }
  const send = (answer: Answer): void => void lines.send({ok: true, ...answer})
  const {learn} = parts
  const take = (line: string): Promise<void> | undefined => {
    try {
      if (line.length > CONTROL_LINE_LIMIT) throw tooLong()
      const request = parseControlRequest(line)
      const answer = learn ? learn(request).then(() => obey(parts, request, lines)) : obey(parts, request, lines)
      if (answer instanceof Promise) return answer.then(send).catch(refuse)
      send(answer)
    } catch (error) {
      refuse(error)
    }
    return undefined
  }
  /** An answer that waits for somebody else; those to what was asked later come behind it. */
  let waiting: Promise<void> | undefined
  return {
    onLine(line) {
      waiting = waiting ? waiting.then(() => take(line)) : take(line)
    },
    onTooLong: () => refuse(tooLong()),
    onClose() {
      const end = (): void => parts.watchers.remove(lines)
      // What was asked before it closed may still come to be a watch.
      if (waiting) void waiting.then(end)
      else end()
    },
  }
}

const tooLong = (): Failure => new Failure('usage', `the request is longer than ${CONTROL_LINE_LIMIT} bytes`)

type Answer = ControlAnswers[keyof ControlAnswers] | ShimStatus

function obey(parts: ControlParts, request: ControlRequest, lines: JsonLines): Answer | Promise<Answer> {
  switch (request.do) {
    case 'relocate':
      return relocate(parts, find(parts, request.vm), request.site, request.trigger ?? true)
    case 'site':
      return whereabouts(parts, find(parts, request.vm))
    case 'nak':
      return refuseRenewal(parts, find(parts, request.vm))
    case 'forcerenew':
      return forcerenew(parts, find(parts, request.vm))
    case 'transaction':
      return transaction(parts, find(parts, request.vm), request.reserveReplay ?? false)
    case 'leases':
      return leases(parts, request)
    case 'status':
      return parts.status()
    case 'watch': {
      const only = request.vm === undefined ? undefined : find(parts, request.vm).mac
      parts.watchers.add(lines, ({mac}) => only === undefined || mac === only)
      return {watching: true}
    }
  }
}

/** A client as a request means it. */
interface Target {
  readonly scope: Sites
  readonly mac: Mac
  /** Its name in the inventory, or its MAC. */
  readonly name: string
  readonly lease: Lease | undefined
}

/** A VM's name, an address, or a MAC. @throws Failure `usage` for what this server does not know. */
function find({engine}: ControlParts, vm: string): Target {
  const mac = readMac(vm)
  for (const scope of engine.facts.scopes.values()) {
    const book = engine.book(scope.segment)
    const reservation = mac === undefined ? reservationOf(scope, vm) : scope.reservations.get(mac)
    const wanted = reservation?.mac ?? mac
    const held = wanted === undefined ? book.byIp(vm) : book.byMac(wanted)
    const lease = held?.state === 'declined' ? undefined : held
    const owner = reservation?.mac ?? lease?.mac
    if (owner !== undefined) {
      return {scope, mac: owner, name: scope.reservations.get(owner)?.vm ?? owner, lease}
    }
  }
  const known = [...engine.facts.scopes.values()].flatMap(({reservations}) =>
    [...reservations.values()].map((each) => each.vm),
  )
  const where = isMac(vm) || /^\d+\./.test(vm) ? ' (no lease and no reservation)' : hint(vm, known)
  throw new Failure('usage', `no VM "${vm}" here${where}`)
}

function reservationOf({reservations}: Sites, nameOrIp: string): Reservation | undefined {
  for (const each of reservations.values()) if (each.vm === nameOrIp || each.ip === nameOrIp) return each
  return undefined
}

function relocate(
  parts: ControlParts,
  target: Target,
  site: string | null,
  trigger: boolean,
): Ordered | Promise<Ordered> {
  const {engine, forcerenewer} = parts
  const {scope, mac, lease} = target
  const sites = [...new Set(scope.routers.map((router) => router.site))]
  if (site !== null && !sites.includes(site)) {
    const why = `site "${site}" has no router on segment ${scope.segment}${hint(site, sites)}`
    throw new Failure('usage', engine.wrongSite?.(site) ?? why)
  }
  // An order to refuse its next renewal was for another router, and went with a switch that is over.
  const inventorySite = inventorySiteOf(scope, mac)
  const said = {segment: scope.segment, mac, site: site ?? undefined, inventorySite, nak: false}
  const directive = engine.direct(said)
  const sends = trigger && lease !== undefined && forcerenewer.takes(lease, parts.nowMs())
  const peer = parts.peer?.tell(directive, trigger ? (sends ? lease.lastSeenMs : 0) : undefined)
  if (sends) forcerenewer.start(lease)
  return withPeer(ordered(parts, target, sends ? 'forcerenew' : undefined), peer)
}

const withPeer = (answer: Ordered, peer: ReturnType<PeerLink['tell']> | undefined): Ordered | Promise<Ordered> =>
  peer ? peer.then((word) => ({...answer, peer: word})) : answer

function whereabouts({engine}: ControlParts, {scope, mac, name}: Target): Whereabouts {
  const directive = engine.directive(scope.segment, mac)
  const said = saidSite(scope, directive)
  const site = siteOf(scope, mac, directive)
  return {vm: name, said, site, router: routersAt(scope, site)[0]}
}

function refuseRenewal(parts: ControlParts, target: Target): Ordered | Promise<Ordered> {
  const {scope, mac} = target
  const site = saidSite(scope, parts.engine.directive(scope.segment, mac))
  const inventorySite = inventorySiteOf(scope, mac)
  const directive = parts.engine.direct({segment: scope.segment, mac, site, inventorySite, nak: true})
  return withPeer(ordered(parts, target, 'nak'), parts.peer?.tell(directive))
}

function forcerenew(parts: ControlParts, target: Target): Ordered {
  const {lease, name} = target
  if (!lease || !isActive(lease, parts.nowMs()) || lease.state !== 'bound')
    throw new Failure('refused', `${name} has no lease here`)
  if (!parts.forcerenewer.takes(lease, parts.nowMs())) {
    const why = lease.capable145 ? 'it has no nonce yet' : 'its client never sent option 145'
    throw new Failure('refused', `${name} takes no FORCERENEW: ${why} (nak it, or wait for its T1)`)
  }
  parts.forcerenewer.start(lease)
  return ordered(parts, target, 'forcerenew')
}

function ordered(
  parts: ControlParts,
  {scope, mac, lease, name}: Target,
  trigger: Ordered['trigger'] | undefined,
): Ordered {
  const site = siteOf(scope, mac, parts.engine.directive(scope.segment, mac))
  const bound = lease?.state === 'bound' && isActive(lease, parts.nowMs())
  return {
    vm: name,
    site,
    router: routersAt(scope, site)[0],
    trigger: bound ? (trigger ?? 'renewal') : 'none',
    renewsBy: bound ? isoTime(renewsAtMs(lease)) : undefined,
  }
}

function transaction(parts: ControlParts, {scope, mac, lease, name}: Target, reserve: boolean): Transaction {
  if (!lease || lease.state === 'offered') throw new Failure('usage', `${name} has no lease here`)
  const replay = reserve ? parts.forcerenewer.reserveReplay(lease) : lease.replay
  const site = siteOf(scope, mac, parts.engine.directive(scope.segment, mac))
  return {
    vm: name,
    segment: scope.segment,
    ip: lease.ip,
    mac,
    xid: xidText(lease.xid),
    nonce: lease.nonce || undefined,
    replay: `${replay}`,
    capable145: lease.capable145,
    lastSeen: isoTime(lease.lastSeenMs),
    expires: isoTime(lease.expiresAtMs),
    renewsBy: isoTime(renewsAtMs(lease)),
    renewsEvery: (renewsAtMs(lease) - lease.lastSeenMs) / 1000,
    kind: lease.kind || undefined,
    serverIdentifier: parts.engine.serverOf(lease),
    router: lease.router || undefined,
    nextRouter: routersAt(scope, site)[0],
    port: parts.engine.portOf?.(lease),
  }
}

function leases(
  {engine, nowMs}: ControlParts,
  {segment, after = 0, limit = PAGE}: Extract<ControlRequest, {do: 'leases'}>,
): ControlAnswers['leases'] {
  const scopes = [...engine.facts.scopes.values()]
  if (segment !== undefined && !engine.facts.scopes.has(segment)) {
    throw new Failure(
      'usage',
      `no segment "${segment}" here${hint(
        segment,
        scopes.map((scope) => scope.segment),
      )}`,
    )
  }
  const chosen = scopes.filter((scope) => segment === undefined || scope.segment === segment)
  const rows = []
  let at = 0
  for (const scope of chosen) {
    for (const lease of engine.book(scope.segment).all()) {
      if (at++ < after) continue
      if (rows.length === limit) return {leases: rows, next: at - 1}
      rows.push(leaseRow(lease, scope, engine.directive(scope.segment, lease.mac), nowMs()))
    }
  }
  return {leases: rows, next: undefined}
}

/** What the status of a server is made of. */
export interface StatusParts {
  readonly engine: Engine
  nowMs(): number
  readonly watchers: Watchers
  readonly interfaceName: string
  readonly sinceMs: number
  residentBytes(): number
  readonly peer?: Pick<PeerLink, 'status'> | undefined
}

export function serverStatus(parts: StatusParts): ServerStatus {
  const {engine, nowMs} = parts
  return {
    serverIdentifier: engine.facts.serverIdentifier,
    interface: parts.interfaceName,
    since: isoTime(parts.sinceMs),
    segments: [...engine.facts.scopes.values()].map(({segment}) => {
      const book = engine.book(segment)
      const {free, bound} = book.count(nowMs())
      return {segment, pool: {size: book.poolSize, free}, bound}
    }),
    received: engine.counters.received(),
    sent: engine.counters.sent(),
    dropped: engine.counters.dropped(),
    watchers: parts.watchers.size,
    residentBytes: parts.residentBytes(),
    peer: parts.peer?.status(),
  }
}
