// `agent reset`: everything of ours is taken away, whether an agent runs or not, and whatever its state says.
import type {AgentConfig} from '../../domain/agent/config.ts'
import {Failure} from '../../errors.ts'
import type {AgentKernel} from './kernel.ts'
import {gatewaysInUse, readFacts} from './routes.ts'
import {resetRunning} from './running-agent.ts'
import {type AgentStore, openStore} from './store.ts'
import {makeSwitcher} from './switcher.ts'
import {removeAll} from './undo.ts'

export interface AgentReset {
  readonly schema: 'gwswitch.agent-reset/1'
  readonly vm: string
  /** Who did it. `kernel`: what is in the kernel is gone, the state could not be read; `detail` says why. */
  readonly by: 'agent' | 'command' | 'kernel'
  /** What could not be taken away; null if nothing is left. */
  readonly left: string | null
  readonly detail: string | null
  /** The gateways in use afterwards; null: none. */
  readonly gateways: {readonly v4: string | null; readonly v6: string | null}
}

/** By the agent that runs, which then knows of it; without one, or where it does not answer, by ourselves. */
export async function resetAgent(config: AgentConfig, kernel: AgentKernel): Promise<AgentReset> {
  const asked = config.socket === undefined ? undefined : await resetRunning(config.socket)
  const done =
    asked === undefined ? await resetHere(config, kernel) : {by: 'agent' as const, left: asked.left, detail: null}
  const {gw4 = null, gw6 = null} = gatewaysInUse(readFacts(kernel, {version: 1, keys: {}, answered: []}))
  return {schema: 'gwswitch.agent-reset/1', vm: config.vm, ...done, gateways: {v4: gw4, v6: gw6}}
}

async function resetHere(
  config: AgentConfig,
  kernel: AgentKernel,
): Promise<Pick<AgentReset, 'by' | 'left' | 'detail'>> {
  let store: AgentStore
  try {
    store = openStore(config, kernel)
  } catch (error) {
    // Its switch, if there is one, is not known: what is ours in the kernel is.
    if (!(error instanceof Failure)) throw error
    return {by: 'kernel', left: (await removeAll(kernel, [])) ?? null, detail: error.message}
  }
  const switcher = makeSwitcher({
    ...{config, kernel, store},
    noted: (memory, record) => ({...memory, last: record}),
    onChange: () => {},
    onLost: () => {},
  })
  return {by: 'command', left: (await switcher.reset()) ?? null, detail: null}
}

/** Lines for people. */
export function resetText({vm, by, left, detail, gateways}: AgentReset): string[] {
  const uses = [gateways.v4, gateways.v6].filter((gateway) => gateway !== null).join(' and ')
  const who = {agent: 'by the agent that runs', command: 'no agent runs', kernel: `the state was left alone: ${detail}`}
  return [
    left === null ? `${vm}: nothing of gwswitch is left (${who[by]})` : `${vm}: left: ${left} (${who[by]})`,
    uses === '' ? '  no default route' : `  uses ${uses}`,
  ]
}
