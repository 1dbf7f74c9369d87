// One switch at a time, from the command to its proof or its end. Every step is on disk before the next one is taken: that
// the command is used up before anything at all is done for it, and the way back before anything is changed, so that an
// agent that is killed anywhere finds out what to do.
import type {AgentConfig} from '../../domain/agent/config.ts'
import {type AgentMemory, type Deadline, isOpen, type SavedRoute, type SwitchRecord} from '../../domain/agent/memory.ts'
import type {PolicyFacts, SwitchPlan} from '../../domain/agent/policy.ts'
import type {AgentCommand, AgentReason, AgentState} from '../../wire/agent-message.ts'
import {makeAftercare} from './aftercare.ts'
import {silentGateway} from './guard.ts'
import type {AgentKernel} from './kernel.ts'
import * as routes from './routes.ts'
import type {AgentStore} from './store.ts'
import {tryGateways} from './try-gateways.ts'
import {makeRetry, undoChanges} from './undo.ts'

export interface Switcher {
  /**
   * Carries out what the policy accepted. Resolves when it is confirmed, or waits for a confirmation, or is over, or cannot
   * be undone yet. @throws Failure if the command could not be written down as used up; SwitchRefused
   */
  begin(command: AgentCommand, kid: string, plan: SwitchPlan, start: SwitchStart): Promise<void>
  confirm(): Promise<void>
  /** Resolves after an attempt; what it could not undo is tried again until it is undone. */
  rollBack(reason: AgentReason, detail: string): Promise<void>
  /** Goes on where an agent before this one was stopped. @throws Failure `privilege` if the state cannot be written. */
  recover(): Promise<void>
  /**
   * Something changed: puts back what of the last switch somebody else took away, or tries again what could not be undone.
   * @throws RouteError if it cannot be put back, now.
   */
  reassert(): void
  /** Nothing of a switch is under way: no proof, no confirmation awaited, no session draining. */
  readonly idle: boolean
  /** Undoes what is not proved, and forgets its timers. */
  stop(): Promise<void>
}

export interface SwitchStart {
  /** When the command arrived, by performance.now(). */
  readonly receivedAt: number
  /** Uses the command up: goes to disk before anything is done. */
  readonly note: (memory: AgentMemory) => AgentMemory
}

