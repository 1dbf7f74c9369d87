// Reads and writes text files, and says in one line what is wrong with them.
import {
  accessSync,
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import {dirname, join} from 'node:path'
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

/** The text of a file of a folder that is ours alone to change; undefined if there is none, or if every user may lay one there. */
export function textIfOurs(path: string): string | undefined {
  const folder = statSync(dirname(path), {throwIfNoEntry: false})
  return folder === undefined || (folder.mode & OTHERS_WRITE) !== 0 ? undefined : textIfReadable(path)
}

/** What others must not be able to do to a file. */
export type Kept = 'private' | 'unchanged' | undefined

/**
 * The text of a file that somebody named. @throws Failure `usage`, also for one that others could read or change where it
 * must be kept from that; `want` says what it should have been.
 */
export function readNamed(path: string, want: string, kept?: Kept): string {
  try {
    const text = readFileSync(path, 'utf8')
    refuseOpen(path, kept)
    return text
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (error instanceof Failure) throw error
    const why = {ENOENT: 'no such file', EACCES: 'permission denied', EISDIR: 'is a directory'}[code] ?? code
    throw usage(`${path}: ${why} (${want})`)
  }
}

/** Modes as of inode(7). */
const OTHERS_READ = 0o004
const OTHERS_WRITE = 0o002
const STICKY = 0o1000

/** @throws Failure `usage` if others may read a file that is private, or write one that is not theirs to change. */
export function refuseOpen(path: string, kept: Kept): void {
  if (kept === undefined) return
  const {mode} = statSync(path)
  // What comes by a pipe was never open to others.
  if ((mode & constants.S_IFMT) !== constants.S_IFREG) return
  const octal = (mode & 0o777).toString(8).padStart(4, '0')
  if (kept === 'private' && (mode & (OTHERS_READ | OTHERS_WRITE)) !== 0)
    throw usage(
      `${path}: holds a secret that every user may read (mode ${octal}): chmod 600 ${path}, and make a new one`,
    )
  if ((mode & OTHERS_WRITE) !== 0) throw usage(`${path}: every user may write it (mode ${octal}): chmod o-w ${path}`)
  const folder = statSync(dirname(path)).mode
  if ((folder & OTHERS_WRITE) !== 0 && (folder & STICKY) === 0)
    throw usage(`${path}: every user may put another file in its place: chmod o-w ${dirname(path)}`)
}

/** Why a file or a socket cannot be used by this user; undefined where it can. A private key is one that others may not read. */
export function whyUnusable(path: string, kept?: Kept): string | undefined {
  try {
    accessSync(path, constants.R_OK)
    refuseOpen(path, kept)
    return undefined
  } catch (error) {
    if (error instanceof Failure) return error.message
    const {code = ''} = error as NodeJS.ErrnoException
    return `${path}: ${{ENOENT: 'no such file here', EACCES: 'permission denied'}[code] ?? code}`
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

/** When a file, or its mode, last changed, ms since the epoch, and whether anybody may execute it. */
export interface FileFacts {
  readonly changedMs: number
  readonly executable: boolean
}

/** Undefined if there is none. */
export function fileFacts(path: string): FileFacts | undefined {
  const facts = statSync(path, {throwIfNoEntry: false})
  return facts && {changedMs: facts.ctimeMs, executable: facts.isFile() && (facts.mode & 0o111) !== 0}
}

/** Paths of what lies in a folder; none if it is none. */
export function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name))
  } catch {
    return []
  }
}

/** Whether everybody may read a file, and enter all folders above it. */
export function isForAll(path: string): boolean {
  const above = dirname(path)
  const facts = statSync(path)
  return (facts.mode & (facts.isDirectory() ? 0o001 : 0o004)) !== 0 && (above === path || isForAll(above))
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
