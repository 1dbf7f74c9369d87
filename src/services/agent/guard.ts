// Watches a confirmed gateway for a while: back to the old one if it dies and the old one still leads somewhere.
import type {SwitchRecord} from '../../domain/agent/memory.ts'
import {isIpv4} from '../../wire/address.ts'
import type {AgentKernel} from './kernel.ts'
import {backwards} from './routes.ts'
import {tryGateways} from './try-gateways.ts'

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

/** `onDied`: the new gateway is dead, the old one is not. */
export function makeGuard(
  kernel: AgentKernel,
  probeMs: number,
  onDied: (record: SwitchRecord, detail: string) => void,
): Guard {
  let guarding = new AbortController()
  let guarded: Promise<void> = Promise.resolve()
  return {
    watch(record) {
      guarding = new AbortController()
      const {signal} = guarding
      guarded = guardGateway(kernel, {record, untilMs: record.guardUntil!.uptimeMs, probeMs}, signal).then(
        (detail) => {
          if (detail !== undefined) onDied(record, detail)
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

/** Why to go back; undefined if there is no reason to, or after an abort. @throws Error of the kernel's */
async function guardGateway(
  kernel: AgentKernel,
  {record, untilMs, probeMs}: Watched,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (let failures = 0; kernel.uptime() < untilMs; ) {
    await kernel.sleep(EVERY_MS, signal)
    const silent = await silentGateway(kernel, record, probeMs, signal)
    failures = silent === undefined ? 0 : failures + 1
    if (signal.aborted || failures < FAILURES) continue
    const old = await tryGateways(kernel, backwards(record.changes, record.probes), probeMs, signal)
    if (signal.aborted) return undefined
    if (old === undefined) return `nothing beyond ${silent} answers any more; the old gateway still forwards`
    failures = 0
  }
  return undefined
}

/** A new gateway beyond which nothing answers, by the way that all traffic takes; undefined if there is none. */
export async function silentGateway(
  kernel: AgentKernel,
  {changes, probes}: Pick<SwitchRecord, 'changes' | 'probes'>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const {family, to} of changes) {
    const targets = probes.filter((probe) => isIpv4(probe) === (family === 4))
    if (targets.length === 0) continue
    const {answered} = await kernel.echoAny(targets, {timeoutMs, signal})
    if (answered === undefined) return to
  }
  return undefined
}
