// Tells VMs, some at once and not too fast, and confirms what they applied.
import type {Gateway, Vm} from '../../domain/inventory/site.ts'
import type {ProofCode} from '../../domain/proof/proof.ts'
import {Failure} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import {
  type AgentTarget,
  type Conversation,
  type ConversationStage,
  isDecided,
  type Standing,
  type SwitchOrder,
} from '../../strategies/agent/conversation.ts'
import type {Stage, StrategyEvent, Verdict} from '../../strategies/strategy.ts'
import type {SigningKey} from '../../wire/agent-message.ts'

/** One VM with what it shall do. */
export interface NotifyRequest {
  readonly target: AgentTarget
  readonly order: SwitchOrder
  readonly key: SigningKey | undefined
  /** VM and gateway as the inventory has them; undefined where it does not know both. */
  readonly about?: {readonly vm: Vm; readonly to: Gateway} | undefined
}

/** Looks from this host where the VM sends; undefined where that cannot be seen from here. */
export type OwnLook = (notice: NotifyRequest, stage: Stage) => Promise<Verdict | undefined>

const AGAINST: readonly ProofCode[] = ['elsewhere', 'target-dead', 'partial']

/** What was seen speaks against the VM's own word: it is taken back, where there is something to take back. */
const isAgainst = (proof: Verdict | undefined): boolean => proof !== undefined && AGAINST.includes(proof.code)

/** What was seen speaks against what the VM says; not where both say that a part stays behind. */
export const isContradicted = ({reason}: Pick<Standing, 'reason'>, proof: Verdict | undefined): boolean =>
  isAgainst(proof) && !(reason === 'partial' && proof!.code === 'partial')

export type OpenConversation = (
  target: AgentTarget,
  order: SwitchOrder,
  key: SigningKey | undefined,
  stage: ConversationStage,
) => Promise<Conversation>

/** How it ended; `failed`: it could not even be tried, or something broke. */
export type NotifyRow = NotifyRequest & {readonly events: readonly StrategyEvent[]} & (
    | {readonly standing: Standing; readonly proof?: Verdict | undefined; readonly failure?: undefined}
    | {readonly standing?: undefined; readonly proof?: undefined; readonly failure: Failure}
  )

export interface NotifyStage {
  readonly world: World
  readonly signal: AbortSignal
  readonly open: OpenConversation
  /** Absent: the VM's own word is all there is. */
  readonly look?: OwnLook | undefined
  /** Told after every VM that is done. */
  progress?(done: number, all: number): void
  /** Told of what happens, as it happens. */
  onEvent?(vm: string, text: string): void
}

/** At most this many are under way at once. */
const AT_ONCE = 64
/** How long an interrupted switch is taken back, ms. */
const ROLLBACK_MS = 3000

/**
 * Begins `rate` VMs a second; rows in the order of `notices`. After an abort nothing more is begun and what is under way is
 * taken back: the rows say what came of it.
 */
export async function notifyAll(
  notices: readonly NotifyRequest[],
  rate: number,
  stage: NotifyStage,
): Promise<NotifyRow[]> {
  const {world, signal, progress} = stage
  const running = new Set<Promise<unknown>>()
  const rows: Promise<NotifyRow>[] = []
  let done = 0
  for (const [i, notice] of notices.entries()) {
    if (i > 0) await world.sleep(1000 / rate, signal).catch(() => {})
    while (running.size >= AT_ONCE) await Promise.race(running)
    const row = signal.aborted ? Promise.resolve(notBegun(notice, signal)) : notifyOne(notice, stage)
    const settled = row.then(
      () => progress?.(++done, notices.length),
      () => {},
    )
    running.add(settled)
    void settled.then(() => running.delete(settled))
    rows.push(row)
  }
  await Promise.all(running)
  return Promise.all(rows)
}

const notBegun = (notice: NotifyRequest, signal: AbortSignal): NotifyRow => ({
  ...{...notice, events: []},
  failure: new Failure('runtime', `${reasonOf(signal)}: not begun`),
})

async function notifyOne(notice: NotifyRequest, {world, signal, open, look, onEvent}: NotifyStage): Promise<NotifyRow> {
  const events: StrategyEvent[] = []
  const stage = (until: AbortSignal): Stage => ({
    world,
    signal: until,
    observe(event) {
      events.push(event)
      world.log(event.text)
      onEvent?.(notice.target.name, event.text)
    },
  })
  const {target, order, key} = notice
  const openFor = (changed: SwitchOrder, until: AbortSignal) => open(target, changed, key, stage(until))
  try {
    const prove = async () => look?.(notice, stage(signal))
    return {...notice, events, ...(await hold(() => openFor(order, signal), order, prove))}
  } catch (error) {
    if (signal.aborted) {
      const back = {...order, timeoutMs: ROLLBACK_MS}
      return {
        ...{...notice, events},
        ...(await takenBack(() => openFor(back, new AbortController().signal), reasonOf(signal))),
      }
    }
    if (error instanceof Failure) return {...notice, events, failure: error}
    throw error
  }
}

const reasonOf = ({reason}: AbortSignal): string => (reason instanceof Error ? reason.message : String(reason))

/** How an interrupted switch stands after the attempt to take it back. */
async function takenBack(
  open: () => Promise<Conversation>,
  why: string,
): Promise<{readonly standing: Standing} | {readonly failure: Failure}> {
  const unknown = (detail: string | null): {readonly failure: Failure} => ({
    failure: new Failure('unknown', `${why}; whether it went back is not known: ${detail ?? 'not decided in time'}`),
  })
  try {
    const standing = await rollBack(open)
    // Confirmed before it could be stopped is a switch that stands, and is known.
    if (standing.state === 'rolled_back' || standing.state === 'confirmed') return {standing}
    return unknown(standing.detail ?? standing.reason)
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error))
  }
}

interface Held {
  readonly standing: Standing
  /** What was seen from here; undefined: nothing could be. */
  readonly proof?: Verdict | undefined
}

/** Begins, looks, and confirms or takes back by what was seen; and closes. */
async function hold(
  open: () => Promise<Conversation>,
  {confirmS}: SwitchOrder,
  prove: () => Promise<Verdict | undefined>,
): Promise<Held> {
  const conversation = await open()
  try {
    const begun = await conversation.begin()
    const isConfirmed = begun.state === 'confirmed'
    if (!isConfirmed && (begun.state !== 'applied' || confirmS === 0)) return {standing: begun}
    const proof = await prove()
    const against = isConfirmed ? isContradicted(begun, proof) : isAgainst(proof)
    // Of what was there before nothing is to be taken back.
    if (isConfirmed && (!against || begun.reason === 'already')) return {standing: begun, proof}
    const decided = against ? await conversation.rollBack() : await conversation.confirm()
    const timing = {...begun.timing, ...known(decided.timing)}
    // Nobody answered the confirmation: what is known is that it was applied.
    if (!isDecided(decided)) return {standing: {...begun, ...silentFrom(decided), timing}, proof}
    const detail = against ? proof!.evidence.join('; ') : decided.detail
    return {standing: {...decided, detail, timing}, proof}
  } finally {
    conversation.close()
  }
}

async function rollBack(open: () => Promise<Conversation>): Promise<Standing> {
  const conversation = await open()
  try {
    return await conversation.rollBack()
  } finally {
    conversation.close()
  }
}

const silentFrom = ({state, detail, attempts}: Standing) => ({state, detail, attempts})

const known = (timing: Standing['timing']): Partial<Standing['timing']> =>
  Object.fromEntries(Object.entries(timing).filter(([, value]) => value !== null))
