// Entry point of the agent as a process of its own: agent-main CONFIG, which is JSON. What `gwswitch agent` becomes once
// it has read and checked its file: the command line, YAML and the schema are then out of memory.
import type {AgentConfig} from '../../domain/agent/config.ts'
import {EXIT, Failure} from '../../errors.ts'
import {runAgent} from './run-agent.ts'

const config = JSON.parse(process.argv[2] ?? '') as AgentConfig
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
try {
  await runAgent({config, signal: stop.signal, log: (line) => process.stderr.write(`gwswitch agent: ${line}\n`)})
} catch (error) {
  process.stderr.write(`gwswitch: ${error instanceof Failure ? error.message : (error as Error).stack}\n`)
  process.exitCode = error instanceof Failure ? EXIT[error.kind] : EXIT.runtime
}
