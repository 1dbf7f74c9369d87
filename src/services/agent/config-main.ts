// Entry point: config-main FILE. Reads the agent's configuration and its key, and prints the configuration as JSON, for an
// agent that has neither YAML nor the schema in its memory.
import {EXIT, Failure} from '../../errors.ts'
import {printJson, say} from '../../net/process/say.ts'
import {readAgentConfig} from './config-file.ts'
import {readAgentKey} from './run-agent.ts'

try {
  const config = readAgentConfig(process.argv[2] ?? '')
  readAgentKey(config)
  printJson(config)
} catch (error) {
  say((error as Error).message)
  process.exitCode = error instanceof Failure ? EXIT[error.kind] : EXIT.runtime
}
