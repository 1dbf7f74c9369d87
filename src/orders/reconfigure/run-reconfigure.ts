// From the order to the document: what `gwswitch send-reconfigure` does between its flags and its words.
import type {Inventory} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import {readText} from '../../net/file/replace-file.ts'
import {recordingWorld} from '../../net/packet/recording.ts'
import type {World} from '../../net/world.ts'
import type {DhcpClient} from '../../strategies/dhcp/backends/backend.ts'
import {backendFor} from '../../strategies/dhcp/backends/backends.ts'
import {DEFAULT_STATE, openClientStore} from '../../strategies/dhcp/client-store.ts'
import {type CredentialSources, findCredentials} from '../../strategies/dhcp/credentials.ts'
import {parseNonceFile} from '../../strategies/dhcp/nonce-file.ts'
import {type ClientReport, reconfigureClient} from '../../strategies/dhcp/reconfigure.ts'
import {datagramSender, frameSender, type OpenSender} from '../../strategies/dhcp/senders.ts'
import {forcerenewTrigger} from '../../strategies/dhcp/triggers.ts'
import {ANY_IPV4, type Ipv4} from '../../wire/address.ts'
import {type PlannedVia, plannedFrame} from './planned-frames.ts'
import {
  type ReconfigureDocument,
  type ReconfigureFrame,
  reconfigureDocument,
  UNAUTHENTICATED,
} from './reconfigure-report.ts'
import {
  allClients,
  interfaceFor,
  namedClient,
  ownAddress,
  type ReconfigureFlags,
  type ReconfigureOrder,
  readFlags,
  segmentOf,
} from './reconfigure-request.ts'
import type {ReportRow, SkippedRow} from './row.ts'

export interface ReconfigureRun extends ReconfigureOrder {
  readonly nonceFile?: string | undefined
  readonly unauthenticated: boolean | undefined
  readonly attempts: number
  readonly timeoutMs: number
  /** Clients begun per second, with `all`. */
  readonly rate: number
  readonly state?: string | undefined
}

export interface ReconfigureDoor {
  readonly world: World
  readonly signal: AbortSignal
  readonly dryRun: boolean
  readonly pcap?: string | undefined
  /** Told after every client that is done. */
  progress?(done: number, all: number): void
}

/** @throws Failure `usage` before anything is sent, `runtime` and `privilege` from the interface, the server and the files. */
export async function runReconfigure(
  run: ReconfigureRun,
  inventory: Inventory | undefined,
  door: ReconfigureDoor,
): Promise<ReconfigureDocument> {
  const flags = readFlags(run)
  const segment = segmentOf(run, inventory)
  const backend = segment?.dhcp && backendFor(segment.dhcp, {segment: segment.name, world: door.world})
  const store = await openClientStore(run.state ?? segment?.dhcp?.state ?? DEFAULT_STATE)
  try {
    const resolve = async (ip: Ipv4) =>
      run.interfaceName === undefined ? undefined : (await door.world.resolveNeighbour(ip, run.interfaceName))?.mac
    const clients = run.all
      ? await allClients(segment, inventory, backend, store)
      : [await namedClient(run, flags, inventory, store, resolve)]
    const sources: CredentialSources = {
      world: door.world,
      store,
      backend,
      xid: flags.xid,
      serverId: flags.serverId ?? segment?.dhcp?.address,
      nonces: run.nonceFile === undefined ? undefined : nonceFile(run.nonceFile),
      unauthenticated: run.unauthenticated ?? false,
      dryRun: door.dryRun,
    }
    return await perform(run, flags, clients, sources, door)
  } finally {
    store.close()
  }
}

function nonceFile(path: string) {
  const text = readText(path)
  if (text === undefined) throw new Failure('usage', `--nonce-file ${path}: no such file`)
  return parseNonceFile(text, path)
}

