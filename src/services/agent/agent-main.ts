// Entry point of the agent as a process of its own: agent-main CONFIG, which is JSON. What `gwswitch agent` becomes once
// it has read and checked its file: the command line, YAML and the schema are then out of memory.
import {isatty} from 'node:tty'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {EXIT, Failure} from '../../errors.ts'
import {releaseProgramPages} from '../../net/process/program-pages.ts'
import {say, sayLogged, sayStack} from '../../net/process/say.ts'
import {reload} from './reload.ts'
import {runAgent} from './run-agent.ts'

const config = JSON.parse(process.argv[2] ?? '') as AgentConfig
const log = (line: string): void => sayLogged(`gwswitch agent: ${line}`)
const stop = new AbortController()
// A terminal that hangs up ends what was started on it.
const reloads = !isatty(0)
// Until it is there to read its configuration again, a reload has nothing to do.
if (reloads) process.on('SIGHUP', () => {})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(signal))
// By SIGTERM a service manager ends what it may start again at once; Ctrl-C is a person's, who wants it ended.
const end = () => (stop.signal.reason === 'SIGTERM' ? 'leave' : 'undo')
async function main(): Promise<void> {
  try {
    await runAgent({config, signal: stop.signal, end, log}, (agent) => {
      releaseProgramPages()
      let reloading: Promise<void> = Promise.resolve()
      if (!reloads) return
      process.on('SIGHUP', () => {
        reloading = reloading.then(() => reload(agent, config, log))
      })
    })
  } catch (error) {
    if (error instanceof Failure) say(`gwswitch: ${error.message}`)
    else sayStack('gwswitch: ', error as Error)
    process.exitCode = error instanceof Failure ? EXIT[error.kind] : EXIT.runtime
  }
}
void main()
