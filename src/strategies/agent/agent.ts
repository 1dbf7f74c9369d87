// The agent strategy: the VM itself changes its default route, told by a signed command or through its QEMU guest agent.
import {Failure} from '../../errors.ts'
import type {Egress} from '../../probe/egress.ts'
import {egressOf} from '../planned-egress.ts'
import type {Stage, Strategy, Verdict} from '../strategy.ts'
import {type Conversation, gatewaysText, isSigned, type Standing} from './conversation.ts'
import {readSigningKey} from './keys.ts'
import {type AgentPlan, describeAgent, type PlannedGateway, planAgent} from './plan.ts'
import {openConversation} from './transports.ts'

/** `open` gives the way to the VM: tests have one in memory. @internal */
export const agentBy = (open: typeof openConversation): Strategy<AgentPlan> => ({
  name: 'agent',
  summary: 'makes the VM change its own default route, and go back by itself if that is not proved',
  traits: {
    controlledAt: 'VM',
    layer: 'L3',
    gatewayIp: 'changes',
    sessions: 'kept; where gateways translate addresses or keep state, by mode drain',
    needs: 'gwswitch agent in the VM, or its QEMU guest agent on this host',
  },
  plan: planAgent,
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
    const seen = await look(plan, plan.to, stage)
    if (!seen.ok) return seen
    const standing = await converse(open, plan, stage, (conversation) => conversation.confirm())
    const said = answerText(plan, standing)
    return {ok: standing.state === 'confirmed', evidence: [...seen.evidence, said]}
  },
  async rollback(plan, stage) {
    const standing = await converse(open, plan, stage, (conversation) => conversation.rollBack()).catch(
      (error: unknown) => {
        if (error instanceof Failure) return error.message
        throw error
      },
    )
    const seen = await look(plan, plan.from, stage)
    const said = typeof standing === 'string' ? standing : answerText(plan, standing)
    return {ok: seen.ok, evidence: [said, ...seen.evidence]}
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

/** Where the VM's own packets go, of each family that is switched. What it says of itself counts only beside this. */
async function look(plan: AgentPlan, wanted: PlannedGateway, stage: Stage): Promise<Verdict> {
  const {ip, ip6} = plan.vm
  const egresses = await Promise.all(
    (ip6 === null ? [ip] : [ip, ip6]).map((each) => egressOf(plan, wanted, stage, each)),
  )
  const verdicts = egresses.map((egress, i) => judge(plan, wanted, egress, i === 0 ? IPV4 : IPV6))
  return {ok: verdicts.every(({ok}) => ok), evidence: verdicts.flatMap(({evidence}) => evidence)}
}

const IPV4 = {by: '', asked: 'ARP'}
const IPV6 = {by: ' over IPv6', asked: 'neighbour discovery'}

function judge(
  {vm, to, from, interface: via}: AgentPlan,
  wanted: PlannedGateway,
  {mac, alive, ownMac}: Egress,
  {by, asked}: typeof IPV4,
): Verdict {
  if (mac !== undefined) {
    const known = [to, from].find((gateway) => gateway.mac === mac)
    return {
      ok: mac === wanted.mac,
      evidence: [
        `${vm.name} leaves${by} through ${known ? `${known.name} (${mac})` : `${mac}, which is no gateway of this switch`}`,
      ],
    }
  }
  if (!alive) return {ok: false, evidence: [`${vm.name} is silent${by}: no answer to ${asked} or echo`]}
  // What goes to another MAC does not pass a gateway's own leg: there, hearing nothing is the evidence.
  if (wanted.mac === from.mac && ownMac === to.mac) {
    return {ok: true, evidence: [`${vm.name} answers ${asked} and sends nothing to ${to.name} any more`]}
  }
  return {
    ok: false,
    evidence: [
      `${vm.name} answers ${asked}, but where it sends${by} cannot be seen at ${via}: run this at ${wanted.name} or on the VM's own port; a VM that drops ICMP and sends nothing else would explain it too`,
    ],
  }
}
