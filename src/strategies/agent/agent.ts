// The agent strategy: the VM itself changes its default route, told by a signed command or through its QEMU guest agent.
import {Failure} from '../../errors.ts'
import {lookBefore, proveServed, putBack} from '../standing.ts'
import {ACCEPTABLE, CONTRACT, type Stage, type Strategy} from '../strategy.ts'
import {type Conversation, gatewaysText, isSigned, type Standing} from './conversation.ts'
import {readSigningKey} from './keys.ts'
import {type AgentPlan, describeAgent, fromObserved, planAgent} from './plan.ts'
import {openConversation} from './transports.ts'

/** `open` gives the way to the VM: tests have one in memory. */
export const agentBy = (open: typeof openConversation): Strategy<AgentPlan> => ({
  contract: CONTRACT,
  name: 'agent',
  summary: 'makes the VM change its own default route, and go back by itself if that is not proved',
  traits: {
    controlledAt: 'VM',
    layer: 'L3',
    gatewayIp: 'changes',
    sessions: 'kept; where gateways translate addresses or keep state, by mode drain',
    needs: 'gwswitch agent in the VM, or its QEMU guest agent on this host',
  },
  takes: ['vlanId', 'verifyTo'],
  plan: planAgent,
  async look(plan, stage) {
    const {standing, ends} = await lookBefore(plan.scene, stage)
    return {plan: fromObserved(plan, standing), uses: standing.uses, ends}
  },
  async execute(plan, stage) {
    const standing = await converse(open, plan, stage, (conversation) => conversation.begin())
    if (standing.state === 'applied' || standing.state === 'confirmed') return
    // What it went back from by itself is for `verify` to see; what never was changed is an error.
    if (standing.state === 'rolled_back') return
    const why = [standing.reason, standing.detail].filter((part) => part !== null).join(': ')
    if (standing.state === 'refused') throw new Failure('refused', `${plan.vm.name} refuses: ${why}`)
    throw new Failure('silent', why || `${plan.vm.name} did not decide within ${plan.order.timeoutMs / 1000} s`)
  },
  async verify(plan, stage) {
    const seen = await proveServed(plan.scene, stage)
    if (!seen.ok && !(plan.acceptUnverified && ACCEPTABLE.includes(seen.code))) return seen
    const standing = await converse(open, plan, stage, (conversation) => conversation.confirm())
    const evidence = [...seen.evidence, answerText(plan, standing)]
    if (standing.state === 'confirmed') return {...seen, evidence}
    // The network saw it on the new gateway, and it says otherwise: it may be on its way back.
    return {...seen, ok: false, code: standing.state === 'silent' ? 'unverified' : 'elsewhere', evidence}
  },
  async rollback(plan, stage) {
    const said: string[] = []
    let isBack = false
    const say = async (what: (conversation: Conversation) => Promise<Standing>): Promise<void> => {
      try {
        const standing = await converse(open, plan, stage, what)
        isBack = standing.state === 'rolled_back'
        said.push(answerText(plan, standing))
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        said.push(error.message)
      }
    }
    const verdict = await putBack(
      plan.scene,
      plan.before,
      {
        // It remembers itself what it used before, whatever was seen from here.
        remembers: true,
        tell: () => say((conversation) => conversation.rollBack()),
        stay: () => say((conversation) => conversation.confirm()),
      },
      stage,
    )
    // Where it cannot be seen from here, the VM's own word, signed or read back, must do.
    const believed = isBack && verdict.uses === null && verdict.code !== 'silent'
    return {...verdict, ok: verdict.ok || believed, evidence: [...said, ...verdict.evidence]}
  },
  describe: describeAgent,
})

export const agent: Strategy<AgentPlan> = agentBy(openConversation)

async function converse(
  open: typeof openConversation,
  plan: AgentPlan,
  stage: Stage,
  say: (conversation: Conversation) => Promise<Standing>,
): Promise<Standing> {
  const key = plan.key === null ? undefined : readSigningKey(plan.key.file, plan.key.kid)
  const conversation = await open(plan.target, plan.order, key, stage)
  try {
    return await say(conversation)
  } finally {
    conversation.close()
  }
}

function answerText({vm, target}: AgentPlan, {state, reason, detail, gateways}: Standing): string {
  const who = isSigned(target.transport) ? `the agent of ${vm.name}, signed,` : `${vm.name}, read back,`
  const uses = gatewaysText(gateways)
  const why = [reason, detail].filter((part) => part !== null).join(': ')
  if (state === 'silent') return why
  return `${who} says: ${state.replace('_', ' ')}${uses ? `, uses ${uses}` : ''}${why ? ` (${why})` : ''}`
}
