// The lab's own processes: how they are started, and how they are found again.
import type {ChildProcess, SpawnOptions} from 'node:child_process'
import {readdirSync, readFileSync} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'
import {spawnIn} from '../net/process/netns.ts'
import {programCommand} from '../net/process/program.ts'
import {namespaceOf} from './topology.ts'

/** Set in the environment of every process of a lab, to the lab's prefix: what is found by it is the lab's own. */
const MARK = 'GWSWITCH_LAB'

/** The environment of a lab's own processes. */
export const labEnvironment = (prefix: string): Readonly<Record<string, string>> => ({[MARK]: prefix})

export type LabScript = 'relay-main' | 'session-client' | 'session-server' | 'run/counter-main'

/** Starts one of the lab's own programs inside a node's namespace, on the Node that runs us. */
export function spawnScript(
  prefix: string,
  node: string,
  script: LabScript,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  const env = {...process.env, ...labEnvironment(prefix), NODE_OPTIONS: '', NODE_NO_WARNINGS: '1'}
  return spawnIn(namespaceOf(prefix, node), programCommand(`lab/${script}`, args), {...options, env})
}

/** The pids of a lab's running processes; of one of its programs if `script` is given. */
export function labProcesses(prefix: string, script?: LabScript): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      if (!fields(`/proc/${pid}/environ`).includes(`${MARK}=${prefix}`)) return false
      return script === undefined || fields(`/proc/${pid}/cmdline`).some((argument) => argument.includes(script))
    })
    .map(Number)
}

/** Ends all of a lab's processes and waits until they are gone. */
export async function killLabProcesses(prefix: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const pids = labProcesses(prefix)
    if (pids.length === 0) return
    for (const pid of pids) kill(pid)
    await sleep(10)
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}

/** The NUL-separated strings of a file under /proc; none if the process is gone or not ours to look at. */
function fields(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').split('\0')
  } catch {
    return []
  }
}
