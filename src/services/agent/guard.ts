// Watches a confirmed gateway for a while: back to the old one if it dies and the old one still leads somewhere.
import type {RouteChange, SwitchRecord} from '../../domain/agent/memory.ts'
import type {AgentKernel} from './kernel.ts'
import {silentBeyond} from './prove.ts'
import {trialOf, tryGateways} from './try-gateways.ts'

/** ms between looks, and how many must fail in a row. */
const EVERY_MS = 2000
const FAILURES = 3

export interface Guard {
  /** For what is left of the record's time, also after a restart. */
  watch(record: SwitchRecord): void
  /** Watches no longer. */
  leave(): void
  /** Resolves when nothing is asked any more on account of the watch; after {@link leave}. */
  left(): Promise<void>
}

/** The families in which the new gateway is dead and the old one is not. */
export interface Death {
  readonly families: readonly (4 | 6)[]
  readonly detail: string
}

/** `onDied`: there is a reason to go back. */
export function makeGuard(
  kernel: AgentKernel,
  probeMs: number,
  onDied: (record: SwitchRecord, death: Death) => void,
): Guard {
  let guarding = new AbortController()
  let guarded: Promise<void> = Promise.resolve()
  return {
    watch(record) {
      guarding = new AbortController()
      const {signal} = guarding
      guarded = guardGateway(kernel, {record, untilMs: record.guardUntil!.uptimeMs, probeMs}, signal).then(
        (death) => {
          if (death !== undefined) onDied(record, death)
        },
        (error: Error) => {
          if (!signal.aborted) kernel.log(`guard: ${error.message}`)
        },
      )
    },
    leave: () => guarding.abort(),
    left: () => guarded,
  }
}

interface Watched {
  readonly record: SwitchRecord
  /** By `kernel.uptime()`. */
  readonly untilMs: number
  readonly probeMs: number
}

/** @throws Error of the kernel's */
async function guardGateway(
  kernel: AgentKernel,
  {record, untilMs, probeMs}: Watched,
  signal: AbortSignal,
): Promise<Death | undefined> {
  const failures = new Map<4 | 6, number>()
  while (kernel.uptime() < untilMs) {
    await kernel.sleep(EVERY_MS, signal)
    for (const change of record.changes) {
      const silent = await silentBeyond(kernel, change, {probes: record.probes, timeoutMs: probeMs, signal})
      // Where the kernel sends elsewhere now, silence says nothing about this gateway.
      failures.set(change.family, silent === true ? (failures.get(change.family) ?? 0) + 1 : 0)
    }
    if (signal.aborted) return undefined
    const dead = record.changes.filter(({family}) => failures.get(family)! >= FAILURES)
    const back = await thoseThatLead(kernel, dead, {record, untilMs, probeMs}, signal)
    if (signal.aborted) return undefined
    if (back.length > 0) return deathOf(back)
    for (const {family} of dead) failures.set(family, 0)
  }
  return undefined
}

/** Of those whose new gateway is dead, those whose old one forwards. What is dead both ways keeps no other there. */
async function thoseThatLead(
  kernel: AgentKernel,
  dead: readonly RouteChange[],
  {record, probeMs}: Watched,
  signal: AbortSignal,
): Promise<RouteChange[]> {
  const alive: RouteChange[] = []
  for (const change of dead) {
    const wrong = await tryGateways(kernel, trialOf([change], record.probes, 'from'), probeMs, signal)
    if (wrong === undefined) alive.push(change)
  }
  return alive
}

const deathOf = (back: readonly RouteChange[]): Death => ({
  families: back.map(({family}) => family),
  detail: `nothing beyond ${back.map(({to}) => to).join(' and ')} answers any more; the old gateway still forwards`,
})
