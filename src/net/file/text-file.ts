// Reads and writes text files, and says in one line what is wrong with them.
import {accessSync, constants, mkdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {dirname} from 'node:path'
import {Failure, usage} from '../../errors.ts'

/** The text of a file; undefined if there is none, or can be none of that name. @throws Failure `privilege` or `runtime` if it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENAMETOOLONG'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw fileFailure(path, 'read', error)
  }
}

/** The text of a file that not everybody may read; undefined if it is none for us. */
export function textIfReadable(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** The text of a file that somebody named. @throws Failure `usage`; `want` says what it should have been. */
export function readNamed(path: string, want: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    const why = {ENOENT: 'no such file', EACCES: 'permission denied', EISDIR: 'is a directory'}[code] ?? code
    throw usage(`${path}: ${why} (${want})`)
  }
}

/** Writes where somebody asked for it, a pipe or a device too. @throws Failure `privilege` or `runtime` if that fails. */
export function writeText(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw fileFailure(path, 'written', error)
  }
}

/**
 * Finds out whether a file could be written, before there is anything to write. Changes nothing: a file that is not there
 * is not made. @throws Failure `privilege` or `runtime` if not.
 */
export function checkWritable(path: string): void {
  try {
    const there = statSync(path, {throwIfNoEntry: false})
    if (there?.isDirectory()) throw Object.assign(new Error('is a directory'), {code: 'EISDIR'})
    accessSync(there ? path : dirname(path), there ? constants.W_OK : constants.W_OK | constants.X_OK)
  } catch (error) {
    throw fileFailure(path, 'written', error)
  }
}

/** Makes the folder that a file will lie in, if it is not there. @throws Failure `privilege` or `runtime` if that fails. */
export function makeFolderOf(path: string, mode: number): void {
  try {
    mkdirSync(dirname(path), {recursive: true, mode})
  } catch (error) {
    throw fileFailure(path, 'written', error)
  }
}

/** Removes a file that may not be there. @throws Failure `privilege` or `runtime` if it stays. */
export function removeFile(path: string): void {
  try {
    rmSync(path, {force: true})
  } catch (error) {
    throw fileFailure(path, 'written', error)
  }
}

/** Removes a folder if nothing is in it. */
export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch {
    // Somebody keeps something there, or it is gone.
  }
}

/** What is said of a file that cannot be read or written. */
export function fileFailure(path: string, done: 'read' | 'written', error: unknown): Failure {
  const code = (error as NodeJS.ErrnoException).code
  const kind = code === 'EACCES' || code === 'EPERM' ? 'privilege' : 'runtime'
  return new Failure(kind, `${path}: cannot be ${done}: ${code ?? error}`)
}
