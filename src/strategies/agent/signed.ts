// A switch by signed messages: said again until it is answered, and only answers that the VM's agent signed are heard.
import {randomBytes} from 'node:crypto'
import {Failure} from '../../errors.ts'
import type {MessagePeer} from '../../net/stream/message-peer.ts'
import {ENOUGH, pause} from '../../probe/schedule.ts'
import {
  type AgentAnswer,
  type AgentCommand,
  type AgentOp,
  type AgentState,
  openAnswer,
  readPublicKey,
  type SigningKey,
  signCommand,
  withTag,
} from '../../wire/agent-message.ts'
import {
  type AgentTarget,
  type Conversation,
  type ConversationStage,
  gatewaysText,
  isDecided,
  type Standing,
  type SwitchOrder,
  transportText,
} from './conversation.ts'

/** From one sending to the next while nothing is heard, ms; the last one again and again. @internal */
export const RETRANSMIT_MS: readonly number[] = [100, 150, 250, 400, 600, 1000]
/** From one question to the next once it is known to be at work, ms: an answer may have been lost. */
const ASK_AGAIN_MS = 300
/** Seconds that a command is valid beyond the time for which it is repeated. */
const SPARE_S = 30

export interface SignedTools {
  readonly peer: MessagePeer
  readonly key: SigningKey
  /** 96 random bits in base64url. */
  readonly nonce?: () => string
}

const newNonce = (): string => randomBytes(12).toString('base64url')

/**
 * Grows from command to command, also across processes and hosts that share a key, as their clocks agree to a
 * millisecond or take turns: µs since 1970.
 */
const sequence = (nowNs: bigint, last: number): number => Math.max(Number(nowNs / 1000n), last + 1)

/** What an agent shall think of a key: fields of the command. JSON. */
export type KeyOrder = Pick<AgentCommand, 'new_kid' | 'new_key' | 'not_before' | 'not_after' | 'old_kid'> & {
  readonly op: 'introduce' | 'revoke'
}

/** Tells one agent, and how it answered. The caller closes the peer. @throws Failure `usage` as signedConversation does. */
export async function tellKeys(
  target: AgentTarget,
  {op, ...fields}: KeyOrder,
  {run, timeoutMs}: Pick<SwitchOrder, 'run' | 'timeoutMs'>,
  tools: SignedTools,
  stage: ConversationStage,
): Promise<Standing> {
  const none = {v4: null, v6: null}
  const order = {...{run, timeoutMs, site: null, to: none, from: none, mode: null, probes: [], confirmS: 0}, fields}
  const {ask, standing} = signedTalk(target, order, tools, stage)
  return standing(await ask(op, () => true), op)
}

type TalkOrder = SwitchOrder & {readonly fields?: Omit<KeyOrder, 'op'>}

interface SignedTalk {
  ask(op: AgentOp, enough: (answer: AgentAnswer) => boolean): Promise<AgentAnswer | undefined>
  standing(answer: AgentAnswer | undefined, op: AgentOp): Standing
  /** It is known by now. */
  confirmed(): void
}

