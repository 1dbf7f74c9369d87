// Turns the process that read the configuration into the agent.
import {programPath} from '../../net/process/program.ts'
import {type RunOptions, readAgentKey, runAgent} from './run-agent.ts'

/** A small heap and no compiler for JavaScript: what an agent computes is done in C. Not from source, which needs WebAssembly. */
const nodeFlags = (program: string): string[] =>
  program.endsWith('.js') ? ['--lite-mode', '--max-semi-space-size=1'] : []

/**
 * Becomes agent-main, under the same pid (execve(2)); where Node cannot do that, runs the agent in this process.
 * @throws Failure if it cannot start.
 */
export async function becomeAgent(options: RunOptions): Promise<void> {
  // What is wrong is said by the command that was typed.
  readAgentKey(options.config)
  const path = programPath('services/agent/agent-main')
  const argv = [process.execPath, ...nodeFlags(path), path, JSON.stringify(options.config)]
  if (typeof process.execve !== 'function') return runAgent(options)
  process.execve(process.execPath, argv, {...process.env, NODE_NO_WARNINGS: '1'})
}
