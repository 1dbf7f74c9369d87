// From a message to its answers: is it a repetition, does the policy allow it, what came of it, who is told. Pure: messages
// come in verified, answers go out as actions, in the order in which they are to be written down and sent.
import {
  type AgentAnswer,
  type AgentCommand,
  type AgentReason,
  type Echo,
  echoOf,
  type Opened,
  type SilentReason,
} from '../../wire/agent-message.ts'
import type {AgentConfig} from './config.ts'
import type {PolicyFacts, SwitchPlan} from './facts.ts'
import {type AgentMemory, answerTo, outcomeOf, remembered, type SwitchRecord, toldAgain} from './memory.ts'
import {decide} from './policy.ts'

/** Takes a signed answer to whoever asked; a way that is gone is no error. It is handed on here, never used. */
export type Reply = (token: string) => void

/** Who gave a command, and how to tell them what came of it. */
export interface Asker {
  readonly kid: string
  readonly command: AgentCommand
  readonly digest: string
  readonly reply: Reply
}

/** What reached the agent, for `agent status`. */
export interface ReceptionCounts {
  readonly obeyed: number
  readonly refused: number
  readonly repeated: number
  readonly silent: Readonly<Partial<Record<SilentReason, number>>>
}

export interface Reception {
  /** Digests of the commands that are being carried out: their first copy will be answered. */
  readonly underway: readonly string[]
  /** A switch was accepted, and its turn is not over: it may not have begun, so that nothing on disk says so. */
  readonly beginning: boolean
  /** Who began the switch in progress, or the last one. */
  readonly asker: Asker | undefined
  /** Who asked for a rollback that could not be done at once: told without asking again. */
  readonly waiting: readonly Asker[]
  readonly counts: ReceptionCounts
}

export const NOBODY: Reception = {
  ...{underway: [], beginning: false, asker: undefined, waiting: []},
  counts: {obeyed: 0, refused: 0, repeated: 0, silent: {}},
}

/** How many are told without asking again. */
const WAITING = 16

export type ReceptionEvent =
  /** `digest`: of the signed part. `atMs`: when it arrived. */
  | {
      readonly kind: 'message'
      readonly opened: Opened<AgentCommand>
      readonly digest: string
      readonly reply: Reply
      readonly atMs: number
    }
  /** What the command wanted had its turn. */
  | {readonly kind: 'done'; readonly asker: Asker}
  /** The switch did not begin. */
  | {readonly kind: 'declined'; readonly asker: Asker; readonly reason: AgentReason; readonly detail: string}
  /** A decisive `use_up` failed. The state is the one before, and nothing that it was for was done. */
  | {readonly kind: 'not_saved'; readonly asker: Asker; readonly detail: string}
  /** What it said of keys had its turn. */
  | {readonly kind: 'told'; readonly asker: Asker; readonly outcome: Outcome}
  /** The switch is in another state now, and that is written down. */
  | {readonly kind: 'changed'; readonly record: SwitchRecord}

export type Outcome = Pick<
  AgentAnswer,
  'state' | 'reason' | 'detail' | 'last_seq' | 'mode' | 't_apply_ms' | 't_confirm_ms'
>

export type ReceptionAction =
  /**
   * The command's sequence number and nonce are used up. `decisive`: on disk before the actions after it are taken; else
   * they are not, and `not_saved` comes. Always the first action then.
   */
  | {readonly kind: 'use_up'; readonly asker: Asker; readonly decisive: boolean}
  /** Ends in `done` or `declined`, which finds the command used up. */
  | {readonly kind: 'switch'; readonly asker: Asker; readonly plan: SwitchPlan; readonly atMs: number}
  /** Each ends in `done`. */
  | {readonly kind: 'confirm' | 'rollback'; readonly asker: Asker}
  /** Ends in `told`. */
  | {readonly kind: 'keys'; readonly asker: Asker}
  /** Written down, and then sent; with the gateways in use. */
  | {readonly kind: 'answer'; readonly asker: Asker; readonly outcome: Outcome}
  /** What is written down as its answer by now is sent. */
  | {readonly kind: 'tell'; readonly asker: Asker}
  /** Sent only. */
  | {
      readonly kind: 'say'
      readonly kid: string
      readonly echo: Echo
      readonly outcome: Outcome
      readonly reply: Reply
    }
  /** For who asked a site for a gateway: a switch is obeyed; it came to nothing, or was undone. */
  | {readonly kind: 'switch_obeyed' | 'switch_failed'}
  | {readonly kind: 'log'; readonly text: string}

