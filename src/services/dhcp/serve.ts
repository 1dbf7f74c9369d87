// `serve dhcp`: opens everything, gives up privileges, and serves until it is told to stop.
import {randomBytes} from 'node:crypto'
import {
  CONTROL_LINE_LIMIT,
  DEFAULT_CONTROL_SOCKET,
  type ExchangeEvent,
  type ServerStatus,
} from '../../domain/dhcp/control.ts'
import {type ServeRequest, serverFacts} from '../../domain/dhcp/serve-request.ts'
import {findSegment, type Inventory} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import {type EchoSocket, openEchoSocket} from '../../net/dhcp/dhcp-echo.ts'
import {dropPrivileges, giveTo, ownerOf, systemUser} from '../../net/dhcp/dhcp-privileges.ts'
import {openDhcpSocket} from '../../net/dhcp/dhcp-socket.ts'
import {readyInterface} from '../../net/ip.ts'
import {anyOf, etherType} from '../../net/packet/bpf.ts'
import {serveJson} from '../../net/stream/json-lines.ts'
import type {World} from '../../net/world.ts'
import {DHCP_SERVER_PORT} from '../../wire/dhcp.ts'
import {ETHERTYPE_ARP} from '../../wire/ethernet.ts'
import {localStamp} from '../../wire/local-time.ts'
import {booksOf} from './books.ts'
import {type ConflictProbe, conflictProbe} from './conflict-probe.ts'
import {controlSession, serverStatus, watchers} from './control.ts'
import {createEngine, type EngineOutside} from './engine.ts'
import {afterMs, forcerenewer} from './forcerenew.ts'
import {guarded} from './guarded.ts'
import {openLeaseStore} from './lease-store.ts'
import {exchangeLine, limitedWarnings, logLine} from './log.ts'
import type {PeerOptions} from './peer.ts'
import type {PeerLink} from './peer-link.ts'
import {openReader, readAgain} from './reload.ts'
import {transport} from './transport.ts'

export interface ServeOptions extends ServeRequest, PeerOptions {
  /** The lease store. */
  readonly store: string
  readonly sync: 'full' | 'normal'
  /** Path of the control socket; undefined: the inventory's, or the usual one. */
  readonly control?: string | undefined
  /** Who to become; undefined: the owner of the store's directory, nobody if that is root. */
  readonly user?: string | undefined
  /** How long to ask for a fresh address before it is offered, ms; 0 does not ask. */
  readonly probeMs: number
  /** Log no exchanges, only warnings. */
  readonly quiet: boolean
}

export interface ServeDocument {
  readonly schema: 'gwswitch.serve-dhcp/1'
  readonly stoppedBy: string
  readonly status: ServerStatus
}

