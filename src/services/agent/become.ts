// Turns the process that read the configuration into the agent.
import {programPath} from '../../net/program.ts'
import {type RunOptions, readAgentKey, runAgent} from './run-agent.ts'

/** A small heap, no optimizing compiler: what an agent computes is done in C. */
const NODE_FLAGS = ['--lite-mode', '--max-semi-space-size=1']

/**
 * Becomes agent-main, under the same pid (execve(2)); where Node cannot do that, runs the agent in this process.
 * @throws Failure if it cannot start.
 */
export async function becomeAgent(options: RunOptions): Promise<void> {
  // What is wrong is said by the command that was typed.
  readAgentKey(options.config)
  const program = [
    process.execPath,
    ...NODE_FLAGS,
    programPath('services/agent/agent-main'),
    JSON.stringify(options.config),
  ]
  if (typeof process.execve !== 'function') return runAgent(options)
  process.execve(process.execPath, program, {...process.env, NODE_NO_WARNINGS: '1'})
}