/** It cannot begin: between the policy's word and its turn, something else did. */
export class SwitchRefused extends Error {
  override readonly name = 'SwitchRefused'
  readonly reason: AgentReason
  constructor(reason: AgentReason, detail: string) {
    super(detail)
    this.reason = reason
  }
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
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let queue: Promise<unknown> = Promise.resolve()
  /** Steps of different commands never mingle. */
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const next = queue.then(step, step)
    queue = next.catch(() => {})
    return next
  }
  /** For what nobody waits for. */
  const aside = (step: Promise<void>): void =>
    void step.catch((error: unknown) => kernel.log(`not expected: ${messageOf(error)}`))
  const undoing = makeRetry('rollback', kernel.log, () => aside(inTurn(undoOnce)))
  const last = (): SwitchRecord | undefined => store.memory.last

  const deadlineIn = (ms: number): Deadline => ({bootId: kernel.bootId(), uptimeMs: kernel.uptime() + ms})
  const left = ({uptimeMs, bootId}: Deadline): number =>
    bootId === kernel.bootId() ? Math.max(0, uptimeMs - kernel.uptime()) : 0
  const aftercare = makeAftercare({
    ...{kernel, store, probeMs: windows.probeMs, msUntil: left, inTurn: (step) => aside(inTurn(step))},
    // Not awaited: a new switch waits for the guard to end before it begins.
    onDied: (record, detail) => aside(rollBack('gateway_died', detail, record)),
  })
  const put = (record: SwitchRecord, note = (memory: AgentMemory): AgentMemory => memory): SwitchRecord => {
    store.save(withAnswer({...note(store.memory), last: record}, record))
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
    clearTimeout(timer)
    const {reason: _, detail: __, trouble: ___, ...rest} = record
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
    if (stopped) throw new SwitchRefused('agent_stopped', 'the agent is being stopped')
    const before = last()
    if (isOpen(before)) throw new SwitchRefused('busy', `run ${before.run} is ${before.phase}`)
    abort = new AbortController()
    const {signal} = abort
    const drained = before?.drainUntil === undefined ? {} : {drainUntil: before.drainUntil}
    const begun: SwitchRecord = {
      ...{kid, run: command.run, seq: command.seq, nonce: command.nonce, mode: plan.mode, probes: plan.probes},
      ...{phase: 'probing', state: 'received', changes: [], startedAt: kernel.now()},
      needsConfirm: Boolean(command.confirm_s),
      drainMs: (command.drain_s ?? windows.drainS) * 1000,
    }
    const tried = put({...begun, ...drained}, note)
    aftercare.leave()
    await aftercare.left()
    const wrong = await problemOf(plan, signal)
    if (wrong) return refuse(tried, wrong.reason, wrong.detail)
    const deadline = deadlineIn((command.confirm_s || windows.confirmS) * 1000)
    // Without the drain of the switch before: it ends with the change, or is undone with it.
    const prepared = {...begun, phase: 'applying', changes: routes.changesOf(plan), deadline} as const
    try {
      arm(prepared)
    } catch (error) {
      return refuse(tried, 'persist_failed', messageOf(error))
    }
    try {
      await routes.make(kernel, prepared.changes)
    } catch (error) {
      return undo(prepared, 'apply_failed', messageOf(error))
    }
    const applyMs = tenths(performance.now() - receivedAt)
    await orUndo(async () => prove(put({...prepared, phase: 'applied', state: 'applied', applyMs})))
  }

  /** Why not to apply it, if so. Nothing that goes wrong here may leave the switch undecided. */
  async function problemOf(plan: SwitchPlan, signal: AbortSignal): Promise<Required<Why> | undefined> {
    try {
      const wrong = await tryGateways(kernel, plan, windows.probeMs, signal)
      if (signal.aborted) return {reason: 'requested', detail: 'taken back before it was applied'}
      if (wrong) return wrong
      if (!stillSo(plan, routes.readFacts(kernel, store.memory))) {
        return {reason: 'from_gw', detail: 'the default route changed while the new gateway was tried'}
      }
    } catch (error) {
      return {reason: 'apply_failed', detail: messageOf(error)}
    }
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
    clearTimeout(timer)
    const expire = (): void => {
      abort.abort()
      const detail = record.needsConfirm ? 'no confirmation came in time' : 'it was not proved in time'
      aside(rollBack('not_confirmed', detail))
    }
    timer = setTimeout(expire, left(record.deadline!))
    return record
  }

  async function prove(record: SwitchRecord): Promise<void> {
    const silent = await silentGateway(kernel, record, windows.probeMs, abort.signal)
    if (abort.signal.aborted) return
    if (silent !== undefined) {
      return undo(record, 'probe_failed', `nothing beyond ${silent} answers since the change`)
    }
    if (!record.needsConfirm) confirmNow(record)
  }

  function confirmNow(record: SwitchRecord): void {
    const draining = record.mode === 'drain' ? {drainUntil: deadlineIn(record.drainMs)} : {}
    const guardMs = record.probes.length > 0 ? windows.guardS * 1000 : 0
    const watched = guardMs > 0 ? {guardUntil: deadlineIn(guardMs)} : {}
    const confirmMs = tenths(kernel.now() - record.startedAt)
    const confirmed = put(ended({...record, ...draining, ...watched, confirmMs}, 'confirmed'))
    aftercare.take(confirmed)
  }

  async function undo(record: SwitchRecord, reason: AgentReason, detail: string): Promise<void> {
    clearTimeout(timer)
    aftercare.leave()
    const {drainUntil: _, guardUntil: __, ...rest} = record
    // Whatever it was: it is in force, in part at least, and is not meant to be.
    if (record.phase !== 'rolling_back') keep({...rest, phase: 'rolling_back', state: 'applied', reason, detail})
    await undoOnce()
  }

  /** It is rolled back when nothing of it is left, and not before, however often that has to be tried. */
  async function undoOnce(): Promise<void> {
    const record = last()
    if (record?.phase !== 'rolling_back') return
    const {trouble, gone} = await undoChanges(kernel, record.changes)
    if (trouble !== undefined) {
      if (trouble !== record.trouble) keep({...record, state: 'applied', trouble})
      return undoing.later(trouble)
    }
    const {reason, detail} = record
    const lost = gone.length === 0 ? [] : [`${gone.join(' and ')} is gone, and its routes with it`]
    const why = [...(detail === undefined ? [] : [detail]), ...lost].join('; ')
    keep(ended(record, 'rolled_back', {...(reason === undefined ? {} : {reason}), detail: why}))
    undoing.done()
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

  const recover = (): Promise<void> =>
    inTurn(async () => {
      // Also what a trial in the middle of which the agent was killed has left.
      routes.closeProbePath(kernel)
      const record = last()
      if (record !== undefined) await goOn(record)
      const error = store.make()
      if (error) kernel.log(`state not written: ${error.message}`)
    })

  async function goOn(record: SwitchRecord): Promise<void> {
    const {deadline} = record
    const booted = deadline !== undefined && deadline.bootId !== kernel.bootId()
    if (booted && (isOpen(record) || record.state === 'confirmed')) {
      const {drainUntil: _, guardUntil: __, ...rest} = record
      const detail = 'the VM was restarted: its routes are those of its own configuration'
      return keep(ended(rest, 'rolled_back', {reason: 'rebooted', detail}))
    }
    const middle = 'the agent was stopped in the middle of the switch'
    switch (record.phase) {
      case 'done':
        return resume(record)
      case 'probing':
        refuse(record, 'agent_stopped', 'the agent was stopped while it tried the gateway; nothing was changed')
        return resume(last()!)
      case 'rolling_back':
      case 'applying':
        return undo(record, record.reason ?? 'agent_stopped', record.detail ?? middle)
      case 'applied':
        if (left(deadline!) === 0)
          return undo(record, 'not_confirmed', 'the deadline passed while the agent was stopped')
        abort = new AbortController()
        return orUndo(async () => prove(arm(record)))
    }
  }

  /** Of a switch that is decided: what it had still to do, and what became of it meanwhile. */
  function resume(record: SwitchRecord): void {
    try {
      reassert()
    } catch (error) {
      kernel.log(`rules not put back yet: ${messageOf(error)}`)
    }
    aftercare.take(record)
  }

  function reassert(): void {
    const record = last()
    if (record?.trouble !== undefined) aside(inTurn(undoOnce))
    else if (
      record?.state === 'confirmed' &&
      record.phase === 'done' &&
      routes.reassert(kernel, record.changes, record.drainUntil !== undefined)
    ) {
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
      stopped = true
      abort.abort()
      aftercare.leave()
      undoing.stop()
      if (isOpen(last())) await rollBack('agent_stopped', 'the agent was stopped before the switch was proved')
      await queue
      clearTimeout(timer)
      aftercare.stop()
    },
  }
}

/** Whether the routes of the NIC are as they were when the plan was made. */
function stillSo(plan: SwitchPlan, {families}: PolicyFacts): boolean {
  return plan.families.every(({family, nic, route, overlay}) => {
    const now = families[family]
    // An overlay of another NIC is none of this switch's, as in the policy.
    const own = now.overlay?.interfaceIndex === nic.index ? now.overlay.gateway : undefined
    return own === overlay && now.routes.some((each) => sameRoute(each, route))
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
