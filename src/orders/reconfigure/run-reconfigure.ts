// From the order to the document: what `gwswitch send-reconfigure` does between its flags and its words.
import {findVm, type Inventory} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import {readText} from '../../net/file/text-file.ts'
import type {World} from '../../net/world.ts'
import type {DhcpClient} from '../../strategies/dhcp/backends/backend.ts'
import {backendFor} from '../../strategies/dhcp/backends/backends.ts'
import {whoAnswers} from '../../strategies/dhcp/choose-server.ts'
import {copyClientStore, DEFAULT_STATE, openClientStore} from '../../strategies/dhcp/client-store.ts'
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
  type ReconfigureOrder,
  type ReconfigureRequest,
  readRequest,
  segmentOf,
} from './reconfigure-request.ts'
import type {ReportRow, SkippedRow} from './row.ts'
import {runFlap} from './run-flap.ts'

export interface SendReconfigureStage {
  readonly world: World
  readonly signal: AbortSignal
  readonly dryRun: boolean
  /** Told after every client that is done. */
  progress?(done: number, all: number): void
}

/** @throws Failure `usage` before anything is sent, `runtime` and `privilege` from the interface, the server and the files. */
export async function runReconfigure(
  order: ReconfigureOrder,
  inventory: Inventory | undefined,
  stage: SendReconfigureStage,
): Promise<ReconfigureDocument> {
  const request = readRequest(order)
  const segment = segmentOf(order, inventory)
  const vm = inventory && order.client !== undefined ? findVm(inventory, order.client) : undefined
  // What its shim says it was given counts, whoever else is asked.
  const dhcp = segment && vm ? (await whoAnswers(segment, vm)).dhcp : segment?.dhcp
  const backend = segment && dhcp && backendFor(dhcp, {segment: segment.name, world: stage.world})
  const store = await (stage.dryRun ? copyClientStore : openClientStore)(
    order.state ?? segment?.dhcp?.state ?? DEFAULT_STATE,
  )
  try {
    const resolve = async (ip: Ipv4) =>
      order.interfaceName === undefined ? undefined : (await stage.world.resolveNeighbour(ip, order.interfaceName))?.mac
    const clients = order.all
      ? await allClients(segment, inventory, backend, store)
      : [await namedClient(order, request, inventory, store, resolve)]
    // One client alone has that trigger.
    if (order.trigger === 'carrier')
      return await runFlap(order, request, clients[0]!, {inventory, backend, store}, stage)
    const sources: CredentialSources = {
      world: stage.world,
      store,
      backend,
      xid: request.xid,
      serverId: request.serverId ?? segment?.dhcp?.address,
      nonces: order.nonceFile === undefined ? undefined : nonceFile(order.nonceFile),
      kindOf: ({mac}) => inventory?.vms.find((vm) => vm.mac === mac)?.dhcp?.client,
      unauthenticated: order.unauthenticated ?? false,
      dryRun: stage.dryRun,
    }
    return await perform(order, request, clients, sources, stage)
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
  order: ReconfigureOrder,
  request: ReconfigureRequest,
  clients: readonly DhcpClient[],
  sources: CredentialSources,
  stage: SendReconfigureStage,
): Promise<ReconfigureDocument> {
  const [first] = clients
  // One client: what is missing is an error of the command. Of many, each has its own row.
  const known = first && !order.all ? await findCredentials(first, {...sources, dryRun: true}) : undefined
  const via = interfaceFor(order.interfaceName, first?.ip ?? ANY_IPV4, await stage.world.interfaces())
  const sourceIp = ({ip}: DhcpClient): Ipv4 => {
    const own = via && (ownAddress(via, ip) ?? sources.serverId ?? known?.serverId)
    if (own !== undefined) return own
    throw new Failure(
      'usage',
      `${via?.name} has no address on the subnet of ${ip}: give --server-id, which the frame then comes from`,
    )
  }
  const head = {
    message: 'FORCERENEW' as const,
    interfaceName: via?.name,
    dryRun: stage.dryRun,
    router: request.router,
    warnings: order.unauthenticated ? [UNAUTHENTICATED] : [],
  }
  if (!first) return reconfigureDocument({...head, rows: [], frames: []})
  if (stage.dryRun) {
    const planned = await planAll(order, clients, sources, via && {mac: via.mac, sourceIp, vlanId: order.vlanId}, stage)
    return reconfigureDocument({...head, ...planned})
  }
  const {world} = stage
  const sender = via
    ? await frameSender(world, {
        interfaceName: via.name,
        sourceIp,
        vlanId: order.vlanId,
        clients,
        learn: (seen) => sources.store.learn(seen),
      })
    : datagramSender(world)
  try {
    const rows = await eachAtRate(clients, order, stage, (client) =>
      orSkipped(client, order, sources, stage, () => one(client, order, request, sources, sender, stage)),
    )
    return reconfigureDocument({...head, rows, frames: []})
  } finally {
    await sender.close()
  }
}

/** Of all clients the frame, or the row that says why it gets none. One after the other: nothing waits for them. */
async function planAll(
  order: ReconfigureOrder,
  clients: readonly DhcpClient[],
  sources: CredentialSources,
  via: PlannedVia | undefined,
  stage: SendReconfigureStage,
): Promise<{readonly rows: readonly SkippedRow[]; readonly frames: readonly ReconfigureFrame[]}> {
  const rows: SkippedRow[] = []
  const frames: ReconfigureFrame[] = []
  for (const [i, client] of clients.entries()) {
    stage.signal.throwIfAborted()
    const planned = await orSkipped(client, order, sources, stage, () => plannedFrame(client, sources, via))
    if ('outcome' in planned) rows.push(planned)
    else frames.push(planned)
    stage.progress?.(i + 1, clients.length)
  }
  return {rows, frames}
}

/** With --all, what one client lacks is that client's row, and stops no other. */
async function orSkipped<T>(
  client: DhcpClient,
  {all}: ReconfigureOrder,
  {store}: CredentialSources,
  {signal}: SendReconfigureStage,
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
  order: ReconfigureOrder,
  request: ReconfigureRequest,
  sources: CredentialSources,
  sender: OpenSender,
  {world, signal}: SendReconfigureStage,
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
    attempts: order.attempts,
    timeoutMs: order.timeoutMs,
    router: request.router,
  })
  return {
    ...report,
    traits: {
      kind: report.traits.kind ?? before?.kind,
      canListen: report.traits.canListen ?? before?.canListen,
    },
    wanted: request.router,
    sees: sender.sees || backend !== undefined,
    signed: !order.unauthenticated,
  }
}

/** At most this many clients are under way at once. */
const AT_ONCE = 256

/** Begins `rate` clients a second; rows in the order of the clients. An error ends it all once those under way are done. */
async function eachAtRate<T>(
  clients: readonly DhcpClient[],
  {rate}: ReconfigureOrder,
  {world, signal, progress}: SendReconfigureStage,
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
