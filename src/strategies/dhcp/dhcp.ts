// The DHCP strategy: the server gives the VM another router, and something makes the VM's client ask.
import {CARRIER_DOWN_MS, carrierCost} from '../../domain/dhcp/client-kind.ts'
import {isToldToUse, withLease} from '../../domain/proof/lease.ts'
import {judgeAfter, type Observation, type ProofCode} from '../../domain/proof/proof.ts'
import {linkText} from '../../net/vm-link/vm-link.ts'
import {together} from '../../probe/together.ts'
import type {Ipv4} from '../../wire/address.ts'
import {look, type Scene, subjectOf} from '../scene.ts'
import {LISTEN_MS, lookBefore, proveServed, type Standing, verdictOf} from '../standing.ts'
import {type Before, CONTRACT, type Stage, type Strategy, type Verdict} from '../strategy.ts'
import type {Statement, Transaction} from './backends/backend.ts'
import {readClient} from './client-store.ts'
import {leaseSeen} from './lease-seen.ts'
import {type DhcpPlan, type PlannedTrigger, planDhcp} from './plan.ts'
import {backendOf, give, makeAsk, SETTLE_NS, say, type Tools, takesLinkDown, withClient, withSender} from './renewal.ts'
import {rollBack} from './way-back.ts'

/** An ACK is no route yet: a client's script takes seconds where the VM is busy. ns. */
const FOLLOW_NS = 5_000_000_000n
const AGAIN_MS = 200
const STAYED: readonly ProofCode[] = ['elsewhere', 'partial']
/** Of one whose link was down: it has no address yet. */
const NOT_YET: readonly ProofCode[] = [...STAYED, 'silent']

/** Whether the VM is served by the new gateway now; and if not, whether it has what it takes to follow yet. */
async function proveLeased(plan: DhcpPlan, tools: Tools, stage: Stage) {
  const {scene, to, vm} = plan
  const seen = await look(scene, {wanted: to, other: scene.from, vm: true, listenMs: LISTEN_MS}, stage)
  const lease = await leaseSeen(plan, tools)
  const askedFor = [...lease.askedFor, ...askedIn(seen)]
  const judged = judgeAfter(subjectOf(scene), seen)
  const {evidence, ...proof} = withLease(vm, to, judged, {...lease, askedFor, onLeg: subjectOf(scene).sees === 'to'})
  const isGiven = isToldToUse(lease, to)
  return {
    verdict: verdictOf({...proof, evidence: [...mendedText(plan), ...evidence]}),
    mayFollow: isGiven && (takesLinkDown(plan) ? NOT_YET : STAYED).includes(judged.code),
  }
}

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
      'a DHCP server in the inventory (gwswitch, dnsmasq, Kea, ISC dhcpd) or gwswitch serve dhcp-shim, and a client that can be made to renew (dhcpcd as it comes)',
  },
  takes: ['vlanId', 'verifyTo'],
  plan: planDhcp,
  look: lookAt,
  async execute(plan, stage) {
    await withClient(plan, stage, (tools) => {
      tools.store.beginSwitch(plan.vm.mac, stage.world.now())
      const set = (): Promise<void> => give(plan, plan.to, tools, stage)
      // One that is there already has nothing to learn from an ACK, and may lose its address over one.
      if (plan.before?.uses?.mac === plan.to.mac) return set()
      // Listening first: between the server's change and the trigger nothing shall take time.
      return withSender(plan, tools, stage, async (sender) => {
        await set()
        const again = (): Promise<void> => tools.backend.setRouter(plan.vm, plan.to)
        await makeAsk(plan, {router: plan.to.ip, again}, sender, tools, stage)
      })
    })
  },
  verify: (plan, stage) =>
    withClient(plan, stage, async (tools) => {
      const untilNs = stage.world.now() + (takesLinkDown(plan) ? SETTLE_NS : FOLLOW_NS)
      for (;;) {
        const {verdict, mayFollow} = await proveLeased(plan, tools, stage)
        if (!mayFollow || stage.world.now() >= untilNs) return verdict
        await stage.world.sleep(AGAIN_MS, stage.signal)
      }
    }),
  rollback: (plan, stage) => withClient(plan, stage, (tools) => rollBack(plan, tools, stage)),
  describe: (plan) => [
    ...plan.cautions,
    givingText(plan),
    ...plan.triggers.map((each, i) => `${i === 0 ? 'then' : 'if it does not act,'} ${triggerText(plan, each)}`),
    `check by an echo from far away that ${plan.vm.name} leaves through ${plan.to.mac}, that something comes back, and that its last ACK gave it ${plan.to.ip}`,
    isShim(plan)
      ? `otherwise say so: nothing is taken back, for a shim gives ${plan.vm.name} the gateway of this site whatever happens`
      : 'otherwise have the server give again what it gave before, and a client that took the new router ask again',
  ],
}

/**
 * Which gateway the VM uses, and what its server gives it. DHCP moves IPv4 alone, so that is what is looked at; where that
 * has moved already, IPv6 says whether all of it has.
 */
