// One switch at a time, from the command to its proof or its end. Every step is on disk before the next one is taken, and
// the way back before anything is changed, so that an agent that is killed anywhere finds out what to do.
import type {AgentConfig} from '../../domain/agent/config.ts'
import {type AgentMemory, type Deadline, isOpen, type SavedRoute, type SwitchRecord} from '../../domain/agent/memory.ts'
import type {PolicyFacts, SwitchPlan} from '../../domain/agent/policy.ts'
import {isIpv4} from '../../wire/address.ts'
import type {AgentCommand, AgentReason, AgentState} from '../../wire/agent-message.ts'
import type {AgentKernel} from './kernel.ts'
import * as routes from './routes.ts'
import type {AgentStore} from './store.ts'
import {tryGateways} from './try-gateways.ts'

/** ms between looks at a confirmed gateway while it is guarded, and how many must fail in a row. */
const GUARD_EVERY_MS = 2000
const GUARD_FAILURES = 3
const UNDO_ATTEMPTS = 5
const UNDO_EVERY_MS = 1000

export interface Switcher {
  /** Carries out what the policy accepted. Resolves when it is confirmed, or waits for a confirmation, or is over. */
  begin(command: AgentCommand, kid: string, plan: SwitchPlan, start: SwitchStart): Promise<void>
  confirm(): Promise<void>
  rollBack(reason: AgentReason, detail: string): Promise<void>
  /** Goes on where an agent before this one was stopped. */
  recover(): Promise<void>
  /** Puts back what of the last switch somebody else took away. @throws RouteError if it cannot be, now. */
  reassert(): void
  /** Nothing of a switch is under way: no proof, no confirmation awaited, no session draining. */
  readonly idle: boolean
  /** Undoes what is not proved, and forgets its timers. */
  stop(): Promise<void>
}

export interface SwitchStart {
  /** When the command arrived, by performance.now(). */
  readonly receivedAt: number
  /** Uses the command up: goes to disk before anything is changed. */
  readonly note: (memory: AgentMemory) => AgentMemory
}

export interface SwitcherParts {
  readonly config: AgentConfig
  readonly kernel: AgentKernel
  readonly store: AgentStore
  /** The memory with the answer to the command that began the switch. */
  withAnswer(memory: AgentMemory, record: SwitchRecord): AgentMemory
  /** The switch's state is another one now, and on disk. */
  onChange(record: SwitchRecord): void
}

