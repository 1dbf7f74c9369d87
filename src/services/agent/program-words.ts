// How an agent's own programs are started: with their configuration, and with little memory.
import type {AgentConfig} from '../../domain/agent/config.ts'
import {isSource, programCommand} from '../../net/process/program.ts'

/** A small heap and no compiler for JavaScript: what an agent computes is done in C. Not from source, which needs WebAssembly. */
const nodeOptions = (): string[] => (isSource() ? [] : ['--lite-mode', '--max-semi-space-size=1'])

/** The words that start the program `module`. */
export const agentProgram = (module: string, config: AgentConfig): string[] =>
  programCommand(module, [JSON.stringify(config)], nodeOptions())
