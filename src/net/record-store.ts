// A record of what shall be in this network namespace, one file a kind, and the right to change it: one process at a time.
import {dirname} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {Failure} from '../errors.ts'
import {type FileLock, tryLock} from './file/file-lock.ts'
import {replaceFile} from './file/replace-file.ts'
import {makeFolderOf, readText, removeFile, removeIfEmpty} from './file/text-file.ts'
import {namespaceFile} from './namespace-file.ts'

export interface RecordStore {
  /** Where the record of this network namespace lies. */
  recordFile(): string
  /** Undefined if there is none. */
  readRecord(): string | undefined
  /** On the disk when it returns; undefined: there shall be none. */
  writeRecord(text: string | undefined): void
  /** Undefined while another process changes what the record is about. */
  lock(): FileLock | undefined
}

/** `name`: the file's, in the folder of the namespace that this process is in. */
export function recordStore(name: string): RecordStore {
  const file = (): string => namespaceFile(name)
  return {
    recordFile: file,
    readRecord: () => readText(file()),
    writeRecord: (text) => {
      if (text === undefined) return removeFile(file())
      makeFolderOf(file(), 0o755)
      replaceFile(file(), text)
    },
    lock: () => lockBeside(file()),
  }
}

/** The folder of a namespace that has no record goes when the lock does. */
function lockBeside(file: string): FileLock | undefined {
  makeFolderOf(file, 0o755)
  try {
    const lock = tryLock(`${file}.lock`)
    return (
      lock && {
        release: () => {
          lock.release()
          removeIfEmpty(dirname(file))
        },
      }
    )
  } catch (error) {
    // Somebody who was done took the folder away in between: not yet, then.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const LOCK_MS = 60_000

/**
 * Works while it holds the lock. `what`: what is changed, for the message.
 * @throws Failure `runtime` if another process does not end.
 */
export async function aloneWith<T>(store: Pick<RecordStore, 'lock'>, what: string, work: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + LOCK_MS; ; ) {
    const lock = store.lock()
    if (lock) {
      try {
        return await work()
      } finally {
        lock.release()
      }
    }
    if (performance.now() > end)
      throw new Failure('runtime', `another gwswitch has been changing ${what} for ${LOCK_MS / 1000} s`)
    await delay(20)
  }
}