export function makeSwitcher({config, kernel, store, withAnswer, onChange}: SwitcherParts): Switcher {
  const {windows} = config
  let abort = new AbortController()
  let guarding = new AbortController()
  let guarded: Promise<void> = Promise.resolve()
  const timers: {deadline?: NodeJS.Timeout; drain?: NodeJS.Timeout} = {}
  let queue: Promise<unknown> = Promise.resolve()
  /** Steps of different commands never mingle. */
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const next = queue.then(step, step)
    queue = next.catch(() => {})
    return next
  }
  const last = (): SwitchRecord | undefined => store.memory.last

  const deadlineIn = (ms: number): Deadline => ({bootId: kernel.bootId(), uptimeMs: kernel.uptime() + ms})
  const left = ({uptimeMs}: Deadline): number => Math.max(0, uptimeMs - kernel.uptime())
  const put = (record: SwitchRecord): SwitchRecord => {
    store.save(withAnswer({...store.memory, last: record}, record))
    onChange(record)
    return record
  }
  /** Nothing is done yet that a restart would have to know of: with the way back, it goes to disk. */
  const hold = (record: SwitchRecord, note: SwitchStart['note']): SwitchRecord => {
    store.hold(withAnswer({...note(store.memory), last: record}, record))
    onChange(record)
    return record
  }
  /** Where the VM is on the old gateway, a full disk changes nothing about that. */
  const keep = (record: SwitchRecord): void => {
    const error = store.keep(withAnswer({...store.memory, last: record}, record))
    if (error) kernel.log(`state not written: ${error.message}`)
    onChange(record)
  }
  const ended = (record: SwitchRecord, state: AgentState, why: Why = {}): SwitchRecord => {
    clearTimeout(timers.deadline)
    const {reason: _, detail: __, ...rest} = record
    return {...rest, ...why, phase: 'done', state, endedAt: kernel.now()}
  }
  const refuse = (record: SwitchRecord, reason: AgentReason, detail: string): void =>
    keep(ended(record, 'refused', {reason, detail}))

  async function begin(
    command: AgentCommand,
    kid: string,
    plan: SwitchPlan,
    {receivedAt, note}: SwitchStart,
  ): Promise<void> {
    guarding.abort()
    await guarded
    await endDrainNow()
    abort = new AbortController()
    const {signal} = abort
    const begun: SwitchRecord = {
      ...{kid, run: command.run, seq: command.seq, nonce: command.nonce, mode: plan.mode, probes: plan.probes},
      ...{phase: 'probing', state: 'received', changes: [], startedAt: kernel.now()},
      needsConfirm: Boolean(command.confirm_s),
      drainMs: (command.drain_s ?? windows.drainS) * 1000,
    }
    const record = hold(begun, note)
    const wrong = await tryGateways(kernel, plan, windows.probeMs, signal)
    if (signal.aborted) return refuse(record, 'requested', 'taken back before it was applied')
    if (wrong) return refuse(record, wrong.reason, wrong.detail)
    if (!stillSo(plan, routes.readFacts(kernel, store.memory))) {
      return refuse(record, 'from_gw', 'the default route changed while the new gateway was tried')
    }
    const deadline = deadlineIn((command.confirm_s || windows.confirmS) * 1000)
    const prepared = {...record, phase: 'applying', changes: routes.changesOf(plan), deadline} as const
    try {
      arm(prepared)
    } catch (error) {
      return refuse(record, 'persist_failed', messageOf(error))
    }
    try {
      await routes.make(kernel, prepared.changes)
    } catch (error) {
      return undo(prepared, 'apply_failed', messageOf(error))
    }
    const applyMs = tenths(performance.now() - receivedAt)
    await orUndo(async () => prove(put({...prepared, phase: 'applied', state: 'applied', applyMs})))
  }

  /** What cannot be written down cannot be kept: without it, an agent that is started again would not know. */
  async function orUndo(step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      await undo(last()!, 'persist_failed', messageOf(error))
    }
  }

  /** The way back goes to disk, then the timer runs, then the caller may change something. */
  function arm(record: SwitchRecord): SwitchRecord {
    put(record)
    clearTimeout(timers.deadline)
    const expire = (): void => {
      abort.abort()
      void rollBack('not_confirmed', record.needsConfirm ? 'no confirmation came in time' : 'it was not proved in time')
    }
    timers.deadline = setTimeout(expire, left(record.deadline!))
    return record
  }

  async function prove(record: SwitchRecord): Promise<void> {
    for (const {family, to} of record.changes) {
      const targets = record.probes.filter((probe) => isIpv4(probe) === (family === 4))
      if (targets.length === 0) continue
      const {answered} = await kernel.echoAny(targets, {timeoutMs: windows.probeMs, signal: abort.signal})
      if (abort.signal.aborted) return
      if (answered === undefined) return undo(record, 'probe_failed', `nothing beyond ${to} answers since the change`)
    }
    if (!record.needsConfirm) confirmNow(record)
  }

  function confirmNow(record: SwitchRecord): void {
    const draining = record.mode === 'drain' ? {drainUntil: deadlineIn(record.drainMs)} : {}
    const confirmMs = tenths(kernel.now() - record.startedAt)
    const confirmed = put(ended({...record, ...draining, confirmMs}, 'confirmed'))
    watchDrain(confirmed)
    guarded = guard(confirmed)
  }

  async function undo(record: SwitchRecord, reason: AgentReason, detail: string): Promise<void> {
    clearTimeout(timers.deadline)
    clearTimeout(timers.drain)
    guarding.abort()
    const {drainUntil: _, ...rest} = record
    keep({...rest, phase: 'rolling_back', reason, detail})
    const trouble = await undone(record.changes)
    keep(
      ended(rest, 'rolled_back', {
        reason,
        detail: trouble === undefined ? detail : `${detail}; not all undone: ${trouble}`,
      }),
    )
  }

  /** Tries again for a while: an interface may be down, or another program be at work. Returns what is still wrong. */
  async function undone(changes: SwitchRecord['changes']): Promise<string | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        await routes.undo(kernel, changes)
        return undefined
      } catch (error) {
        kernel.log(`rollback, attempt ${attempt}: ${messageOf(error)}`)
        if (attempt === UNDO_ATTEMPTS) return messageOf(error)
        await kernel.sleep(UNDO_EVERY_MS, new AbortController().signal)
      }
    }
  }

  /** `only`: unless another switch has begun since. */
  function rollBack(reason: AgentReason, detail: string, only?: SwitchRecord): Promise<void> {
    if (only === undefined) abort.abort()
    return inTurn(async () => {
      const record = last()
      if (record === undefined || record.state === 'rolled_back' || record.state === 'refused') return
      if (only !== undefined && (record.run !== only.run || record.seq !== only.seq)) return
      // Who was confirmed meanwhile is not rolled back by the deadline that the confirmation met.
      if (reason === 'not_confirmed' && !isOpen(record)) return
      if (record.phase === 'probing') refuse(record, reason, detail)
      else await undo(record, reason, detail)
    })
  }

  const confirm = (): Promise<void> =>
    inTurn(async () => {
      const record = last()
      if (record?.phase === 'applied') await orUndo(async () => confirmNow(record))
    })

  function watchDrain(record: SwitchRecord): void {
    if (record.drainUntil === undefined) return
    timers.drain = setTimeout(() => void inTurn(endDrainNow), left(record.drainUntil))
  }

  async function endDrainNow(): Promise<void> {
    clearTimeout(timers.drain)
    const record = last()
    if (record?.drainUntil === undefined) return
    await routes.endDrain(kernel)
    const {drainUntil: _, ...rest} = record
    keep(rest)
  }

  /** After the confirmation: back to the old gateway if the new one dies while the old one still leads somewhere. */
  async function guard(record: SwitchRecord): Promise<void> {
    if (record.probes.length === 0 || record.phase !== 'done' || record.changes.length === 0) return
    guarding.abort()
    guarding = new AbortController()
    const {signal} = guarding
    const until = kernel.uptime() + windows.guardS * 1000
    try {
      for (let failures = 0; kernel.uptime() < until; ) {
        await kernel.sleep(GUARD_EVERY_MS, signal)
        const silent = await silentFamily(record, signal)
        failures = silent === undefined ? 0 : failures + 1
        if (signal.aborted || failures < GUARD_FAILURES) continue
        const old = await tryGateways(kernel, routes.backwards(record.changes, record.probes), windows.probeMs, signal)
        if (signal.aborted) return
        if (old === undefined) {
          const detail = `nothing beyond ${silent} answers any more; the old gateway still forwards`
          // Not awaited: a new switch waits for the guard to end before it begins.
          return void rollBack('gateway_died', detail, record)
        }
        failures = 0
      }
    } catch (error) {
      if (!signal.aborted) kernel.log(`guard: ${(error as Error).message}`)
    }
  }

  async function silentFamily(record: SwitchRecord, signal: AbortSignal): Promise<string | undefined> {
    for (const {family, to} of record.changes) {
      const targets = record.probes.filter((probe) => isIpv4(probe) === (family === 4))
      if (targets.length === 0) continue
      const {answered} = await kernel.echoAny(targets, {timeoutMs: windows.probeMs, signal})
      if (answered === undefined) return to
    }
    return undefined
  }

  const recover = (): Promise<void> =>
    inTurn(async () => {
      routes.closeProbePath(kernel)
      const record = last()
      if (record === undefined) return
      const {deadline} = record
      const booted = deadline !== undefined && deadline.bootId !== kernel.bootId()
      if (booted && (isOpen(record) || record.state === 'confirmed')) {
        const {drainUntil: _, ...rest} = record
        const detail = 'the VM was restarted: its routes are those of its own configuration'
        return keep(ended(rest, 'rolled_back', {reason: 'rebooted', detail}))
      }
      if (!isOpen(record)) {
        if (record.state !== 'confirmed') return
        try {
          reassert()
        } catch (error) {
          kernel.log(`rules not put back yet: ${messageOf(error)}`)
        }
        if (record.drainUntil && left(record.drainUntil) === 0) await endDrainNow()
        else watchDrain(record)
        return
      }
      const stopped = 'the agent was stopped in the middle of the switch'
      if (record.phase === 'probing') return refuse(record, 'agent_stopped', stopped)
      if (record.phase === 'rolling_back')
        return undo(record, record.reason ?? 'agent_stopped', record.detail ?? stopped)
      if (record.phase === 'applying') return undo(record, 'agent_stopped', stopped)
      if (left(deadline!) === 0) return undo(record, 'not_confirmed', 'the deadline passed while the agent was stopped')
      abort = new AbortController()
      await orUndo(async () => prove(arm(record)))
    })

  function reassert(): void {
    const record = last()
    if (record?.state === 'confirmed' && record.phase === 'done' && routes.reassert(kernel, record.changes)) {
      kernel.log('the rules of the last switch were taken away by another program: put back')
    }
  }

  return {
    begin: (...args) => inTurn(() => begin(...args)),
    confirm,
    rollBack,
    recover,
    reassert,
    get idle() {
      return !isOpen(last()) && last()?.drainUntil === undefined
    },
    async stop() {
      abort.abort()
      guarding.abort()
      if (isOpen(last())) await rollBack('agent_stopped', 'the agent was stopped before the switch was proved')
      await queue
      clearTimeout(timers.deadline)
      clearTimeout(timers.drain)
    },
  }
}

/** Whether the routes are as they were when the plan was made. */
function stillSo(plan: SwitchPlan, {families}: PolicyFacts): boolean {
  return plan.families.every(({family, route, overlay}) => {
    const now = families[family]
    return now.overlay?.gateway === overlay && now.routes.some((each) => sameRoute(each, route))
  })
}

/** Lifetimes that run down are no difference. */
const sameRoute = (a: SavedRoute, b: SavedRoute): boolean =>
  a.gateway === b.gateway && a.metric === b.metric && a.interfaceIndex === b.interfaceIndex && a.protocol === b.protocol

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

interface Why {
  readonly reason?: AgentReason
  readonly detail?: string
}

/** ms, to a tenth. */
const tenths = (ms: number): number => Math.round(Math.max(0, ms) * 10) / 10
