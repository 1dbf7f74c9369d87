// A switch that an agent has left pending goes back in time also if no other agent comes: a process of its own sees to that.
import {setTimeout as delay} from 'node:timers/promises'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {isPending, type SwitchRecord} from '../../domain/agent/memory.ts'
import type {Audit} from '../../net/file/audit-log.ts'
import {startOutliving} from '../../net/process/outliving.ts'
import {isListening} from '../../net/stream/unix-socket.ts'
import {newPrivateKey} from '../../wire/agent-message.ts'
import {startAgent} from './daemon.ts'
import type {AgentKernel} from './kernel.ts'
import {agentProgram} from './program-words.ts'
import {openStore} from './store.ts'

/** ms after the deadline: an agent that runs is first. */
const LATE_MS = 500
const LOOK_MS = 1000
const IDLE_LOOK_MS = 50

/** Longer than Node takes to start on a busy VM. */
const READY_MS = 10_000

/**
 * To be called when this agent listens no more: one that listens is taken for the next. Resolves when the process watches;
 * false if it does not.
 */
export const startDeadlineKeeper = (config: AgentConfig): Promise<boolean> =>
  startOutliving(agentProgram('services/agent/deadline-main', config), READY_MS)

export interface DeadlineOptions {
  readonly config: AgentConfig
  readonly kernel: AgentKernel
  readonly audit?: Audit
  /** Aborted: nobody will be here at the deadline, so the switch goes back now. */
  readonly signal: AbortSignal
}

/**
 * Waits until another agent has decided the switch, or until its deadline is over; it is then undone, unless one runs that
 * does so itself. One that only begins to start is no agent yet.
 * @throws Failure as startAgent does.
 */
export async function keepDeadline({config, kernel, audit, signal}: DeadlineOptions): Promise<void> {
  const pending = (): SwitchRecord | undefined => {
    const {last} = openStore(config, kernel).memory
    return isPending(last) ? last : undefined
  }
  for (let record = pending(); ; record = pending()) {
    if (record === undefined) return
    const leftMs = record.deadline!.uptimeMs + LATE_MS - kernel.uptime()
    if (leftMs <= 0 || signal.aborted) {
      if (config.socket === undefined || !(await isListening(config.socket))) break
      if (signal.aborted) return
    }
    await kernel.sleep(leftMs <= 0 ? LOOK_MS : Math.min(leftMs, LOOK_MS), signal).catch(() => {})
  }
  // The VM's own key may be out of reach by now; nobody is answered here.
  const key = {kid: config.vm, privateKey: newPrivateKey()}
  const agent = await startAgent({config, key, kernel, network: false, ...(audit === undefined ? {} : {audit})})
  while (!agent.idle && !signal.aborted) await delay(IDLE_LOOK_MS)
  await agent.stop()
}