/** What is said and heard of one order. */
function signedTalk(
  target: AgentTarget,
  order: TalkOrder,
  {peer, key, nonce = newNonce}: SignedTools,
  {world, signal, observe}: ConversationStage,
): SignedTalk {
  const agentKey = readPublicKey(target.agentKey ?? '')
  if (agentKey === undefined)
    throw new Failure('usage', `${target.name}: no public key of its agent to check its answers by`)
  const books = bookkeeper(world)
  let seq = 0
  let listening: ((answer: AgentAnswer) => void) | undefined
  const heard = {unsigned: 0, unreachable: undefined as string | undefined}
  peer.onMessage((bytes) => {
    const opened = openAnswer(bytes, () => agentKey)
    if (opened.ok) listening?.(opened.message)
    else heard.unsigned++
  })
  peer.onUnreachable((why) => {
    heard.unreachable = why
  })

  /** Says it as {@link sayOnce} does, and counts on from where the agent is, if a clock was ahead of ours once. */
  async function ask(op: AgentOp, enough: (answer: AgentAnswer) => boolean): Promise<AgentAnswer | undefined> {
    const answer = await sayOnce(op, enough)
    const last = answer?.reason === 'replayed' ? (answer.last_seq ?? 0) : 0
    if (last <= seq || last >= Number.MAX_SAFE_INTEGER) return answer
    observe({atNs: world.now(), text: `${target.name} has heard seq ${last} of this key: said again with a higher one`})
    seq = last
    return sayOnce(op, enough)
  }

  /** Says it until `enough` answers it, or the time is over; resolves to the last answer to it. */
  async function sayOnce(op: AgentOp, enough: (answer: AgentAnswer) => boolean): Promise<AgentAnswer | undefined> {
    seq = sequence(world.now(), seq)
    const command = commandOf(op, target, order, {seq, nonce: nonce(), nowNs: world.now()})
    const token = signCommand(command, {...key, kid: target.kid ?? key.kid})
    // The tag gets it through a flood; agents before 0.2 know no tags.
    const forms = [withTag(token, key), token] as const
    const endNs = world.now() + BigInt(order.timeoutMs) * 1_000_000n
    const done = new AbortController()
    let last: AgentAnswer | undefined
    listening = (answer) => {
      if (!answers(answer, command) || outdated(last, answer)) return
      if (last?.state !== answer.state) observe({atNs: world.now(), text: answerText(target, answer)})
      last = answer
      if (op === 'switch') books.note(answer.state)
      if (enough(answer)) done.abort(ENOUGH)
    }
    observe({atNs: world.now(), text: `${op} (seq ${seq}) → ${transportText(target.transport)}`})
    try {
      for (let sent = 0; !done.signal.aborted; sent++) {
        const leftMs = Number(endNs - world.now()) / 1e6
        if (leftMs <= 0) break
        if (sent > 0 && last === undefined)
          observe({atNs: world.now(), text: `no answer yet: sent again (${sent + 1})`})
        books.sent()
        peer.send(forms[sent % 2]!)
        const waitMs = last === undefined ? (RETRANSMIT_MS[sent] ?? RETRANSMIT_MS.at(-1)!) : ASK_AGAIN_MS
        await pause(world, Math.min(waitMs, leftMs), done.signal, signal)
      }
      return last
    } finally {
      listening = undefined
    }
  }

  const standing = (answer: AgentAnswer | undefined, op: AgentOp): Standing =>
    answer === undefined
      ? {...NOTHING, detail: silence(target, order, heard, op), attempts: books.attempts, timing: books.timing()}
      : {
          state: answer.state,
          reason: answer.reason ?? null,
          detail: answer.detail ?? null,
          gateways: {v4: answer.gw4 ?? null, v6: answer.gw6 ?? null},
          mode: answer.mode ?? null,
          attempts: books.attempts,
          timing: books.timing(answer),
        }

  return {ask, standing, confirmed: () => books.note('confirmed')}
}

/** @throws Failure `usage` for a key of the agent that is none. */
export function signedConversation(
  target: AgentTarget,
  order: SwitchOrder,
  tools: SignedTools,
  stage: ConversationStage,
): Conversation {
  const {ask, standing, confirmed} = signedTalk(target, order, tools, stage)
  const {signal} = stage
  return {
    async begin() {
      signal.throwIfAborted()
      const enough = (answer: AgentAnswer): boolean =>
        isDecided(answer) || (order.confirmS > 0 && answer.state === 'applied')
      return standing(await ask('switch', enough), 'switch')
    },
    async confirm() {
      const answer = await ask('confirm', (said) => said.state !== 'received')
      // What it says of a switch that cannot be confirmed is that; how it ended it tells when asked.
      const asked = answer?.reason === 'no_switch' ? await ask('query', () => true) : answer
      if (asked?.state === 'confirmed') confirmed()
      return standing(asked?.state === 'received' ? answer : asked, 'confirm')
    },
    async rollBack() {
      const answer = await ask('rollback', () => true)
      // It never began, and cannot begin now: its sequence number is used up.
      if (answer?.reason !== 'no_switch') return standing(answer, 'rollback')
      return {...standing(answer, 'rollback'), state: 'rolled_back', detail: `it never began: ${answer.detail ?? ''}`}
    },
    close: () => tools.peer.close(),
  }
}

const NOTHING: Standing = {
  state: 'silent',
  reason: null,
  detail: null,
  gateways: {v4: null, v6: null},
  mode: null,
  attempts: 0,
  timing: {receivedMs: null, appliedMs: null, confirmedMs: null, agentApplyMs: null, agentConfirmMs: null},
}