/** What is so now. */
export interface ReceptionNow {
  readonly config: AgentConfig
  readonly memory: AgentMemory
  /** Why a key that is known may give no orders now; undefined if it may. */
  keyProblem?(kid: string): string | undefined
  /** Read only for a command that is neither a repetition nor being carried out. @throws RouteError */
  facts(): PolicyFacts
}

export interface ReceptionStep {
  readonly state: Reception
  readonly actions: readonly ReceptionAction[]
}

/** @throws what `now.facts` throws; the state is then as it was. */
export function step(state: Reception, event: ReceptionEvent, now: ReceptionNow): ReceptionStep {
  switch (event.kind) {
    case 'message':
      return receive(state, event, now)
    case 'done':
      return done(state, event.asker, now.memory)
    case 'declined':
      return declined(state, event)
    case 'not_saved':
      return refuse(state, event.asker, {reason: 'persist_failed', detail: event.detail, consumes: true})
    case 'told':
      return {
        state: counted(without(state, event.asker), event.outcome.state === 'refused' ? 'refused' : 'obeyed'),
        actions: [{kind: 'answer', asker: event.asker, outcome: event.outcome}],
      }
    case 'changed':
      return tell(state, event.record)
  }
}

const counted = (state: Reception, what: 'obeyed' | 'refused' | 'repeated'): Reception => ({
  ...state,
  counts: {...state.counts, [what]: state.counts[what] + 1},
})

function receive(state: Reception, event: ReceptionEvent & {kind: 'message'}, now: ReceptionNow): ReceptionStep {
  const {opened, digest, reply} = event
  if (!opened.ok) return opened.authenticated ? invalid(state, opened, reply) : hush(state, opened.reason)
  const {kid, message: command} = opened
  const asker: Asker = {kid, command, digest, reply}
  const before = command.vm === now.config.vm ? answerTo(now.memory, kid, command.seq, digest) : undefined
  if (before !== undefined) return repeat(state, asker)
  if (state.underway.includes(digest)) return {state, actions: []}
  return obey(state, asker, event.atMs, now)
}

function hush(state: Reception, reason: SilentReason): ReceptionStep {
  const {silent} = state.counts
  const counts = {...state.counts, silent: {...silent, [reason]: (silent[reason] ?? 0) + 1}}
  return {state: {...state, counts}, actions: []}
}

/** A signed command that makes no sense. */
function invalid(state: Reception, {kid, problem, payload}: Invalid, reply: Reply): ReceptionStep {
  const echo = echoOf(payload)
  const outcome = {state: 'refused', reason: 'invalid', detail: problem} as const
  return {
    state: counted(state, 'refused'),
    actions: echo === undefined ? [] : [{kind: 'say', kid, echo, outcome, reply}],
  }
}

/** Who asks again is told by the way that it asked by last. */
function repeat(state: Reception, again: Asker): ReceptionStep {
  const began = state.asker?.kid === again.kid && state.asker.digest === again.digest
  return {
    state: counted(began ? {...state, asker: again} : state, 'repeated'),
    actions: [{kind: 'tell', asker: again}],
  }
}

function obey(state: Reception, asker: Asker, atMs: number, now: ReceptionNow): ReceptionStep {
  const invalidKey = now.keyProblem?.(asker.kid)
  if (invalidKey !== undefined) return refuse(state, asker, {reason: 'key', detail: invalidKey, consumes: false})
  const decision = decide(asker.command, asker.kid, now.config, now.facts())
  if (!decision.accept) return refuse(state, asker, decision)
  if (decision.op === 'query') {
    const {last} = now.memory
    const outcome = last?.run === asker.command.run ? outcomeOf(last) : RECEIVED
    return {state: counted(state, 'obeyed'), actions: [usedUp(asker), {kind: 'answer', asker, outcome}]}
  }
  if (decision.op === 'already') {
    const outcome = {state: 'confirmed', reason: 'already', detail: decision.detail.slice(0, 300)} as const
    return {state: counted(state, 'obeyed'), actions: [usedUp(asker), {kind: 'answer', asker, outcome}]}
  }
  const underway = {...state, underway: [...state.underway, asker.digest]}
  // That it is used up goes to disk before anything is done for it: it is obeyed at most once, also across a crash.
  if (decision.op === 'introduce' || decision.op === 'revoke')
    return {state: underway, actions: [usedUp(asker), {kind: 'keys', asker}]}
  if (decision.op !== 'switch') return {state: underway, actions: [usedUp(asker), {kind: decision.op, asker}]}
  if (state.beginning) {
    return refuse(state, asker, {reason: 'busy', detail: 'another switch is just beginning', consumes: true})
  }
  return {
    state: {...underway, beginning: true, asker},
    // Used up by the switch's own first write.
    actions: [{kind: 'switch_obeyed'}, {kind: 'switch', asker, plan: decision.plan, atMs}],
  }
}

