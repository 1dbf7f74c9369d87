// A lock between processes that the kernel releases when its holder ends, however it ends (flock(2)).
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import {Failure} from '../../errors.ts'
import {libc} from '../libc.ts'

const LOCK_EX = 2
const LOCK_NB = 4

export interface FileLock {
  /** Removes the file and lets go. */
  release(): void
}

/**
 * Takes the lock that the file `path` stands for, made if need be. Undefined while somebody else holds it, be it in this
 * process. @throws Failure `runtime` if the file cannot be made; the directory must exist (`ENOENT` passes through).
 */
export function tryLock(path: string): FileLock | undefined {
  const fd = openLock(path)
  if (libc().flock(fd, LOCK_EX | LOCK_NB) !== 0 || !isStill(fd, path)) {
    closeSync(fd)
    return undefined
  }
  // Of a holder that was killed the number is still there.
  ftruncateSync(fd)
  writeSync(fd, `${process.pid}\n`, 0)
  return {
    release() {
      // First the file, then the lock: whoever takes a lock whose file is gone notices, see isStill.
      rmSync(path, {force: true})
      closeSync(fd)
    },
  }
}

/** The pid of who holds, or last held, the lock; undefined if there is none. */
export function lockHolder(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').split('\n')[0] || undefined
  } catch {
    return undefined
  }
}

function openLock(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') throw error
    throw new Failure('runtime', `cannot make the lock file ${path}: ${code}`)
  }
}

/** Whether the file locked is the one that is there now, and not one that its last holder removed meanwhile. */
function isStill(fd: number, path: string): boolean {
  return statSync(path, {throwIfNoEntry: false})?.ino === fstatSync(fd).ino
}
