// The relay's process, seen from outside.
import {closeSync, openSync, readFileSync} from 'node:fs'
import {Failure} from '../errors.ts'
import {labProcesses, spawnScript} from './processes.ts'
import type {RelayCounters} from './relay.ts'
import {labFiles} from './state.ts'
import type {Topology} from './topology.ts'

const START_MS = 10_000

/** Starts the relay and waits until it relays. It outlives this process, until the lab's wires are gone. */
export function startRelay({options, relayed}: Topology, signal: AbortSignal | undefined): Promise<void> {
  const files = labFiles(options.prefix)
  const args = [...['--wires', JSON.stringify(relayed)], '--counters', files.relayCounters]
  const log = openSync(files.relayLog, 'a', 0o600)
  const child = spawnScript(options.prefix, 'relay', 'relay-main', args, {
    detached: true,
    cwd: '/',
    stdio: ['ignore', 'pipe', log],
  })
  closeSync(log)
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      child.kill('SIGKILL')
      settle(() => reject(new Failure('runtime', `lab: the relay did not start: ${why}`)))
    }
    const abort = (): void => {
      child.kill('SIGKILL')
      settle(() => reject(signal?.reason))
    }
    const timer = setTimeout(() => fail(`nothing heard of it in ${START_MS} ms`), START_MS)
    const settle = (then: () => void): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      child.removeAllListeners()
      child.stdout?.destroy()
      child.unref()
      then()
    }
    signal?.addEventListener('abort', abort, {once: true})
    child.once('error', (error) => fail(error.message))
    child.once('exit', () => fail(lastLine(files.relayLog) ?? 'it ended at once'))
    child.stdout?.once('data', () => settle(resolve))
  })
}

/** The pid of the lab's relay, if it runs. */
export const relayPid = (prefix: string): number | undefined => labProcesses(prefix, 'relay-main')[0]

/** What the relay has carried, at most a second old; empty if nothing yet. */
export function relayCounters(prefix: string): readonly RelayCounters[] {
  try {
    return JSON.parse(readFileSync(labFiles(prefix).relayCounters, 'utf8')) as RelayCounters[]
  } catch {
    return []
  }
}

function lastLine(file: string): string | undefined {
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  return lines.at(-1) || undefined
}
