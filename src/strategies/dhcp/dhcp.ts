// The DHCP strategy: the server gives the VM another router, and something makes the VM's client ask.
import {Failure} from '../../errors.ts'
import type {Egress} from '../../probe/egress.ts'
import {egressOf} from '../planned-egress.ts'
import {CONTRACT, type Stage, type Strategy, type Verdict} from '../strategy.ts'
import type {DhcpBackend} from './backends/backend.ts'
import {backendFor} from './backends/backends.ts'
import {type ClientStore, openClientStore, type SwitchEvidence} from './client-store.ts'
import {type DhcpPlan, type PlannedGateway, type PlannedTrigger, planDhcp, serverOf} from './plan.ts'
import {type ClientReport, reconfigureClient, type Trigger} from './reconfigure.ts'
import {frameSender, type OpenSender} from './senders.ts'
import {forcerenewTrigger, guestTrigger, nakTrigger, waitTrigger} from './triggers.ts'

/** How long the link stays open after the ACK, ms: a client that has a new router asks the segment for it. */
const LINGER_MS = 100

export const dhcp: Strategy<DhcpPlan> = {
  contract: CONTRACT,
  name: 'dhcp',
  summary: "gives the VM's lease another router and makes its DHCP client ask for it",
  traits: {
    controlledAt: 'DHCP server',
    layer: 'L3',
    gatewayIp: 'changes',
    sessions: 'kept; not where gateways translate addresses or keep state',
    needs:
      'a DHCP server in the inventory (gwswitch, dnsmasq, Kea, ISC dhcpd) and a client that can be made to renew (dhcpcd as it comes)',
  },
  takes: ['vlanId', 'verifyTo'],
  plan: planDhcp,
  look: async (plan) => ({plan, uses: null, ends: null}),
  async execute(plan, stage) {
    await withClient(plan, stage, (tools) => {
      tools.store.beginSwitch(plan.vm.mac, stage.world.now())
      // Listening first: between the server's change and the trigger nothing shall take time.
      return withSender(plan, tools, stage, async (sender) => {
        await give(plan, plan.to, tools, stage)
        await trigger(plan, plan.to, sender, tools, stage)
      })
    })
  },
  async verify(plan, stage) {
    return withClient(plan, stage, async ({store}) => {
      const egress = await egressOf(plan, plan.to, stage)
      return judge(plan, plan.to, seenSince(plan, store, 0n), egress, true)
    })
  },
  async rollback(plan, stage) {
    return withClient(plan, stage, async (tools) => {
      const {store} = tools
      const sinceNs = stage.world.now()
      // None if the switch ended before it began.
      if (!store.evidence(plan.vm.mac)) store.beginSwitch(plan.vm.mac, sinceNs)
      const evidence: string[] = []
      try {
        // Always: it takes back an order to refuse the VM's renewal, too.
        await give(plan, plan.from, tools, stage)
        // One that never took the new router needs no telling.
        const left = await egressOf(plan, plan.from, stage)
        const untouched = left.mac === plan.from.mac && seenSince(plan, store, 0n).router !== plan.to.ip
        if (!untouched) await withSender(plan, tools, stage, (sender) => trigger(plan, plan.from, sender, tools, stage))
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        evidence.push(error.message)
      }
      const egress = await egressOf(plan, plan.from, stage)
      // A VM that never took the new router may never have got an ACK: what it does is what counts.
      const verdict = judge(plan, plan.from, seenSince(plan, store, sinceNs), egress, false)
      return {ok: evidence.length === 0 && verdict.ok, evidence: [...evidence, ...verdict.evidence]}
    })
  },
  describe: (plan) => [
    `tell the DHCP server (${plan.reach}) to give ${plan.vm.name} (${plan.vm.ip}) the router ${plan.to.ip} (${plan.to.name}, site ${plan.to.site})`,
    ...plan.triggers.map((each, i) => `${i === 0 ? 'then' : 'if it does not act,'} ${triggerText(plan, each)}`),
    `check that an ACK with ${plan.to.ip} was seen, and by an echo from far away that ${plan.vm.name} leaves through ${plan.to.mac}`,
    `otherwise give it ${plan.from.ip} (${plan.from.name}, site ${plan.from.site}) again, the same way`,
  ],
}

function triggerText(plan: DhcpPlan, {kind, longestMs}: PlannedTrigger): string {
  const within = `within ${Math.ceil(longestMs / 1000)} s`
  switch (kind) {
    case 'forcerenew':
      return `make its client ask by an authenticated FORCERENEW out of ${plan.interface}: it acts ${within} or not at all`
    case 'guest-agent':
      return `renew its lease inside, through the guest agent, ${within}`
    case 'nak':
      return `answer its next renewal, ${within}, with a NAK: it begins anew and is without its address for a moment`
    case 'wait':
      return `wait for its own renewal, ${within}`
  }
}

