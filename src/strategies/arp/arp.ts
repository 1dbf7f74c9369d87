// The ARP strategy: the gateway IP stays, the VM's neighbour entry for it moves to the new site's MAC. IPv6 likewise.
import type {Link} from '../../net/packet/link.ts'
import {vmFilter} from '../../probe/vm-watch.ts'
import {type Ipv4, readPrefix} from '../../wire/address.ts'
import {vlanTag} from '../../wire/ethernet.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {Stage, Strategy, Verdict} from '../strategy.ts'
import {type AnnounceReport, type AnnounceRequest, announce} from './announce.ts'
import {OFF_SEGMENT6} from './announcement.ts'
import {attemptText, type GuardReport, guard, guardEvidence, guardFilter} from './guard.ts'
import {type ArpPlan, formsOf6, type PlannedGateway, type PlannedIp6, planArp} from './plan.ts'

/** Rounds of the check: an echo each, until one is answered. */
const CHECK_MS = [0, 200, 600]
const LISTEN_MS = 1000

export const arp: Strategy<ArpPlan> = {
  name: 'arp',
  summary: "moves the VM's neighbour entry for a gateway IP that all sites share",
  traits: {
    controlledAt: 'router or bridge',
    layer: 'L2',
    gatewayIp: 'stays',
    sessions: 'kept',
    needs:
      "one gateway IP at every site, ARP for it kept inside each site; run at the new site's gateway or hypervisor",
  },
  plan: planArp,
  async execute(plan, stage) {
    await onLink(plan, stage, false, (link) => announceAll(plan, 'to', link, stage, plan.arrivalMs ?? undefined))
  },
  async verify(plan, stage) {
    const checked = await onLink(plan, stage, false, async (link) =>
      judge(plan, 'to', await check(plan, link, stage), link),
    )
    if (plan.guardMs === 0) return checked
    if (checked.ok) return holdOrLeave(plan, stage, checked)
    // It may have been moved back since: a guard begins by telling it again.
    const again = await onLink(plan, stage, false, (link) => announceAll(plan, 'to', link, stage))
    if (!again.every(({report}) => report.verdict === 'moved')) return checked
    return holdOrLeave(plan, stage, {ok: true, evidence: [`${checked.evidence[0]}: told again`]})
  },
  async rollback(plan, stage) {
    return onLink(plan, stage, false, async (link) =>
      judge(plan, 'from', await announceAll(plan, 'from', link, stage), link),
    )
  },
  describe: (plan) => [
    ...plan.cautions,
    ...(plan.arrivalMs === null
      ? []
      : [
          `leave the first frames in the queue of ${plan.interface}, and go on when the VM is heard, at most ${plan.arrivalMs / 1000} s later`,
        ]),
    `tell ${plan.vm.name} (${plan.vm.ip}), and nobody else, that ${plan.gatewayIp} is at ${plan.to.mac} (${plan.to.name}, site ${plan.to.site})`,
    ...plan.ip6.map((move) => describe6(plan, move)),
    `by an ARP request to ${plan.vm.mac} out of ${plan.interface}, repeated at ${plan.scheduleMs.join('/')} ms until it follows`,
    `check it by an echo from ${plan.gatewayIp}: the answer goes to the MAC that the VM now uses`,
    ...(plan.guardMs > 0
      ? [`then watch for ${plan.guardMs / 1000} s that nobody moves it back, answering and naming whoever tries`]
      : []),
    `otherwise tell it again that ${plan.gatewayIp} is at ${plan.from.mac} (${plan.from.name}, site ${plan.from.site})`,
  ],
}

const describe6 = (plan: ArpPlan, {way, from, to, vmIp}: PlannedIp6): string =>
  way === 'neighbour'
    ? `and that ${to} is there too, by a neighbour solicitation for ${vmIp}`
    : `and that ${to} (${plan.to.name}) routes from now on, and ${from} (${plan.from.name}) does not, by router advertisements`

async function onLink<T>(
  plan: ArpPlan,
  {world}: Stage,
  guarding: boolean,
  use: (link: Link) => Promise<T>,
): Promise<T> {
  // Promiscuous: on the VM's own port its answers pass by, but they are for the gateway. Outgoing: what others send to
  // the VM leaves through that port.
  const options = guarding
    ? {filter: guardFilter(plan.vm.mac), promiscuous: true, outgoing: true}
    : {filter: vmFilter(plan.vm, true), promiscuous: true}
  const link = await world.openLink(plan.interface, options)
  try {
    return await use(link)
  } finally {
    await link.close()
  }
}

/** One address that the VM shall reach its gateway by. */
interface Target {
  readonly gatewayIp: Ipv4 | Ipv6
  readonly vmIp: Ipv4 | Ipv6
  readonly request: Omit<AnnounceRequest, 'scheduleMs'>
}

type Side = 'to' | 'from'

/** Everything that the plan moves, as seen from the gateway that it shall move to. */
function targets(plan: ArpPlan, side: Side): readonly Target[] {
  const {mac} = plan[side]
  const common = {vlan: vlanTag(plan.vlan), segment: readPrefix(plan.segment.prefix), listenMs: LISTEN_MS}
  const ip4: Target = {
    gatewayIp: plan.gatewayIp,
    vmIp: plan.vm.ip,
    request: {...common, gateway: {ip: plan.gatewayIp, mac}, vm: plan.vm, forms: plan.forms},
  }
  const ip6 = plan.ip6.map((move): Target => {
    const [ip, old] = side === 'to' ? [move.to, move.from] : [move.from, move.to]
    const gateway = {ip, mac, old}
    const echoFrom = move.way === 'router' ? OFF_SEGMENT6 : undefined
    return {
      gatewayIp: ip,
      vmIp: move.vmIp,
      request: {...common, gateway, vm: {ip: move.vmIp, mac: plan.vm.mac}, forms: formsOf6(move), echoFrom},
    }
  })
  return [ip4, ...ip6]
}