/** The order as a command. Only a `switch` says what to do; the others speak of the run. */
export function commandOf(
  op: AgentOp,
  target: Pick<AgentTarget, 'id' | 'mac'>,
  order: TalkOrder,
  {seq, nonce, nowNs}: {readonly seq: number; readonly nonce: string; readonly nowNs: bigint},
): AgentCommand {
  const iat = Number(nowNs / 1_000_000_000n)
  const head = {v: 1, op, vm: target.id, run: order.run, seq, iat, nonce} as const
  const exp = iat + Math.ceil(order.timeoutMs / 1000) + SPARE_S
  if (op !== 'switch') return {...head, exp, ...order.fields}
  const {to, from, mode, probes, site, confirmS} = order
  return {
    ...{...head, exp},
    ...(target.mac !== null && {mac: target.mac}),
    ...(site !== null && {site}),
    ...(to.v4 !== null && {gw4: to.v4}),
    ...(to.v6 !== null && {gw6: to.v6}),
    ...(from.v4 !== null && {from_gw4: from.v4}),
    ...(from.v6 !== null && {from_gw6: from.v6}),
    ...(mode !== null && {mode}),
    ...(probes.length > 0 && {probe: probes}),
    ...(confirmS > 0 && {confirm_s: confirmS}),
  }
}

/** The fields that bind an answer to a command. An agent that is asked for by another VM's id says who it is. */
const answers = (answer: AgentAnswer, command: AgentCommand): boolean =>
  (answer.vm === command.vm || answer.reason === 'wrong_vm') &&
  answer.run === command.run &&
  answer.seq === command.seq &&
  answer.nonce === command.nonce &&
  answer.op === command.op

const RANK: Readonly<Record<AgentState, number>> = {received: 0, applied: 1, confirmed: 2, refused: 3, rolled_back: 3}

/** Datagrams overtake each other: what was so before what is known already. */
const outdated = (known: AgentAnswer | undefined, answer: AgentAnswer): boolean =>
  known !== undefined && RANK[answer.state] < RANK[known.state]

function answerText({name}: AgentTarget, answer: AgentAnswer): string {
  const {state, mode, reason, detail, t_apply_ms: applyMs, t_confirm_ms: confirmMs} = answer
  const uses = gatewaysText({v4: answer.gw4 ?? null, v6: answer.gw6 ?? null})
  if (answer.op === 'switch' && state === 'received') return `${name}: received, trying the new gateway`
  if (state === 'applied')
    return `${name}: applied${mode ? ` (${mode})` : ''}${applyMs === undefined ? '' : ` in ${applyMs} ms`}, uses ${uses}`
  if (state === 'confirmed')
    return `${name}: confirmed${confirmMs === undefined ? '' : ` after ${confirmMs} ms`}, uses ${uses}`
  return `${name}: ${state.replace('_', ' ')}${reason ? ` (${reason})` : ''}${detail ? `: ${detail}` : ''}`
}

function silence(
  {name, transport}: AgentTarget,
  {confirmS}: SwitchOrder,
  heard: {readonly unsigned: number; readonly unreachable: string | undefined},
  op: AgentOp,
): string {
  const why =
    heard.unsigned > 0
      ? `${heard.unsigned} answers came, none of them signed by the agent of ${name}: compare its public key with the one known here`
      : (heard.unreachable ??
        `no answer from ${transportText(transport)}: an agent answers only those whose key it trusts`)
  if (op === 'switch' && confirmS > 0)
    return `${why}. If it heard all the same, it goes back by itself within ${confirmS} s`
  return op === 'confirm' ? `${why}. It goes back by itself if the confirmation did not reach it` : why
}

/** Counts and times, from the first message on. */
function bookkeeper(world: ConversationStage['world']) {
  let startNs: bigint | undefined
  let attempts = 0
  const at = new Map<AgentState, number>()
  const since = (): number => Math.round(Number(world.now() - (startNs ?? world.now())) / 1e4) / 100
  return {
    get attempts() {
      return attempts
    },
    sent(): void {
      startNs ??= world.now()
      attempts++
    },
    /** What was skipped on the way, as its answer was lost, is known by now. */
    note(state: AgentState): void {
      const passed: readonly AgentState[] =
        state === 'confirmed'
          ? ['received', 'applied', 'confirmed']
          : state === 'applied'
            ? ['received', 'applied']
            : ['received']
      for (const each of passed) if (!at.has(each)) at.set(each, since())
    },
    timing: (answer?: AgentAnswer): Standing['timing'] => ({
      receivedMs: at.get('received') ?? null,
      appliedMs: at.get('applied') ?? null,
      confirmedMs: at.get('confirmed') ?? null,
      agentApplyMs: answer?.t_apply_ms ?? null,
      agentConfirmMs: answer?.t_confirm_ms ?? null,
    }),
  }
}
