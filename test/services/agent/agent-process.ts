// The agent as a process: agent-process CONFIG [before:N|after:N]. A trap kills it (SIGKILL, from itself) before or after
// its Nth call that changes anything in the kernel or on disk.

import {readAgentConfig} from '../../../src/services/agent/config-file.ts'
import {type AgentKernel, systemKernel} from '../../../src/services/agent/kernel.ts'
import {runAgent} from '../../../src/services/agent/run-agent.ts'

const [configPath = '', trap = ''] = process.argv.slice(2)
const log = (line: string): void => void process.stderr.write(`${line}\n`)
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())

const CHANGES = [
  'replace',
  'append',
  'deleteRoute',
  'addRule',
  'deleteRule',
  'setDrain',
  'clearDrain',
  'writeDurably',
] as const

function trapped(kernel: AgentKernel): AgentKernel {
  const [when, at] = trap.split(':')
  let count = 0
  const die = (name: string): void => {
    log(`killed ${when} call ${count}, ${name}`)
    process.kill(process.pid, 'SIGKILL')
  }
  const wrap = (name: (typeof CHANGES)[number]) => {
    const original = kernel[name] as (...args: unknown[]) => unknown
    return (...args: unknown[]): unknown => {
      count++
      const due = count === Number(at)
      if (due && when === 'before') die(name)
      const result = original(...args)
      if (result instanceof Promise) return result.then((value) => (due ? die(name) : value))
      if (due) die(name)
      return result
    }
  }
  return {...kernel, ...Object.fromEntries(CHANGES.map((name) => [name, wrap(name)]))} as AgentKernel
}

const kernel = systemKernel(log)
await runAgent({
  config: readAgentConfig(configPath),
  signal: stop.signal,
  log,
  kernel: trap === '' ? kernel : trapped(kernel),
})
process.exit(0)