async function lookAt(plan: DhcpPlan, stage: Stage): Promise<Before<DhcpPlan>> {
  const backend = backendOf(plan, stage)
  const [{standing, ends}, statement, told] = await together<
    [Awaited<ReturnType<typeof lookBefore>>, Statement, Transaction | undefined]
  >(stage.signal, [
    (signal) => lookBefore({...plan.scene, families: [4]}, {...stage, signal}),
    () => backend.statement(plan.vm),
    () => backend.lastTransaction(plan.vm),
  ])
  const looked: DhcpPlan = {...plan, before: asAway(standing), statement, serial: told?.serial ?? null}
  const before = (how: Verdict | null): Before<DhcpPlan> => ({plan: looked, uses: standing.uses, ends: how})
  say(plan, stage, statementText(plan, statement))
  if (ends === null) {
    const acked = told?.acked ?? (await readClient(plan.state, plan.vm.mac))?.router
    const isUnseen = standing.uses === null && !asAway(standing).away
    const isGiven = statement.router === plan.to.ip && acked === plan.to.ip
    return before(isUnseen && isGiven ? await givenAlready(plan, stage) : null)
  }
  if (ends.code !== 'already') return before(ends)
  if (contradicts(plan, statement)) {
    say(plan, stage, `would move ${plan.vm.name} away from ${plan.to.name}: it is told to keep it there`)
    return before(null)
  }
  return before(plan.scene.families.includes(6) ? await withIp6(plan, ends, stage) : ends)
}

const isShim = ({server}: DhcpPlan): boolean => server.server === 'shim'

function givingText(plan: DhcpPlan): string {
  const {vm, to, reach} = plan
  const gateway = `the router ${to.ip} (${to.name}, site ${to.site})`
  return isShim(plan)
    ? `tell no DHCP server anything: ${reach} gives ${vm.name} (${vm.ip}) ${gateway}`
    : `tell the DHCP server (${reach}) to give ${vm.name} (${vm.ip}) ${gateway}`
}

/** What its server says tells more than the guess that a firewall keeps the VM from answering. */
const asAway = ({hidden, ...standing}: Standing): Standing => ({...standing, away: standing.away || hidden === true})

/** The VM is where it shall be, and its server would move it at its next renewal. */
const contradicts = ({to}: DhcpPlan, {router}: Statement): boolean => router !== null && router !== to.ip

function mendedText({before, statement, to}: DhcpPlan): string[] {
  if (before?.uses?.mac !== to.mac || !statement?.router || statement.router === to.ip) return []
  return [`it used ${to.name} already, and its server would have given it ${statement.router} at its next renewal`]
}

const statementText = ({vm}: DhcpPlan, {router, own, legible}: Statement): string =>
  `gives ${vm.name} ${router === null ? 'a router that it does not tell' : `the router ${router}`} (${own !== null ? 'said of it alone' : legible ? 'nothing is said of it alone' : 'what is said of it alone cannot be read'})`

/**
 * Nothing is left to tell anybody, but it was not seen what came of it: it is looked at for longer, and where it cannot be
 * seen at all, another renewal would change nothing.
 */
async function givenAlready(plan: DhcpPlan, stage: Stage): Promise<Verdict | null> {
  const {scene, vm, to} = plan
  const seen = await proveServed({...scene, families: [4]}, stage)
  if (seen.ok) return {...seen, code: 'already'}
  if (seen.code !== 'unverified') return null
  const given = `its server gives ${vm.name} ${to.ip} (${to.name}) already, and its last ACK gave it that`
  return {...seen, evidence: [given, ...seen.evidence]}
}

async function withIp6(plan: DhcpPlan, ends: Verdict, stage: Stage): Promise<Verdict> {
  const six: Scene = {...plan.scene, families: [6]}
  const {ends: there} = await lookBefore(six, stage)
  // One that says nothing by itself at once is listened to for longer.
  const verdict = there?.ok ? there : await proveServed(six, stage)
  if (verdict.ok) return {...ends, evidence: [...ends.evidence, ...verdict.evidence]}
  const why = 'DHCP moves IPv4 alone, and that is there already'
  const code = verdict.code === 'unverified' ? 'unverified' : 'partial'
  return {...ends, ok: false, code, evidence: [why, ...ends.evidence, ...verdict.evidence]}
}

const askedIn = ({egress}: Observation): Ipv4[] => egress.flatMap(({askedFor}) => askedFor)

function triggerText(plan: DhcpPlan, each: PlannedTrigger): string {
  const within = `within ${Math.ceil(each.longestMs / 1000)} s`
  switch (each.kind) {
    case 'forcerenew':
      return `make its client ask by an authenticated FORCERENEW out of ${plan.interface}: it acts ${within} or not at all`
    case 'guest-agent':
      return `renew its lease inside, through the guest agent, ${within}`
    case 'carrier':
      return `as the last resort, take its link down for ${CARRIER_DOWN_MS / 1000} s and up again (${linkText(each.link)}) and see whether it asks ${within}: ${carrierCost(plan.client ?? undefined)}`
    case 'nak':
      return `answer its next renewal, ${within}, with a NAK: it begins anew and is without its address for a moment`
    case 'wait':
      return `wait for its own renewal, ${within}`
  }
}
