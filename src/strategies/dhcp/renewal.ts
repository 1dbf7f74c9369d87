// The two things that are done about a VM: its server is told which router to give, and its client is made to ask.
import type {NamedGateway} from '../../domain/proof/gateway.ts'
import {Failure} from '../../errors.ts'
import type {Ipv4} from '../../wire/address.ts'
import type {Stage} from '../strategy.ts'
import type {DhcpBackend} from './backends/backend.ts'
import {backendFor} from './backends/backends.ts'
import {orUnknown} from './backends/context.ts'
import {type ClientStore, openClientStore} from './client-store.ts'
import {type DhcpPlan, type PlannedTrigger, serverOf} from './plan.ts'
import {type ClientReport, reconfigureClient, type Trigger} from './reconfigure.ts'
import {frameSender, type OpenSender} from './senders.ts'
import {carrierTrigger, forcerenewTrigger, guestTrigger, nakTrigger, waitTrigger} from './triggers.ts'

/** How long the link stays open after the ACK, ms: a client that has a new router asks the segment for it. */
const LINGER_MS = 100

/** How long a client may need for its route after its link was down: it may probe its address before it takes it again. ns. */
export const SETTLE_NS = 10_000_000_000n

/** Whether the client's link may have been taken down for this. */
export const takesLinkDown = ({triggers}: DhcpPlan): boolean => triggers.some(({kind}) => kind === 'carrier')

export interface Tools {
  readonly store: ClientStore
  readonly backend: DhcpBackend
}

export const backendOf = (plan: DhcpPlan, {world}: Pick<Stage, 'world'>): DhcpBackend =>
  backendFor(serverOf(plan), {segment: plan.segment.name, world})

/** With the server and what clients said, which is kept in a file: it is made if it is not there. */
export async function withClient<T>(plan: DhcpPlan, stage: Stage, use: (tools: Tools) => Promise<T>): Promise<T> {
  const store = await openClientStore(plan.state)
  try {
    return await use({store, backend: backendOf(plan, stage)})
  } finally {
    store.close()
  }
}

/** From its next ACK on the VM gets this gateway. */
export async function give(plan: DhcpPlan, gateway: NamedGateway, tools: Tools, stage: Stage): Promise<void> {
  await withCondition(plan, tools, stage, () => tools.backend.setRouter(plan.vm, gateway))
  say(plan, stage, `the router of ${plan.vm.name} is ${gateway.ip} (${gateway.name})`)
}

/** Says how servers that are several are before and after a change; what they do not tell keeps nothing from being done. */
export async function withCondition(
  plan: DhcpPlan,
  {backend}: Tools,
  stage: Stage,
  change: () => Promise<void>,
): Promise<void> {
  const tell = async (when: string): Promise<void> => {
    const words = await orUnknown(Promise.resolve(backend.condition?.()))
    if (words !== undefined) say(plan, stage, `${words}, ${when}`)
  }
  await tell('before')
  await change()
  await tell('after')
}

export const say = ({reach}: DhcpPlan, {world, observe}: Stage, text: string): void =>
  observe({atNs: world.now(), text: `${reach}: ${text}`})

/** Opens the link that a FORCERENEW leaves by, and what passes is seen on: before the server is told anything. */
export async function withSender<T>(
  plan: DhcpPlan,
  {store}: Tools,
  {world}: Stage,
  use: (sender: OpenSender) => Promise<T>,
): Promise<T> {
  const sender = await frameSender(world, {
    interfaceName: plan.interface,
    sourceIp: () => plan.sourceIp,
    vlanId: plan.vlan ?? undefined,
    clients: [plan.vm],
    learn: (seen) => store.learn(seen),
  })
  try {
    return await use(sender)
  } finally {
    await sender.close()
  }
}

/** What the client is made to ask for. */
export interface Wanted {
  /** The router that the ACK must carry; any if undefined. */
  readonly router: Ipv4 | undefined
  /**
   * Tells the server again what it was told for this. The next renewal of a client that began anew by itself, or never
   * asked in time, would else still be refused; one that is cut short here is taken back by the rollback.
   */
  again(): Promise<void>
}

/** Pulls one trigger after the other until the client has acted. */
export async function makeAsk(
  plan: DhcpPlan,
  {router, again}: Wanted,
  sender: OpenSender,
  tools: Tools,
  stage: Stage,
): Promise<void> {
  const {store, backend} = tools
  const {world, signal, observe} = stage
  for (const planned of plan.triggers) {
    const context = {
      world,
      watch: sender,
      trigger: triggerFor(planned, sender, tools, stage),
      transaction: () => backend.lastTransaction(plan.vm),
      signal,
      observe,
    }
    const limits = planned.kind === 'forcerenew' ? planned : {attempts: 1, timeoutMs: planned.longestMs}
    const report = await attempt(() => reconfigureClient(plan.vm, context, {...limits, router}), plan, stage)
    if (planned.kind === 'nak') {
      await again()
      say(plan, stage, `refuses no renewal of ${plan.vm.name} any more`)
    }
    // Where frames of the exchange do not pass, the server's word stands for the ACK; what it is set to give does not.
    if (report?.toldBy === 'server') store.learnTold(plan.vm, report.router, world.now())
    if (report?.toldBy === 'configured') store.learnTold(plan.vm, undefined, world.now())
    if (report?.outcome !== 'acted') continue
    await world.sleep(LINGER_MS, signal)
    return
  }
}

function triggerFor(
  planned: PlannedTrigger,
  sender: OpenSender,
  {store, backend}: Tools,
  {world, signal}: Stage,
): Trigger {
  switch (planned.kind) {
    case 'forcerenew':
      return forcerenewTrigger(sender, {world, store, backend, unauthenticated: false})
    case 'guest-agent':
      return guestTrigger(planned.socket, world, planned.longestMs, signal)
    case 'carrier':
      return carrierTrigger(planned.link)
    case 'nak':
      return nakTrigger(backend, world)
    case 'wait':
      return waitTrigger(world)
  }
}

/** A trigger that fails leaves the next one its turn. */
async function attempt(
  work: () => Promise<ClientReport>,
  plan: DhcpPlan,
  {world, signal, observe}: Stage,
): Promise<ClientReport | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Failure) || signal.aborted) throw error
    observe({atNs: world.now(), text: `${plan.vm.name}: ${error.message}`})
    return undefined
  }
}
