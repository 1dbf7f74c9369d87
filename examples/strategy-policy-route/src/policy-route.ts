// The strategy: plan, look, execute, verify, roll back.
import {
  askAbout,
  type Before,
  CONTRACT,
  type GatewaySeen,
  gatewayText,
  isDead,
  type NamedGateway,
  type ProofCode,
  type Stage,
  type Strategy,
  type Verdict,
} from 'gwswitch'
import {type PolicyRoutePlan, planPolicyRoute} from './plan.ts'
import {kernelTables, type PolicyTables} from './policy-table.ts'
import {type ExitSeen, watchExit} from './watch-exit.ts'

export const policyRoute = (tables: PolicyTables = kernelTables): Strategy<PolicyRoutePlan, undefined> => ({
  contract: CONTRACT,
  name: 'policy-route',
  summary: "leads a VM's packets from the router that it uses to another gateway, by a rule of that router",
  traits: {
    controlledAt: 'router',
    layer: 'L3',
    gatewayIp: 'stays',
    sessions: 'kept; not where gateways translate addresses',
    needs: 'a Linux router that is the gateway of the VM, and ip(8); run there',
  },
  takes: ['verifyTo'],
  plan: planPolicyRoute,
  look: (plan, stage) => lookAt(plan, stage, tables),
  async execute(plan, {world, observe}) {
    await tables.write(plan.place, plan.via)
    observe({atNs: world.now(), text: plan.via === null ? 'the rule is gone' : `the rule leads to ${plan.via}`})
    return undefined
  },
  async verify({scene, ...plan}, stage) {
    const [seen, target] = await Promise.all([
      watchExit({scene, ...plan}, stage),
      askTarget(scene.to, {scene, ...plan}, stage),
    ])
    return judge(plan, seen, scene.to, target)
  },
  rollback: (plan, stage) => rollBack(plan, stage, tables),
  describe: ({vm, place, router, via, scene}) => [
    via === null
      ? `take the rule for what comes from ${vm.name} (${vm.ip}) away from ${router.name}: it leaves by ${router.name} again`
      : `add a rule to ${router.name}: what comes from ${vm.name} (${vm.ip}) at ${place.leg} goes to ${via} (${scene.to.name}, site ${scene.to.site}), by table ${place.table}`,
  ],
})

const askTarget = (gateway: NamedGateway, {scene}: PolicyRoutePlan, {world, signal}: Stage): Promise<GatewaySeen> =>
  askAbout(scene, gateway, world, signal)

async function lookAt(plan: PolicyRoutePlan, stage: Stage, tables: PolicyTables): Promise<Before<PolicyRoutePlan>> {
  const {to} = plan.scene
  const [before, seen, target] = await Promise.all([
    tables.read(plan.place),
    watchExit(plan, stage),
    askTarget(to, plan, stage),
  ])
  const looked = {plan: {...plan, before}, uses: seen.by}
  if (isDead(target, null)) {
    const evidence = [gatewayText(target, to)]
    return {...looked, ends: {ok: false, code: 'target-dead', uses: seen.by, evidence}}
  }
  const verdict = judge(plan, seen, to, target)
  if (verdict.code === 'served' && before === plan.via) return {...looked, ends: {...verdict, code: 'already'}}
  return {...looked, ends: seen.alive && seen.cameIn ? null : verdict}
}

/** Served: what the VM sends was seen to leave by it, and something beyond it answered. */
function judge(
  {vm, router, place}: Pick<PolicyRoutePlan, 'vm' | 'router' | 'place'>,
  {alive, cameIn, by}: ExitSeen,
  wanted: NamedGateway,
  target: GatewaySeen,
): Verdict {
  const verdict = (code: ProofCode, ...evidence: string[]): Verdict => ({
    ok: code === 'served',
    code,
    uses: by,
    evidence,
  })
  if (!alive) return verdict('silent', `${vm.name} is silent: no answer to ARP or echo`)
  if (!cameIn)
    return verdict(
      'elsewhere',
      `what ${vm.name} sends to far away does not come to ${place.leg}: ${router.name} is not its gateway`,
    )
  if (by === null)
    return verdict('unverified', `${vm.name} sends to ${router.name}, and what it sent was not seen to leave`)
  const leaves = `${vm.name} sends to ${router.name}, and leaves by ${by.name} (${by.mac})`
  if (by.name !== wanted.name) return verdict('elsewhere', leaves)
  const beyond = gatewayText(target, wanted)
  return verdict(
    target.beyond === 'answers' ? 'served' : isDead(target, null) ? 'target-dead' : 'unverified',
    leaves,
    beyond,
  )
}

/** Back to the rule that was there before, and to nothing else. */
async function rollBack(plan: PolicyRoutePlan, stage: Stage, tables: PolicyTables): Promise<Verdict> {
  if (plan.before === undefined)
    return {ok: true, code: 'unverified', uses: null, evidence: ['nothing was changed before it was looked']}
  await tables.write(plan.place, plan.before)
  const now = await tables.read(plan.place)
  const seen = await watchExit(plan, stage)
  const wanted = plan.before === null ? plan.router : plan.gateways.find(({ip}) => ip === plan.before)
  const rule = now === null ? `${plan.router.name} has no rule for ${plan.vm.name}` : `the rule leads to ${now}`
  const leaves = seen.by === null ? 'what it sends was not seen to leave' : `it leaves by ${seen.by.name}`
  return {
    ok: now === plan.before && seen.by !== null && seen.by.name === wanted?.name,
    code:
      seen.by === null
        ? seen.alive
          ? 'unverified'
          : 'silent'
        : seen.by.name === plan.scene.to.name
          ? 'served'
          : 'elsewhere',
    uses: seen.by,
    evidence: [rule, leaves],
  }
}
