// Entry point: deadline-main CONFIG, which is JSON. Started by an agent that ends and leaves a switch pending; see deadline.ts.
import type {AgentConfig} from '../../domain/agent/config.ts'
import {releaseProgramPages} from '../../net/process/program-pages.ts'
import {print, sayLogged} from '../../net/process/say.ts'
import {keepDeadline} from './deadline.ts'
import {systemKernel} from './kernel.ts'
import {agentAudit} from './run-agent.ts'

const config = JSON.parse(process.argv[2] ?? '') as AgentConfig
const log = (line: string): void => sayLogged(`gwswitch agent: ${line}`)
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
// Whoever reads our lines may be gone.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
releaseProgramPages()
print('watches')
async function main(): Promise<void> {
  try {
    const audit = agentAudit(config, log)
    await keepDeadline({config, kernel: systemKernel(log), audit, signal: stop.signal})
  } catch (error) {
    log(`a switch that was left pending is not seen to: ${(error as Error).message}`)
    process.exitCode = 1
  }
  process.exit()
}
void main()