interface Tools {
  readonly store: ClientStore
  readonly backend: DhcpBackend
}

async function withClient<T>(plan: DhcpPlan, {world}: Stage, use: (tools: Tools) => Promise<T>): Promise<T> {
  const store = await openClientStore(plan.state)
  try {
    return await use({store, backend: backendFor(serverOf(plan), {segment: plan.segment.name, world})})
  } finally {
    store.close()
  }
}

async function give(plan: DhcpPlan, gateway: PlannedGateway, {backend}: Tools, {world, observe}: Stage): Promise<void> {
  await backend.setRouter(plan.vm, gateway)
  observe({atNs: world.now(), text: `${plan.reach}: the router of ${plan.vm.name} is ${gateway.ip} (${gateway.name})`})
}

/**
 * The next renewal of a client that began anew by itself, or never asked in time, would still be refused. Setting the
 * router again takes the order back. One that is cut short here is taken back by the rollback.
 */
async function takeBackNak(plan: DhcpPlan, gateway: PlannedGateway, {backend}: Tools, stage: Stage): Promise<void> {
  await backend.setRouter(plan.vm, gateway)
  stage.observe({atNs: stage.world.now(), text: `${plan.reach}: refuses no renewal of ${plan.vm.name} any more`})
}

async function withSender<T>(
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

/** Pulls one trigger after the other until the client has acted. */
async function trigger(
  plan: DhcpPlan,
  gateway: PlannedGateway,
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
    const work = () => reconfigureClient(plan.vm, context, {...limits, router: gateway.ip})
    const report = await attempt(work, plan, stage)
    if (planned.kind === 'nak') await takeBackNak(plan, gateway, tools, stage)
    if (report?.outcome !== 'acted') continue
    // Where frames of the exchange do not pass, the server's word stands for the ACK.
    if (report.toldBy === 'server') store.learnTold(plan.vm, report.router ?? gateway.ip, world.now())
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

type Seen = Pick<SwitchEvidence, 'router' | 'askedFor'>

/** Of this switch: the router of the VM's last ACK, as the wire or its server told, and whom it asked for after that. */
function seenSince({vm}: DhcpPlan, store: ClientStore, sinceNs: bigint): Seen {
  const seen = store.evidence(vm.mac)
  if (seen?.ackedNs === undefined || seen.ackedNs < sinceNs) return {router: undefined, askedFor: undefined}
  const {router, ackedNs, askedFor, askedNs} = seen
  return {router, askedFor: askedNs !== undefined && askedNs >= ackedNs ? askedFor : undefined}
}

/** What the VM's traffic says about `wanted`, and its last ACK, where that must say so too. */
function judge(plan: DhcpPlan, wanted: PlannedGateway, seen: Seen, egress: Egress, needsAck: boolean): Verdict {
  const {vm, to, from} = plan
  const acked = seen.router
  const acknowledged = acked === wanted.ip || !needsAck
  const ack =
    acked === wanted.ip
      ? `its last ACK gave it ${wanted.ip}`
      : acked === undefined
        ? 'no new ACK to it was seen'
        : `its last ACK gave it ${acked}, not ${wanted.ip}`
  if (egress.mac !== undefined) {
    const known = [to, from].find(({mac}) => mac === egress.mac)
    const through = `${vm.name} leaves through ${known ? `${known.name} (${egress.mac})` : `${egress.mac}, which is no gateway of this segment`}`
    return {ok: egress.mac === wanted.mac && acknowledged, evidence: [ack, through]}
  }
  if (!egress.alive) return {ok: false, evidence: [ack, `${vm.name} is silent: no answer to ARP or echo`]}
  // Its traffic does not pass here. That it looks for the gateway does: ARP requests reach the whole segment.
  const asked = egress.askedFor.includes(wanted.ip) || seen.askedFor === wanted.ip
  if (asked) return {ok: acknowledged, evidence: [ack, `${vm.name} asked the segment where ${wanted.ip} is`]}
  // What goes to another MAC does not pass a gateway's own leg: there, hearing nothing is the evidence.
  if (wanted.mac === from.mac && egress.ownMac === to.mac)
    return {ok: true, evidence: [ack, `${vm.name} answers ARP and sends nothing to ${to.name} any more`]}
  return {
    ok: false,
    evidence: [
      ack,
      `${vm.name} answers ARP, but where its traffic goes cannot be seen at ${plan.interface} (or it drops ICMP): run this at ${wanted.name} or on the VM's own port`,
    ],
  }
}
