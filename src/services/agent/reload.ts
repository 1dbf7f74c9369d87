// SIGHUP: the agent becomes itself again with the configuration and the keys that there are now. As after a kill, all that
// it must not forget is on disk: a switch that waits for its confirmation goes on waiting.
import {setTimeout as delay} from 'node:timers/promises'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {tryCommand} from '../../net/process/command.ts'
import {programCommand} from '../../net/process/program.ts'
import {becomeProgram, writtenFolders} from './become.ts'

/** How long what is being tried or changed just now may take, ms: nothing is cut in the middle. */
const REST_MS = 60_000
const LOOK_MS = 20

/** What is being done, as a reload has to know it. */
export interface Working {
  /** Whether nothing is tried, changed or undone just now. */
  readonly resting: boolean
}

/** What is wrong with a configuration is a line in the log, and everything goes on as before. */
export async function reload(agent: Working, config: AgentConfig, log: (line: string) => void): Promise<void> {
  const stays = (why: string): void => log(`configuration not taken: ${why}; goes on with the one before`)
  if (typeof process.execve !== 'function') return stays('this Node cannot do that: restart the agent')
  const [program, ...args] = programCommand('services/agent/config-main', [config.file])
  const {code, stdout, stderr} = await tryCommand(program, args)
  if (code !== 0) return stays(stderr.trim().split('\n').at(-1) || `reading it ended with ${code}`)
  const next = JSON.parse(stdout) as AgentConfig
  const before = writtenFolders(config)
  if ([...writtenFolders(next).keys()].some((folder) => !before.has(folder)))
    return stays('another state or socket is taken when the agent is restarted')
  const endMs = performance.now() + REST_MS
  while (!agent.resting && performance.now() < endMs) await delay(LOOK_MS)
  if (!agent.resting) return stays('a switch is under way')
  log('configuration read again')
  becomeProgram(next)
}
