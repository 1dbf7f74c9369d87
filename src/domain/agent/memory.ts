// What an agent must not forget when it is killed: whom it obeyed last, what it answered, and the switch it is in.
import type {AgentAnswer, AgentReason, AgentState, SwitchMode} from '../../wire/agent-message.ts'

/** A default route as it can be written back: everything of the kernel's own message. */
export interface SavedRoute {
  readonly family: 4 | 6
  readonly table: number
  readonly protocol: number
  readonly metric: number
  readonly gateway: string | undefined
  readonly interfaceIndex: number
  readonly onlink: boolean
  readonly compound: boolean
  readonly raw: string
}

/** The change of one family's default route, with all that undoing it takes. */
export interface RouteChange {
  readonly family: 4 | 6
  readonly mode: SwitchMode
  readonly interfaceIndex: number
  readonly interfaceName: string
  /** By which the NIC is found when it was replugged. Absent in what older agents wrote. */
  readonly mac?: string
  /** Another NIC had the host's default route: only what is bound to this one was moved. */
  readonly spare?: true
  readonly from: string
  readonly to: string
  /** `replace`: the owner's route before and after. */
  readonly route?: {readonly before: SavedRoute; readonly after: SavedRoute}
  /**
   * `rule` and `drain`: the gateway that the overlay had before (null: there was none) and has after (null: it goes), and
   * the owner's route that it lies over and is made after.
   */
  readonly overlay?: {readonly before: string | null; readonly after: string | null; readonly route: SavedRoute}
}

/**
 * What was confirmed for a family and is to be so: followed until another switch is, or it is undone. `in_force`: so it is.
 * `withdrawn`: our overlay was taken away, for what it lay over is not so any more; it comes back with that. `lost`: the VM
 * uses another gateway all the same.
 */
export interface Standing {
  readonly kid: string
  readonly run: string
  readonly change: RouteChange
  readonly state: 'in_force' | 'withdrawn' | 'lost'
  /** Why it is not in force. */
  readonly why?: string
  /** Ordinary traffic went past the gateway when it was confirmed, as by a tunnel: it is no sign of anything. */
  readonly aside?: true
  /** ms since 1970: since when it is so. */
  readonly sinceMs: number
}

/**
 * Where a switch is. `probing`: nothing is changed. `applying`: the change may be made, in part or not at all. `applied`:
 * made, not proved. `rolling_back`: undoing it, until it is undone; `state` is `applied` for so long. `done`: `state` says
 * how it ended.
 */
export type SwitchPhase = 'probing' | 'applying' | 'applied' | 'rolling_back' | 'done'

/** A switch, from the command to its end. */
export interface SwitchRecord {
  readonly kid: string
  readonly run: string
  readonly seq: number
  readonly nonce: string
  readonly mode: SwitchMode
  readonly phase: SwitchPhase
  readonly state: AgentState
  readonly reason?: AgentReason
  readonly detail?: string
  /** While `rolling_back`: what could not be undone when it was last tried. Absent before the first attempt has failed. */
  readonly trouble?: string
  readonly changes: readonly RouteChange[]
  readonly probes: readonly string[]
  /** Whether a `confirm` must come; without it the agent's own probes confirm. */
  readonly needsConfirm: boolean
  /** When to roll back, on a clock that no one sets: ms since boot, of this boot. Absent before anything is changed. */
  readonly deadline?: Deadline
  /**
   * Until when open sessions stay on the old gateway. Absent where they do not, or no longer. While another gateway is
   * tried, it is that of the switch before.
   */
  readonly drainUntil?: Deadline
  /** Until when the confirmed gateway is watched. Absent where it cannot be. */
  readonly guardUntil?: Deadline
  readonly drainMs: number
  /** What stays behind of the VM's traffic, in words, as seen after the change. */
  readonly partial?: string
  /** What was confirmed, this switch included when it is, by family; and what it was before this one. */
  readonly standing?: readonly Standing[]
  readonly standingBefore?: readonly Standing[]
  /** While `rolling_back` because one family's gateway died: what of this switch stays. */
  readonly staying?: readonly RouteChange[]
  /** What an undoing that was given up has left: tried again when routes change, until another switch is about it. */
  readonly owed?: readonly RouteChange[]
  /** What was owed where this one was confirmed: it is again when this one is undone. */
  readonly owedBefore?: readonly RouteChange[]
  /** ms since 1970, by the VM's clock. */
  readonly startedAt: number
  readonly endedAt?: number
  readonly applyMs?: number
  readonly confirmMs?: number
}

export interface Deadline {
  readonly bootId: string
  readonly uptimeMs: number
}

/** The last messages of a key. */
export interface KeyMemory {
  readonly seq: number
  /** Nonces and the second in which each may be forgotten. */
  readonly nonces: readonly (readonly [string, number])[]
}

/** A command that was answered, by what identifies it. */
export interface AnsweredCommand {
  readonly kid: string
  readonly seq: number
  /** SHA-256 of the signed part, base64url: only the very same message is a repetition. */
  readonly digest: string
  readonly answer: AgentAnswer
}