/** Serves until `signal` aborts. @throws Failure before the first packet is answered, for anything wrong by then. */
export async function serveDhcp(
  options: ServeOptions,
  inventory: Inventory | undefined,
  world: World,
  outlet: {log(line: string): void; readonly signal: AbortSignal; onReload?(reload: () => void): void},
): Promise<ServeDocument> {
  const face = await readyInterface(options.interfaceName)
  const facts = serverFacts(options, inventory, face.addresses)
  const isOneOfTwo = [options.peer, options.peerKey, options.listenPeer].some((each) => each !== undefined)
  // TLS is in the memory of those alone that need it.
  const peering = isOneOfTwo ? (await import('./peer.ts')).peeringOf(options, facts.serverIdentifier) : undefined
  const user =
    process.geteuid?.() === 0 ? await systemUser(options.user ?? ownerOf(options.store) ?? 'nobody') : undefined
  const nowMs = (): number => Number(world.now() / 1_000_000n)
  const say = (fields: Record<string, string | number | undefined>): void =>
    outlet.log(logLine({at: localStamp(nowMs()), ...fields}))
  const warn = limitedWarnings(nowMs, (line, held) => say({event: 'warning', message: line, held: held || undefined}))

  await using open = new AsyncDisposableStack()
  const store = await openLeaseStore(options.store, options.sync, (line) => warn('store-log', line))
  open.defer(() => store.close())
  const {books, dropped} = booksOf(facts, store.leases())
  const link = open.use(await world.openLink(options.interfaceName, {filter: anyOf([[etherType(ETHERTYPE_ARP)]])}))
  link.onError((error) => warn('link', error.message))

  const watching = watchers()
  let probe: ConflictProbe | undefined
  let peer: PeerLink | undefined
  let send: EngineOutside['send'] = () => {}
  const outside: EngineOutside = {
    now: world.now,
    newNonce: () => randomBytes(16).toString('hex'),
    commit: store.commit,
    replicate: (directives) => directives.forEach((each) => void peer?.tell(each)),
    send: (departures) => send(departures),
    probe: options.probeMs === 0 ? undefined : (ip, client, relay) => probe!.probe(ip, client, relay),
    get report() {
      if (options.quiet && watching.size === 0) return undefined
      return (event: ExchangeEvent) => {
        if (!options.quiet) outlet.log(exchangeLine(event))
        if (watching.size > 0) watching.tell(event)
      }
    },
    warn,
    maximum: link.mtu - 28,
  }
  const engine = createEngine(facts, books, store.directives(), outside)
  const renewer = forcerenewer(engine, outside, afterMs)
  open.defer(() => renewer.stop())

  const socket = openDhcpSocket(options.interfaceName, DHCP_SERVER_PORT, (batch) =>
    guarded(() => engine.receive(batch), warn),
  )
  open.defer(() => socket.close())
  const local = {ip: facts.serverIdentifier, prefix: facts.scopes.get(facts.local)!.prefix}
  const way = transport(socket, link, local, warn)
  send = way.send
  open.defer(() => {
    // A reply that was waiting for the disk comes too late.
    send = () => {}
    way.stop()
  })
  const echo = options.probeMs > 0 ? openEcho((from) => probe?.onEcho(from), world.random) : undefined
  if (echo) open.defer(() => echo.close())
  probe = conflictProbe(link, {waitMs: options.probeMs, echo, sleep: (ms) => world.sleep(ms)})

  const self = {server: facts.serverIdentifier, segment: facts.local, share: options.share}
  const shared = {self, engine, forcerenewer: renewer, nowMs, warn}
  if (peering) {
    const listening = await peering.listen(shared, say, () => peer?.retry())
    open.defer(() => listening.close())
  }
  const parts = {
    ...shared,
    get peer() {
      return peer
    },
    watchers: watching,
    status: (): ServerStatus => serverStatus(parts),
    interfaceName: options.interfaceName,
    sinceMs: nowMs(),
    residentBytes: () => process.memoryUsage.rss(),
  }
  const listening =
    options.control ?? (inventory && findSegment(inventory, facts.local)?.dhcp?.control) ?? DEFAULT_CONTROL_SOCKET
  const limits = {lineLimit: CONTROL_LINE_LIMIT, connectionLimit: 64}
  const control = await serveJson(listening, limits, (lines) => controlSession(parts, lines))
  open.defer(() => control.close())
  const read = await openReader()
  if (user) giveTo(user, options.store)
  dropPrivileges(user ?? {name: '', uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0})

  if (dropped > 0)
    say({event: 'warning', message: `${dropped} stored leases are of no segment served here; they stay stored`})
  const served = [...facts.scopes.keys()].join(',')
  say({
    event: 'ready',
    interface: options.interfaceName,
    server: facts.serverIdentifier,
    segments: served,
    control: listening,
    user: user?.name,
  })
  if (peering) {
    const link = peering.link(shared, say, afterMs)
    open.defer(() => link.stop())
    peer = link
  }
  const again = async (): Promise<void> => {
    const stays = (why: string): void =>
      say({event: 'warning', message: `inventory not taken: ${why}; goes on with the one before`})
    if (!inventory) return stays('the server was started without one')
    try {
      const next = await readAgain(read, options, inventory.file, face.addresses, engine.facts)
      const held = [...engine.facts.scopes.keys()].flatMap((segment) => [...engine.book(segment).all()])
      const others = store.leases().filter(({segment}) => !engine.facts.scopes.has(segment))
      engine.reload(next, booksOf(next, [...held, ...others]).books)
    } catch (error) {
      return stays((error as Error).message)
    }
    const vms = [...engine.facts.scopes.values()].reduce((sum, {reservations}) => sum + reservations.size, 0)
    say({event: 'reloaded', segments: [...engine.facts.scopes.keys()].join(','), vms})
  }
  let reloading: Promise<void> = Promise.resolve()
  outlet.onReload?.(() => {
    reloading = reloading.then(again)
  })
  const stoppedBy = await aborted(outlet.signal)
  const document = {schema: 'gwswitch.serve-dhcp/1', stoppedBy, status: parts.status()} as const
  say({event: 'stopped', message: stoppedBy})
  return document
}

function openEcho(onReply: (from: string) => void, random: () => number): EchoSocket {
  return openEchoSocket(Math.floor(random() * 0x10000), onReply)
}

async function aborted(signal: AbortSignal): Promise<string> {
  if (!signal.aborted)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), {once: true}))
  return signal.reason instanceof Failure ? signal.reason.message : 'stopped'
}
