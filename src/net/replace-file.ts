// Replaces a file so that no reader ever sees half of it, and no crash leaves half of it.
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import {dirname} from 'node:path'
import {Failure} from '../errors.ts'

/** The text of a file; undefined if there is none. @throws Failure `runtime` if it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return undefined
    throw new Failure(code === 'EACCES' ? 'privilege' : 'runtime', `${path}: cannot be read: ${code}`)
  }
}

/**
 * Writes `text` beside the file and renames it over it; mode and owner stay those of the old file.
 * @throws Failure `runtime` if that fails; the old file is then untouched.
 */
export function replaceFile(path: string, text: string): void {
  const beside = `${path}.${process.pid}.new`
  try {
    const old = statSync(path, {throwIfNoEntry: false})
    const fd = openSync(beside, 'w', old ? old.mode & 0o777 : 0o644)
    try {
      writeSync(fd, text)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    if (old) {
      chmodSync(beside, old.mode & 0o777)
      if (process.geteuid?.() === 0) chownSync(beside, old.uid, old.gid)
    }
    renameSync(beside, path)
    const folder = openSync(dirname(path), 'r')
    fsyncSync(folder)
    closeSync(folder)
  } catch (error) {
    rmSync(beside, {force: true})
    const code = (error as NodeJS.ErrnoException).code
    throw new Failure(code === 'EACCES' ? 'privilege' : 'runtime', `${path}: cannot be written: ${code}`)
  }
}