export interface AgentMemory {
  readonly version: 1
  /** Grows from write to write: of two copies it tells the newer. Absent in what older agents wrote. */
  readonly revision?: number
  readonly keys: Readonly<Record<string, KeyMemory>>
  /** Newest last. */
  readonly answered: readonly AnsweredCommand[]
  /** The switch in progress, or the last one. */
  readonly last?: SwitchRecord
}

export const EMPTY_MEMORY: AgentMemory = {version: 1, keys: {}, answered: []}

/** Enough for every retransmission of every operation of a switch. */
const ANSWERS_KEPT = 16
const NONCES_KEPT = 256

/** The last messages of a key; a kid may be called as what every object has. */
export const lastOf = ({keys}: Pick<AgentMemory, 'keys'>, kid: string): KeyMemory | undefined =>
  Object.hasOwn(keys, kid) ? keys[kid] : undefined

/** Takes note of a message: its sequence number and its nonce are used up. */
export function used(
  memory: AgentMemory,
  kid: string,
  message: {seq: number; nonce: string; exp: number},
  nowS: number,
): AgentMemory {
  const before = lastOf(memory, kid)?.nonces ?? []
  const nonces = [...before.filter(([, until]) => until >= nowS), [message.nonce, message.exp] as const].slice(
    -NONCES_KEPT,
  )
  return {...memory, keys: {...memory.keys, [kid]: {seq: message.seq, nonces}}}
}

/** Stores the answer to a command, over an earlier answer to the same. */
export function remembered(memory: AgentMemory, entry: AnsweredCommand): AgentMemory {
  const others = memory.answered.filter(({kid, seq}) => kid !== entry.kid || seq !== entry.seq)
  return {...memory, answered: [...others, entry].slice(-ANSWERS_KEPT)}
}

/** The stored answer to the very same message. */
export const answerTo = (memory: AgentMemory, kid: string, seq: number, digest: string): AnsweredCommand | undefined =>
  memory.answered.find((entry) => entry.kid === kid && entry.seq === seq && entry.digest === digest)

/** A switch that is not decided. */
export const isOpen = (record: SwitchRecord | undefined): record is OpenSwitch =>
  record !== undefined && record.phase !== 'done'
export type OpenSwitch = SwitchRecord & {readonly phase: Exclude<SwitchPhase, 'done'>}

/** One that is made, and goes back at its deadline unless it is proved and confirmed before. */
export const isPending = (
  record: SwitchRecord | undefined,
): record is SwitchRecord & {readonly phase: 'applied'; readonly deadline: Deadline} =>
  record?.phase === 'applied' && record.deadline !== undefined

/** A switch that keeps another from beginning. One that cannot be undone does not. */
export const isBusy = (record: SwitchRecord | undefined): record is OpenSwitch =>
  isOpen(record) && (record.phase !== 'rolling_back' || record.trouble === undefined)

/** What is followed: of what an older agent wrote, what its last switch confirmed. */
export const standingOf = (record: SwitchRecord | undefined): readonly Standing[] =>
  record?.standing ??
  (record?.state === 'confirmed'
    ? record.changes.map((change) => standingFor(record, change, record.endedAt ?? record.startedAt))
    : [])

export const standingFor = ({kid, run}: SwitchRecord, change: RouteChange, sinceMs: number): Standing => ({
  ...{kid, run, change, state: 'in_force', sinceMs},
})

/** What was answered to a switch of that run that found nothing to do. */
export const alreadyOf = ({answered}: AgentMemory, kid: string, run: string): string | undefined =>
  answered.find(({kid: by, answer}) => by === kid && answer.run === run && answer.reason === 'already')?.answer.detail

/** Why it was refused or rolled back, or is not rolled back yet. */
export const detailOf = ({detail, trouble}: Pick<SwitchRecord, 'detail' | 'trouble'>): string | undefined =>
  trouble === undefined
    ? detail
    : [detail, `not undone yet, it is tried again: ${trouble}`].filter((part) => part !== undefined).join('; ')

/** What a switch's answer says about it. */
export function outcomeOf(
  record: SwitchRecord,
): Pick<AgentAnswer, 'state' | 'reason' | 'detail' | 'mode' | 't_apply_ms' | 't_confirm_ms'> {
  const detail = detailOf(record)
  return {
    state: record.state,
    mode: record.mode,
    ...(record.reason === undefined ? {} : {reason: record.reason}),
    ...(detail === undefined ? {} : {detail: detail.slice(0, 300)}),
    ...(record.applyMs === undefined ? {} : {t_apply_ms: record.applyMs}),
    ...(record.confirmMs === undefined ? {} : {t_confirm_ms: record.confirmMs}),
  }
}

/**
 * The memory with what is now known of a switch in every answer that speaks of it and was not the last word: who asked
 * for it to be taken back, and asks again, hears how that went.
 */
export function toldAgain(memory: AgentMemory, record: SwitchRecord): AgentMemory {
  const outdated = ({kid, answer: {op, run, state}}: AnsweredCommand): boolean =>
    kid === record.kid && run === record.run && state === 'applied' && (op === 'rollback' || op === 'confirm')
  if (!memory.answered.some(outdated)) return memory
  const now = outcomeOf(record)
  return {
    ...memory,
    answered: memory.answered.map((each) => (outdated(each) ? {...each, answer: {...each.answer, ...now}} : each)),
  }
}