async function perform(
  run: ReconfigureRun,
  flags: ReconfigureFlags,
  clients: readonly DhcpClient[],
  sources: CredentialSources,
  door: ReconfigureDoor,
): Promise<ReconfigureDocument> {
  const via = interfaceFor(run.interfaceName, clients[0]?.ip ?? ANY_IPV4, await door.world.interfaces())
  const sourceIp = ({ip}: DhcpClient): Ipv4 => {
    const own = via && (ownAddress(via, ip) ?? sources.serverId)
    if (own !== undefined) return own
    throw new Failure(
      'usage',
      `${via?.name} has no address on the subnet of ${ip}: give --server-id, which the frame then comes from`,
    )
  }
  const head = {
    message: 'FORCERENEW' as const,
    interfaceName: via?.name,
    dryRun: door.dryRun,
    router: flags.router,
    warnings: run.unauthenticated ? [UNAUTHENTICATED] : [],
  }
  const [first] = clients
  if (!first) return reconfigureDocument({...head, rows: [], frames: []})
  // One client: what is missing is an error of the command. Of many, each has its own row.
  if (!run.all) await findCredentials(first, {...sources, dryRun: true})
  if (door.dryRun) {
    const planned = await planAll(run, clients, sources, via && {mac: via.mac, sourceIp, vlanId: run.vlanId}, door)
    return reconfigureDocument({...head, ...planned})
  }
  const recording = door.pcap === undefined ? undefined : recordingWorld(door.world, door.pcap)
  const world = recording?.world ?? door.world
  const sender = via
    ? await frameSender(world, {
        interfaceName: via.name,
        sourceIp,
        vlanId: run.vlanId,
        clients,
        learn: (seen) => sources.store.learn(seen),
      })
    : datagramSender(world)
  try {
    const rows = await eachAtRate(clients, run, door, (client) =>
      orSkipped(client, run, sources, door, () => one(client, run, flags, sources, sender, door)),
    )
    return reconfigureDocument({...head, rows, frames: []})
  } finally {
    await sender.close()
    recording?.close()
  }
}

/** Of all clients the frame, or the row that says why it gets none. One after the other: nothing waits for them. */
async function planAll(
  run: ReconfigureRun,
  clients: readonly DhcpClient[],
  sources: CredentialSources,
  via: PlannedVia | undefined,
  door: ReconfigureDoor,
): Promise<{readonly rows: readonly SkippedRow[]; readonly frames: readonly ReconfigureFrame[]}> {
  const rows: SkippedRow[] = []
  const frames: ReconfigureFrame[] = []
  for (const [i, client] of clients.entries()) {
    door.signal.throwIfAborted()
    const planned = await orSkipped(client, run, sources, door, () => plannedFrame(client, sources, via))
    if ('outcome' in planned) rows.push(planned)
    else frames.push(planned)
    door.progress?.(i + 1, clients.length)
  }
  return {rows, frames}
}

/** With --all, what one client lacks is that client's row, and stops no other. */
async function orSkipped<T>(
  client: DhcpClient,
  {all}: ReconfigureRun,
  {store}: CredentialSources,
  {signal}: ReconfigureDoor,
  work: () => Promise<T>,
): Promise<T | SkippedRow> {
  try {
    return await work()
  } catch (error) {
    if (!all || !(error instanceof Failure) || error.kind === 'privilege' || signal.aborted) throw error
    const {kind, canListen} = store.read(client.mac) ?? {kind: undefined, canListen: undefined}
    return {client, outcome: 'skipped', reason: error.message, traits: {kind, canListen}}
  }
}

async function one(
  client: DhcpClient,
  run: ReconfigureRun,
  flags: ReconfigureFlags,
  sources: CredentialSources,
  sender: OpenSender,
  {world, signal}: ReconfigureDoor,
): Promise<ReportRow> {
  const before = sources.store.read(client.mac)
  const {backend} = sources
  const context = {
    world,
    watch: sender,
    signal,
    trigger: forcerenewTrigger(sender, sources),
    ...(backend && {transaction: () => backend.lastTransaction(client)}),
    observe: ({text}: {text: string}) => world.log(text),
  }
  const report: ClientReport = await reconfigureClient(client, context, {
    attempts: run.attempts,
    timeoutMs: run.timeoutMs,
    router: flags.router,
  })
  return {
    ...report,
    traits: {
      kind: report.traits.kind ?? before?.kind,
      canListen: report.traits.canListen ?? before?.canListen,
    },
    wanted: flags.router,
    sees: sender.sees || backend !== undefined,
    signed: !run.unauthenticated,
  }
}

/** At most this many clients are under way at once. */
const AT_ONCE = 256

/** Begins `rate` clients a second; rows in the order of the clients. An error ends it all once those under way are done. */
async function eachAtRate<T>(
  clients: readonly DhcpClient[],
  {rate}: ReconfigureRun,
  {world, signal, progress}: ReconfigureDoor,
  work: (client: DhcpClient) => Promise<T>,
): Promise<T[]> {
  const running = new Set<Promise<unknown>>()
  const rows: Promise<T>[] = []
  let done = 0
  for (const [i, client] of clients.entries()) {
    if (i > 0) await world.sleep(1000 / rate, signal)
    while (running.size >= AT_ONCE) await Promise.race(running)
    const row = work(client)
    const settled = row.then(
      () => progress?.(++done, clients.length),
      () => {},
    )
    running.add(settled)
    void settled.then(() => running.delete(settled))
    rows.push(row)
  }
  await Promise.all(running)
  return Promise.all(rows)
}
