// Turns the process that read the configuration into the agent, with no more rights than it needs.
import {dirname, join} from 'node:path'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {makeFolderOf} from '../../net/file/text-file.ts'
import {CAP_NET_ADMIN, CAP_NET_RAW, keepCapabilities, writeOnlyBelow} from '../../net/process/confine.ts'
import {agentProgram} from './program-words.ts'
import {type RunOptions, readAgentKey, runAgent} from './run-agent.ts'

/**
 * Becomes agent-main, under the same pid (execve(2)); where Node cannot do that, runs the agent in this process.
 * @throws Failure if it cannot start.
 */
export async function becomeAgent(options: RunOptions): Promise<void> {
  // What is wrong is said by the command that was typed.
  readAgentKey(options.config)
  if (typeof process.execve !== 'function') return runAgent(options)
  confine(options.config)
  becomeProgram(options.config)
}

/** The agent as this process, whatever it was. What it has open is closed. */
export function becomeProgram(config: AgentConfig): never {
  const argv = agentProgram('services/agent/agent-main', config)
  return process.execve!(process.execPath, argv, {...process.env, NODE_NO_WARNINGS: '1'}) as never
}

/** Where the agent makes files, each with the mode that its folder is made with. */
export const writtenFolders = ({state, socket}: Pick<AgentConfig, 'state' | 'socket'>): ReadonlyMap<string, number> =>
  new Map([[state, 0o700], ...(socket === undefined ? [] : [[dirname(socket), 0o755] as const])])

function confine(config: AgentConfig): void {
  const folders = writtenFolders(config)
  try {
    for (const [folder, mode] of folders) makeFolderOf(join(folder, 'file'), mode)
  } catch {
    // Where it may make nothing, the agent says itself what it misses.
    return
  }
  writeOnlyBelow([...folders.keys()])
  keepCapabilities([CAP_NET_ADMIN, CAP_NET_RAW])
}
