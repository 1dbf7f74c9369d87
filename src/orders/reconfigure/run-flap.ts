// `send-reconfigure --trigger carrier`: the client's link goes down for a moment, and it is seen whether it asks then.
import {CARRIER_DOWN_MS, carrierCost, IGNORES_CARRIER, knownKind} from '../../domain/dhcp/client-kind.ts'
import type {Inventory} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import {checkLink, linkText} from '../../net/vm-link/vm-link.ts'
import type {World} from '../../net/world.ts'
import type {DhcpBackend, DhcpClient} from '../../strategies/dhcp/backends/backend.ts'
import type {ClientStore} from '../../strategies/dhcp/client-store.ts'
import {reconfigureClient} from '../../strategies/dhcp/reconfigure.ts'
import {datagramSender, frameSender} from '../../strategies/dhcp/senders.ts'
import {carrierTrigger} from '../../strategies/dhcp/triggers.ts'
import {type ReconfigureDocument, reconfigureDocument} from './reconfigure-report.ts'
import {interfaceFor, linkOf, type ReconfigureOrder, type ReconfigureRequest} from './reconfigure-request.ts'

/** For the client to ask, ms: one that has many addresses to see to takes seconds. */
const ASK_MS = 8000

export interface FlapSources {
  readonly inventory: Inventory | undefined
  readonly backend: DhcpBackend | undefined
  readonly store: ClientStore
}

export interface FlapStage {
  readonly world: World
  readonly signal: AbortSignal
  readonly dryRun: boolean
}

/** @throws Failure `usage` before anything is done, `refused` for a client that takes no notice, and as flapLink. */
export async function runFlap(
  order: ReconfigureOrder,
  request: ReconfigureRequest,
  client: DhcpClient,
  {inventory, backend, store}: FlapSources,
  {world, signal, dryRun}: FlapStage,
): Promise<ReconfigureDocument> {
  const link = linkOf(order, client, inventory)
  const said = inventory?.vms.find(({mac}) => mac === client.mac)?.dhcp?.client
  const before = store.read(client.mac)
  const kind = knownKind(said, await backend?.lastTransaction(client), before)
  if (kind && IGNORES_CARRIER.includes(kind))
    throw new Failure(
      'refused',
      `${client.name} runs ${kind}, which does not ask anew when its link comes back: not done`,
    )
  await checkLink(link)
  const via = interfaceFor(order.interfaceName, client.ip, await world.interfaces())
  const head = {message: 'link flap', interfaceName: via?.name, dryRun, router: request.router, warnings: []} as const
  if (dryRun) {
    const what = `would take the link of ${client.name} (${client.mac}) down for ${CARRIER_DOWN_MS / 1000} s and up again (${linkText(link)})`
    return reconfigureDocument({...head, rows: [], frames: [], link: `${what}: ${carrierCost(kind)}`})
  }
  const sender = via
    ? await frameSender(world, {
        interfaceName: via.name,
        // Nothing is sent: it only listens.
        sourceIp: () => client.ip,
        vlanId: order.vlanId,
        clients: [client],
        learn: (seen) => store.learn(seen),
      })
    : datagramSender(world)
  try {
    const context = {
      ...{world, watch: sender, signal, trigger: carrierTrigger(link)},
      ...(backend && {transaction: () => backend.lastTransaction(client)}),
      observe: ({text}: {text: string}) => world.log(text),
    }
    const report = await reconfigureClient(client, context, {attempts: 1, timeoutMs: ASK_MS, router: request.router})
    const traits = {
      kind: report.traits.kind ?? kind,
      canListen: report.traits.canListen ?? before?.canListen,
    }
    const row = {...report, traits, wanted: request.router, sees: sender.sees || backend !== undefined, signed: true}
    return reconfigureDocument({...head, rows: [row], frames: []})
  } finally {
    await sender.close()
  }
}
