// Which process did something, so that another one can tell later whether it still runs.
import {readFileSync, readlinkSync} from 'node:fs'
import {userInfo} from 'node:os'

/** The boot, the pid namespace, the pid, and when that process was started (proc_pid_stat(5), field 22). */
export interface ProcessName {
  readonly boot: string
  readonly pidNamespace: string
  readonly pid: number
  readonly start: string
}

/** Of a process of ours; by default this one. Undefined if there is none of that pid. */
export function processName(pid: number = process.pid): ProcessName | undefined {
  const start = startOf(pid)
  if (start === undefined) return undefined
  return {...host(), pid, start}
}

/** Whether it is seen to run. One of another pid namespace is not seen. */
export function isRunning({boot, pidNamespace, pid, start}: ProcessName): boolean {
  const here = host()
  return boot === here.boot && pidNamespace === here.pidNamespace && startOf(pid) === start
}

const host = () => ({
  boot: tried(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? '',
  pidNamespace: tried(() => readlinkSync('/proc/self/ns/pid')) ?? '',
})

function startOf(pid: number): string | undefined {
  const stat = tried(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  // The name of the program may have blanks and parentheses in it. A zombie does nothing any more.
  const [state, ...fields] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? []
  return state === 'Z' ? undefined : fields[18]
}

/** Who asked: the one who called sudo(8), or whose process this is. */
export const userName = (): string =>
  process.env.SUDO_USER || (tried(() => userInfo().username) ?? `uid ${process.geteuid?.()}`)

function tried<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
