// Replaces a file so that no reader ever sees half of it, and no crash and no full disk leaves half of it.
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs'
import {dirname} from 'node:path'
import {usage} from '../../errors.ts'
import {fileFailure} from './text-file.ts'

export interface ReplaceOptions {
  /** Default: the old file's; 0644 if there was none. */
  readonly mode?: number
  /** Whose a file is that was not there before, if root writes it. Default: root's. */
  readonly newOwner?: 'directory'
}

/**
 * Writes `text` beside the file and renames it over it (rename(2)); on the disk when it returns. The owner stays the old
 * file's. @throws Failure `privilege` or `runtime` if that fails; the old file is then untouched.
 */
export function replaceFile(path: string, text: string, options: ReplaceOptions = {}): void {
  throughFileBeside(path, (beside) => {
    const old = statSync(path, {throwIfNoEntry: false})
    const owner = old ?? (options.newOwner === 'directory' ? statSync(dirname(path)) : undefined)
    writeNew(beside, text, options.mode ?? (old ? old.mode & 0o777 : 0o644), (fd) => {
      // The mode that open(2) gets is cut by the umask.
      if (old && options.mode === undefined) fchmodSync(fd, old.mode & 0o777)
      if (owner) giveTo(owner, fd)
    })
    renameSync(beside, path)
  })
}

/** The same for a file that must not be there yet. @throws Failure, also if it is. */
export function createFile(path: string, text: string, mode: number): void {
  throughFileBeside(path, (beside) => {
    writeNew(beside, text, mode)
    linkSync(beside, path)
    rmSync(beside)
  })
}

/** A file that must not be there yet but with `force`. @throws Failure `usage` if it is, else as {@link createFile}. */
export function createOrReplace(path: string, text: string, force: boolean): void {
  if (!force && existsSync(path)) throw usage(`${path}: is there already (--force writes over it)`)
  if (force) replaceFile(path, text)
  else createFile(path, text, 0o644)
}

function throughFileBeside(path: string, write: (beside: string) => void): void {
  const beside = `${path}.${process.pid}.new`
  try {
    write(beside)
    const folder = openSync(dirname(path), 'r')
    try {
      fsyncSync(folder)
    } finally {
      closeSync(folder)
    }
  } catch (error) {
    rmSync(beside, {force: true})
    throw fileFailure(path, 'written', error)
  }
}

function writeNew(path: string, text: string, mode: number, dress: (fd: number) => void = () => {}): void {
  // A new one in any case: root may write where another user could have laid a link to a file of somebody else's.
  rmSync(path, {force: true})
  const fd = openSync(path, 'wx', mode)
  try {
    // Until all of it is written: on a nearly full disk, write(2) takes a part of it and says so.
    writeFileSync(fd, text)
    dress(fd)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** What root writes for another user, that user must be able to read. */
function giveTo({uid, gid}: Pick<Stats, 'uid' | 'gid'>, fd: number): void {
  if (process.geteuid?.() !== 0) return
  const now = fstatSync(fd)
  if (now.uid !== uid || now.gid !== gid) fchownSync(fd, uid, gid)
}
