// The agent as a process: agent-process CONFIG. SIGUSR2 is what the kernel says when a NIC announces itself (NOTIFY PEERS):
// no interface that a namespace can have does so (a guest's has: e2e/agent-migration). Once there is a file CONFIG.trap with
// a number N in it, the Nth call from then on that changes anything in the kernel or on disk is the last: it kills the
// process (SIGKILL, from itself). With `N NAME`, it is the Nth call of that name.
import {readFileSync} from 'node:fs'
import {readAgentConfig} from '../../../src/services/agent/config-file.ts'
import {type AgentKernel, systemKernel} from '../../../src/services/agent/kernel.ts'
import {runAgent} from '../../../src/services/agent/run-agent.ts'
import {CHANGES} from './changes.ts'

const [configPath = ''] = process.argv.slice(2)
const log = (line: string): void => void process.stderr.write(`${line}\n`)
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())

/** Calls that are still to be made, the last of them included, and of which name; undefined where no trap is set. */
let trap: {left: number; readonly name: string | undefined} | undefined

function isLast(name: string): boolean {
  try {
    const [count, only] = readFileSync(`${configPath}.trap`, 'utf8').split(' ')
    trap ??= {left: Number(count), name: only}
  } catch {
    trap = undefined
  }
  if (trap === undefined || (trap.name ?? name) !== name) return false
  return --trap.left === 0
}

function trapped(kernel: AgentKernel): AgentKernel {
  const wrap = (name: (typeof CHANGES)[number]) => {
    const original = kernel[name] as (...args: unknown[]) => unknown
    const after = (due: boolean): void => {
      if (!due) return
      log(`killed after ${name}`)
      process.kill(process.pid, 'SIGKILL')
    }
    return (...args: unknown[]): unknown => {
      const due = isLast(name)
      const result = original(...args)
      if (result instanceof Promise) return result.finally(() => after(due))
      after(due)
      return result
    }
  }
  const watchRoutes: AgentKernel['watchRoutes'] = (events) => {
    process.on('SIGUSR2', () => events.onNotifyPeers(2))
    return kernel.watchRoutes(events)
  }
  return {...kernel, watchRoutes, ...Object.fromEntries(CHANGES.map((name) => [name, wrap(name)]))} as AgentKernel
}

const kernel = systemKernel(log)
await runAgent({
  config: readAgentConfig(configPath),
  signal: stop.signal,
  log,
  kernel: trapped(kernel),
})
process.exit(0)