const usedUp = (asker: Asker): ReceptionAction => ({kind: 'use_up', asker, decisive: true})

const RECEIVED: Outcome = {state: 'received'}

interface Refusal {
  readonly reason: AgentReason
  readonly detail: string
  /** Whether the sequence number is used up by it. */
  readonly consumes: boolean
  readonly lastSeq?: number
}

function refuse(state: Reception, asker: Asker, {reason, detail, consumes, lastSeq}: Refusal): ReceptionStep {
  const {kid, command, reply} = asker
  const known = lastSeq === undefined ? {} : {last_seq: lastSeq}
  const outcome = {state: 'refused', reason, detail: detail.slice(0, 300), ...known} as const
  return {
    state: counted(state, 'refused'),
    actions: [
      {kind: 'log', text: `refused run ${command.run} of ${kid}: ${reason}: ${detail}`},
      ...(consumes
        ? ([
            {kind: 'use_up', asker, decisive: false},
            {kind: 'answer', asker, outcome},
          ] as const)
        : [{kind: 'say', kid, echo: command, outcome, reply} as const]),
    ],
  }
}

const without = (state: Reception, {digest, command}: Asker): Reception => ({
  ...state,
  underway: state.underway.filter((each) => each !== digest),
  beginning: state.beginning && command.op !== 'switch',
})

function declined(state: Reception, {asker, reason, detail}: ReceptionEvent & {kind: 'declined'}): ReceptionStep {
  const refused = refuse(without(state, asker), asker, {reason, detail, consumes: true})
  return {...refused, actions: [{kind: 'switch_failed'}, ...refused.actions]}
}

/** Of a switch everything is told as it changes. */
function done(before: Reception, asker: Asker, {last}: AgentMemory): ReceptionStep {
  const state = counted(without(before, asker), 'obeyed')
  const {op} = asker.command
  if (op === 'switch') return {state, actions: []}
  const waits = op === 'rollback' && last?.phase === 'rolling_back'
  return {
    state: waits ? {...state, waiting: [...state.waiting, asker].slice(-WAITING)} : state,
    actions: [{kind: 'answer', asker, outcome: last === undefined ? RECEIVED : outcomeOf(last)}],
  }
}

/** Who hears that the switch is in another state: what is written down as the answer to them. */
function tell(state: Reception, record: SwitchRecord): ReceptionStep {
  const isDone = record.phase === 'done'
  const {asker, waiting} = state
  const told = [...(isDone ? waiting : []), ...(asker && began(asker, record) && isTold(record) ? [asker] : [])]
  return {
    state: isDone ? {...state, waiting: []} : state,
    actions: [
      ...(isDone && record.state !== 'confirmed' ? ([{kind: 'switch_failed'}] as const) : []),
      ...told.map((each) => ({kind: 'tell', asker: each}) as const),
    ],
  }
}

/** What is under way is told when it is decided, or when it turns out that this may take long. */
const isTold = ({phase, trouble}: SwitchRecord): boolean =>
  phase !== 'applying' && (phase !== 'rolling_back' || trouble !== undefined)

const began = ({kid, command}: Asker, record: SwitchRecord): boolean => command.seq === record.seq && kid === record.kid

type Invalid = Extract<Opened<AgentCommand>, {readonly ok: false; readonly authenticated: true}>

/**
 * The memory with what a switch is now in the answer to the command that began it, also after a restart, when nobody waits
 * for it; and in the answers that were not the last word. `stamp`: what every answer has.
 */
export function withAnswer(
  {asker}: Reception,
  memory: AgentMemory,
  record: SwitchRecord,
  stamp: (echo: Echo) => Omit<AgentAnswer, 'state'>,
): AgentMemory {
  const {kid, run, seq, nonce} = record
  const before = memory.answered.find((each) => each.kid === kid && each.seq === seq)
  const digest = asker && began(asker, record) ? asker.digest : before?.digest
  const told = toldAgain(memory, record)
  if (digest === undefined) return told
  const answer = {...stamp({op: 'switch', run, seq, nonce}), ...outcomeOf(record)}
  return remembered(told, {kid, seq, digest, answer})
}
