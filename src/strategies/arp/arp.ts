// The ARP strategy: the gateway IP stays, the VM's neighbour entry for it moves to the new site's MAC. IPv6 likewise.
import {placeOf} from '../../domain/proof/place.ts'
import {isSettled, type Observation} from '../../domain/proof/proof.ts'
import {Failure} from '../../errors.ts'
import type {Link} from '../../net/packet/link.ts'
import {askOnce} from '../../probe/egress.ts'
import {together} from '../../probe/together.ts'
import {probeFrame, vmFilter} from '../../probe/vm-watch.ts'
import {BROADCAST, type Ipv4, type Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {ofBothFamilies} from '../left-ip6.ts'
import {egressQuestions, learnedBy, look, subjectOf, vlanOf} from '../scene.ts'
import {describeSpeaking} from '../speak-for/plan.ts'
import {checkTarget, ifPossible, lookBefore, proveServed, putBack, standingFrom, type WayBack} from '../standing.ts'
import {type AtOnceStage, CONTRACT, type Stage, type Strategy, type Verdict} from '../strategy.ts'
import {type AnnounceReport, announce} from './announce.ts'
import {hold} from './hold.ts'
import {type ArpPlan, type PlannedGateway, type PlannedIp6, planArp} from './plan.ts'
import {type Target, targets} from './targets.ts'

/** What the VM said by itself while it was told: its own traffic, which need not come again soon. */
export interface ArpSeen {
  readonly vmIp: Ipv4 | Ipv6
  readonly spoke: {readonly mac: Mac; readonly destination: Ipv4 | Ipv6} | null
}

export const arp: Strategy<ArpPlan, readonly ArpSeen[]> = {
  contract: CONTRACT,
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
  takes: ['guardMs', 'arrivalMs', 'vlanId', 'verifyTo'],
  plan: planArp,
  async look(plan, stage) {
    const {standing, ends} = await lookBefore(plan.scene, stage, {awaited: plan.arrivalMs !== null})
    return {plan: {...plan, before: standing}, uses: standing.uses, ends: ends && ofBothFamilies(plan, ends)}
  },
  async execute(plan, stage) {
    const answers = await tell(plan, plan.to, stage, {arrivalMs: plan.arrivalMs ?? undefined})
    if (plan.arrivalMs !== null && answers.every(({report}) => report.arrivedNs === undefined)) {
      throw new Failure('silent', `${plan.vm.name} did not come: nothing was heard of it at ${plan.interface}`)
    }
    return afterTelling(plan, answers, stage)
  },
  async verify(plan, stage, seen) {
    const heard = seen ?? []
    // What said where it sends while it was told need not be waited for again.
    const extras = {
      add: (found: Observation) => withWhatWasHeard(plan, found, heard),
      ...(heard.some(({spoke}) => spoke?.mac === plan.to.mac) && {listenMs: 0}),
      ...(plan.atOnce && {place: true}),
    }
    const prove = async () => ofBothFamilies(plan, await proveServed(plan.scene, stage, extras))
    const verdict = await prove()
    if (verdict.ok || verdict.code !== 'elsewhere' || plan.guardMs === 0) return verdict
    // It was moved back since: what is to be held is told again.
    await tell(plan, plan.to, stage)
    return prove()
  },
  hold: (plan, stage, verified) => hold(plan, stage, verified),
  async rollback(plan, stage) {
    if (plan.atOnce) await showWhereItIs(plan, stage)
    if ((plan.arrivalMs !== null || plan.atOnce) && !(await isHere(plan, stage))) {
      const back = plan.before?.uses ?? plan.from
      // What is not heard here may hear all the same.
      if (plan.atOnce) await tell(plan, back, stage)
      const said = plan.atOnce
        ? `${plan.vm.name} is not heard at ${plan.interface}: it was told to go back to ${back.name}, and did not answer`
        : `${plan.vm.name} is not at ${plan.interface}: it was told nothing; what waits in a queue there tells it if it comes`
      // That one which was heard before is as it was, nobody has seen.
      const wasHeard = plan.atOnce === true && (plan.before?.uses ?? null) !== null
      return {ok: !wasHeard, code: 'silent', uses: null, evidence: [said]}
    }
    const way = {tell: async (gateway: PlannedGateway) => void (await tell(plan, gateway, stage))}
    const verdict = await putBackFrom(plan, way, stage)
    if (!plan.announce) return verdict
    const {withStillKnown} = await import('../speak-for/speak-in-place.ts')
    return withStillKnown(verdict, plan.announce, stage)
  },
  standby: {
    check: async (plan, stage) => {
      const ends = await checkTarget(plan.scene, stage)
      return ends && ofBothFamilies(plan, ends)
    },
    async atOnce(planned, stage) {
      const plan = {...planned, atOnce: true}
      return afterTelling(
        plan,
        await tell(plan, plan.to, stage, {first: (link) => askBefore(plan, link, stage)}),
        stage,
      )
    },
  },
  describe: (plan) => [
    ...plan.cautions,
    ...(plan.arrivalMs === null
      ? []
      : [
          `leave the first frames in the queue of ${plan.interface}, and go on when the VM is heard, at most ${plan.arrivalMs / 1000} s later`,
        ]),
    `tell ${plan.vm.name} (${plan.vm.ip})${everybodyFrom(plan) === undefined ? ', and nobody else,' : ''} that ${plan.gatewayIp} is at ${plan.to.mac} (${plan.to.name}, site ${plan.to.site})`,
    ...plan.ip6.map((move) => describe6(plan, move)),
    `by an ARP request to ${plan.vm.mac} out of ${plan.interface}, repeated at ${plan.scheduleMs.join('/')} ms until it follows${everybodyText(plan)}`,
    ...(plan.announce ? [describeSpeaking(plan.announce)] : []),
    `check it by echoes from far away, which the VM answers through the gateway that it uses, and by somebody beyond ${plan.to.name}`,
    ...(plan.guardMs > 0
      ? [`then watch for ${plan.guardMs / 1000} s that nobody moves it back, answering and naming whoever tries`]
      : []),
    `otherwise tell it to go back to the gateway that it was seen to use before (${plan.from.name} is expected, site ${plan.from.site})`,
  ],
}

/** From when on everybody at this site is told, ms; undefined: never. */
const everybodyFrom = ({forms}: ArpPlan): number | undefined => forms.find(({broadcast}) => broadcast)?.fromMs

function everybodyText(plan: ArpPlan): string {
  const fromMs = everybodyFrom(plan)
  return fromMs === undefined ? '' : `; from ${fromMs} ms on to everybody here too: the filter keeps that in this site`
}

const describe6 = (plan: ArpPlan, {way, from, to, vmIp}: PlannedIp6): string =>
  way === 'neighbour'
    ? `and that ${to} is there too, by a neighbour solicitation for ${vmIp}`
    : `and that ${to} (${plan.to.name}) routes from now on, and ${from} (${plan.from.name}) does not, by router advertisements`

interface Answer {
  readonly target: Target
  readonly report: AnnounceReport
}

/** What is done once the VM has been told. */
async function afterTelling(plan: ArpPlan, answers: readonly Answer[], stage: Stage): Promise<readonly ArpSeen[]> {
  if (plan.announce && answers.some(({report}) => report.verdict !== 'silent')) {
    // Loaded when the VM has been told: what comes before the first frame is time on the detour.
    const {speakInSwitch} = await import('../speak-for/speak-in-place.ts')
    await speakInSwitch(plan.announce, stage)
  }
  return answers.map(({target, report}) => ({vmIp: target.vmIp, spoke: report.spoke ?? null}))
}

interface Telling {
  readonly arrivalMs?: number | undefined
  /** What is done at the same link before; its end is called when the VM has been told, or not. */
  readonly first?: (link: Link) => Promise<{end(): void}>
}

/** Tells the VM where its gateway is, until it follows. Never anybody else but where the plan's own forms say so. */
async function tell(plan: ArpPlan, gateway: PlannedGateway, stage: Stage, how: Telling = {}): Promise<Answer[]> {
  const {world, signal, observe} = stage
  // Promiscuous: on the VM's own port its answers pass by, but they are for the gateway.
  const options = {
    // Made only where the link is not shared.
    get filter() {
      return vmFilter(plan.vm, true)
    },
    ...{promiscuous: true, vm: plan.vm.mac},
  }
  const link = await world.openLink(plan.interface, options)
  let before: {end(): void} | undefined
  try {
    before = await how.first?.(link)
    const answers = await together<Answer[]>(
      signal,
      targets(plan, gateway).map((target) => async (either: AbortSignal) => {
        const request = {...target.request, scheduleMs: plan.scheduleMs, arrivalMs: how.arrivalMs}
        return {target, report: await announce(link, world, request, either)}
      }),
    )
    const events = answers.flatMap(({report}) => report.events).toSorted((a, b) => Number(a.atNs - b.atNs))
    for (const {atNs, text, direction, kind, bytes} of events)
      observe({atNs, text, frame: {direction, kind, hex: Buffer.from(bytes).toString('hex')}})
    return answers
  } finally {
    before?.end()
    await link.close()
  }
}

/**
 * Asks where the VM sends, which changes nothing, and waits until the way back is safe, not for the answers: those are on
 * their way before it is told. Amends the plan with them as soon as they are seen, at `end` with what there is then.
 */
async function askBefore(plan: ArpPlan, link: Link, stage: AtOnceStage<ArpPlan>): Promise<{end(): void}> {
  const questions = egressQuestions(plan.scene, stage.observe).map((each) => askOnce(each, stage.world, link))
  let [armed, amended] = [false, false]
  const amend = (): void => {
    if (amended || !armed) return
    amended = true
    const standing = standingFrom(
      plan.scene,
      questions.map(({seen}) => seen()),
    )
    stage.amend({plan: {...plan, before: standing}, uses: standing.uses})
  }
  const isSeen = (): boolean => questions.every(({seen}) => isSettled(seen().paths, undefined))
  const unsubscribe = link.onFrame((received) => {
    for (const {hear} of questions) hear(received)
    if (isSeen()) amend()
  })
  for (const frame of questions.flatMap(({frames}) => frames)) link.send(frame)
  await stage.arm(plan)
  armed = true
  return {
    end() {
      unsubscribe()
      amend()
    },
  }
}

/**
 * A VM that was told as it came may never have come, and have been heard by way of another port since: what is sent to its
 * MAC goes where it was announced last. Its answer to a probe shows the bridges where it is, and changes nobody's table.
 */
async function showWhereItIs({vm, ...plan}: ArpPlan, {world}: Stage): Promise<void> {
  await ifPossible(async () => {
    const link = await world.openLink(plan.interface, {filter: vmFilter(vm, true), vm: vm.mac})
    try {
      link.send(probeFrame(link, {ip: vm.ip, mac: BROADCAST, vlan: vlanOf(plan)}))
    } finally {
      await link.close()
    }
  })
}

/**
 * One that was told in the same breath in which it was asked, and not seen before, goes back to where it was expected if it is
 * seen at another site. If it is not, it may have used the new gateway all the while.
 */
async function putBackFrom(plan: ArpPlan, way: WayBack, stage: Stage): Promise<Verdict> {
  const {scene, before, atOnce} = plan
  if (!atOnce || before?.uses || before?.away) return putBack(scene, before, way, stage)
  const learned = await ifPossible(() => learnedBy(scene, stage.world))
  const unasked = {egress: [], target: {resolved: 'silent', rttMs: null}}
  const place =
    learned instanceof Failure ? undefined : placeOf(subjectOf(scene), {...unasked, ...(learned && {learned})})
  if (!place?.apart) return putBack(scene, before, way, stage)
  const verdict = await putBack(scene, {away: false, uses: scene.from}, way, stage)
  const why = `${place.text}; which gateway it used before was not seen: it goes back to ${scene.from.name}, where it was expected`
  return {...verdict, evidence: [why, ...verdict.evidence]}
}

/** Whether a VM that was awaited is there; not where its port is gone. */
async function isHere({scene, to}: ArpPlan, stage: Stage): Promise<boolean> {
  try {
    const wanted = scene.gateways.find(({mac}) => mac === to.mac) ?? scene.to
    const seen = await look(scene, {wanted, other: null, vm: true, listenMs: 0}, stage)
    return seen.egress.some(({alive}) => alive)
  } catch (error) {
    if (error instanceof Failure && error.kind === 'runtime') return false
    throw error
  }
}

/** A VM that drops ICMP and was heard while it was told need not say it again. */
function withWhatWasHeard(plan: ArpPlan, found: Observation, heard: readonly ArpSeen[]): Observation {
  return {
    ...found,
    egress: found.egress.map((egress) => {
      const said = heard.find(({vmIp}) => (vmIp.includes(':') ? 6 : 4) === egress.family)?.spoke
      if (!said || said.mac !== plan.to.mac || egress.paths.length > 0) return egress
      const path = {destination: said.destination, mac: said.mac, by: 'traffic', answered: false} as const
      return {...egress, alive: true, paths: [path]}
    }),
  }
}
