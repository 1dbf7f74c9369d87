// Tells VMs, some at once and not too fast, and confirms what they applied.
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
import type {StrategyEvent} from '../../strategies/strategy.ts'
import type {SigningKey} from '../../wire/agent-message.ts'

/** One VM with what it shall do. */
export interface NotifyRequest {
  readonly target: AgentTarget
  readonly order: SwitchOrder
  readonly key: SigningKey | undefined
}

export type OpenConversation = (
  target: AgentTarget,
  order: SwitchOrder,
  key: SigningKey | undefined,
  stage: ConversationStage,
) => Promise<Conversation>

/** How it ended; `failed`: it could not even be tried, or something broke. */
export type NotifyRow = NotifyRequest & {readonly events: readonly StrategyEvent[]} & (
    | {readonly standing: Standing; readonly failure?: undefined}
    | {readonly standing?: undefined; readonly failure: Failure}
  )

export interface NotifyStage {
  readonly world: World
  readonly signal: AbortSignal
  readonly open: OpenConversation
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

async function notifyOne(notice: NotifyRequest, {world, signal, open, onEvent}: NotifyStage): Promise<NotifyRow> {
  const events: StrategyEvent[] = []
  const stage = (until: AbortSignal): ConversationStage => ({
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
    const standing = await hold(() => openFor(order, signal), order)
    return {...notice, events, standing}
  } catch (error) {
    if (signal.aborted) {
      const back = {...order, timeoutMs: ROLLBACK_MS}
      return {
        ...{...notice, events},
        ...(await takenBack(() => openFor(back, new AbortController().signal), order, reasonOf(signal))),
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
  order: SwitchOrder,
  why: string,
): Promise<{readonly standing: Standing} | {readonly failure: Failure}> {
  const unknown = (detail: string | null): {readonly failure: Failure} => ({
    failure: new Failure('unknown', `${why}; whether it went back is not known: ${detail ?? 'not decided in time'}`),
  })
  try {
    const standing = await hold(open, order, true)
    // Confirmed before it could be stopped is a switch that stands, and is known.
    if (standing.state === 'rolled_back' || standing.state === 'confirmed') return {standing}
    return unknown(standing.detail ?? standing.reason)
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error))
  }
}

/** Begins and confirms, or takes back, and closes. */
async function hold(open: () => Promise<Conversation>, {confirmS}: SwitchOrder, back = false): Promise<Standing> {
  const conversation = await open()
  try {
    if (back) return await conversation.rollBack()
    const begun = await conversation.begin()
    if (begun.state !== 'applied' || confirmS === 0) return begun
    const confirmed = await conversation.confirm()
    const timing = {...begun.timing, ...known(confirmed.timing)}
    // Nobody answered the confirmation: what is known is that it was applied.
    return isDecided(confirmed) ? {...confirmed, timing} : {...begun, ...silentFrom(confirmed), timing}
  } finally {
    conversation.close()
  }
}

const silentFrom = ({state, detail, attempts}: Standing) => ({state, detail, attempts})

const known = (timing: Standing['timing']): Partial<Standing['timing']> =>
  Object.fromEntries(Object.entries(timing).filter(([, value]) => value !== null))
