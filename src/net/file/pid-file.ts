// Signals to a service that writes its pid to a file.
import {readFileSync} from 'node:fs'
import {Failure} from '../../errors.ts'
import {readText} from './text-file.ts'

/**
 * The pid in `path`, of a running process called `name`. @throws Failure `runtime` if there is none: a pid file may
 * have outlived its process, and the number may be another's by now.
 */
export function servicePid(path: string, name: string): number {
  const text = readText(path)
  if (text === undefined)
    throw new Failure('runtime', `${path}: no such file (want the pid file of ${name}; is it running?)`)
  const pid = Number(text.trim())
  if (!Number.isSafeInteger(pid) || pid <= 1) throw new Failure('runtime', `${path}: holds no pid`)
  if (processName(pid) === name) return pid
  throw new Failure('runtime', `${path}: process ${pid} is not ${name} (is it running?)`)
}

/** Whether a process of that pid and name runs now. */
export const isService = (pid: number, name: string): boolean => processName(pid) === name

export function signalService(path: string, name: string, signal: NodeJS.Signals): number {
  const pid = servicePid(path, name)
  try {
    process.kill(pid, signal)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    throw new Failure(
      code === 'EPERM' ? 'privilege' : 'runtime',
      `${name} (pid ${pid}) cannot be sent ${signal}: ${code}`,
    )
  }
  return pid
}

function processName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return undefined
  }
}
