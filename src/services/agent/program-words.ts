// How an agent's own programs are started: with their configuration, and with little memory.
import type {AgentConfig} from '../../domain/agent/config.ts'
import {programPath} from '../../net/process/program.ts'

/** A small heap and no compiler for JavaScript: what an agent computes is done in C. Not from source, which needs WebAssembly. */
const nodeFlags = (program: string): string[] =>
  program.endsWith('.js') ? ['--lite-mode', '--max-semi-space-size=1'] : []

/** What Node is given to run the program `module`. */
export function programWords(module: string, config: AgentConfig): string[] {
  const path = programPath(module)
  return [...nodeFlags(path), path, JSON.stringify(config)]
}