interface Answer {
  readonly target: Target
  readonly report: AnnounceReport
}

async function announceAll(plan: ArpPlan, side: Side, link: Link, stage: Stage, arrivalMs?: number): Promise<Answer[]> {
  const run = async (target: Target): Promise<Answer> => {
    const request = {...target.request, scheduleMs: plan.scheduleMs, arrivalMs}
    return {target, report: await announce(link, stage.world, request, stage.signal)}
  }
  return told(stage, await Promise.all(targets(plan, side).map(run)))
}

/** Asks without telling: echoes alone change nothing in the VM. */
async function check(plan: ArpPlan, link: Link, stage: Stage): Promise<Answer[]> {
  const run = async (target: Target): Promise<Answer> => {
    const request = {...target.request, forms: [], scheduleMs: CHECK_MS}
    return {target, report: await announce(link, stage.world, request, stage.signal)}
  }
  return told(stage, await Promise.all(targets(plan, 'to').map(run)))
}

function told(stage: Stage, answers: Answer[]): Answer[] {
  const events = answers.flatMap(({report}) => report.events).toSorted((a, b) => Number(a.atNs - b.atNs))
  for (const {atNs, text, direction, kind, bytes} of events) {
    stage.observe({atNs, text, frame: {direction, kind, hex: Buffer.from(bytes).toString('hex')}})
  }
  return answers
}

/** What is verified stays, also if somebody loses patience with the guard. */
async function holdOrLeave(plan: ArpPlan, stage: Stage, verified: Verdict): Promise<Verdict> {
  try {
    return await hold(plan, stage, verified)
  } catch (error) {
    if (!stage.signal.aborted) throw error
    return {ok: true, evidence: [...verified.evidence, `no longer guarded: ${(error as Error).message}`]}
  }
}

/** Guards every address for the plan's time. Attempts that were answered are evidence, not failure. */
async function hold(plan: ArpPlan, stage: Stage, verified: Verdict): Promise<Verdict> {
  const reports = await onLink(plan, stage, true, (link) =>
    Promise.all(
      targets(plan, 'to').map(({request}) => {
        const order = {gateway: request.gateway, vm: request.vm!, vlan: request.vlan, segment: request.segment}
        return guard(
          link,
          stage.world,
          {...order, forMs: plan.guardMs, gateways: plan.gateways},
          stage.signal,
          (attempt) =>
            stage.observe({
              atNs: attempt.atNs,
              text: `moved back? ${attemptText(attempt)}`,
              frame: attempt.hex === undefined ? undefined : {direction: 'in', kind: 'claim', hex: attempt.hex},
            }),
        )
      }),
    ),
  )
  const evidence = reports.flatMap((report) => guardEvidence(report))
  const lost = reports.filter(({holds}) => !holds)
  if (lost.length === 0) return {ok: true, evidence: [...verified.evidence, ...evidence]}
  return {ok: false, evidence: [...lost.map((report) => lostText(plan, report)), ...evidence]}
}

function lostText(plan: ArpPlan, {gatewayIp, gatewayUsed}: GuardReport): string {
  const known = plan.gateways.find(({mac}) => mac === gatewayUsed)
  return `${plan.vm.name} did not stay on ${plan.to.name} for ${gatewayIp}: last seen sending to ${known ? `${known.name} (${known.mac})` : (gatewayUsed ?? 'nobody here')}`
}

/** All addresses must agree; the evidence of each. */
function judge(plan: ArpPlan, side: Side, answers: readonly Answer[], link: Link): Verdict {
  const verdicts = answers.map(({target, report}) => verdictOf(plan, target, report, plan[side], link))
  const against = verdicts.filter(({ok}) => !ok)
  const speaking = against.length > 0 ? against : verdicts
  return {ok: against.length === 0, evidence: speaking.flatMap(({evidence}) => evidence)}
}

function verdictOf(plan: ArpPlan, target: Target, report: AnnounceReport, wanted: PlannedGateway, link: Link): Verdict {
  const {vm, to, from} = plan
  const used = report.gatewayUsed
  const first = target.gatewayIp === plan.gatewayIp
  const about = first ? '' : ` for ${target.gatewayIp}`
  const asked = first ? 'ARP' : 'solicitations'
  if (used === wanted.mac) return {ok: true, evidence: [`${vm.name} sends to ${wanted.name} (${wanted.mac})${about}`]}
  if (used !== undefined) {
    const known = [to, from].find(({mac}) => mac === used)
    const where = known ? `${known.name} (${used})` : `${used}, which is no gateway of this segment`
    return {
      ok: false,
      evidence: [
        `${vm.name} sends to ${where}${about}`,
        'a permanent neighbour entry in the VM would explain it, or somebody who moved it back (--guard names who)',
      ],
    }
  }
  if (report.verdict === 'silent') return {ok: false, evidence: [`${vm.name} is silent: no answer to ${asked} or echo`]}
  // What goes to another MAC does not pass a gateway's own leg: there, hearing nothing is the evidence.
  const heardHere = link.mac === to.mac
  if (heardHere && wanted.mac === from.mac) {
    return {ok: true, evidence: [`${vm.name} answers ${asked} and sends nothing to ${to.name} any more${about}`]}
  }
  return {
    ok: false,
    evidence: [
      `${vm.name} answers ${asked}, but none of its echo answers come to ${heardHere ? to.name : plan.interface}${about}: answered, unverified`,
      'a permanent neighbour entry in the VM would explain it, or a VM that drops ICMP and sends nothing else',
    ],
  }
}
