// A log file that another program writes: what came since the last look.
import {closeSync, fstatSync, openSync, readSync} from 'node:fs'
import {Failure} from '../../errors.ts'

/** How much of an old log is read at the first look, bytes from its end. */
const FIRST_LOOK = 16 << 20
const CHUNK = 1 << 20

export interface GrowingFile {
  /** Calls `take` with every whole line that is new; begins again where the file was replaced or cut (log rotation). */
  readNew(take: (line: string) => void): void
}

/** Nothing is held open between looks. @throws Failure `runtime` from `readNew` if the file cannot be read. */
export function growingFile(path: string): GrowingFile {
  let inode: number | undefined
  let offset = 0
  let rest = ''
  return {
    readNew(take) {
      const fd = openLog(path)
      try {
        const {ino, size} = fstatSync(fd)
        if (ino !== inode || size < offset) {
          const first = inode === undefined
          inode = ino
          offset = first ? Math.max(0, size - FIRST_LOOK) : 0
          rest = ''
        }
        const buffer = Buffer.alloc(Math.min(CHUNK, Math.max(1, size - offset)))
        for (;;) {
          const got = readSync(fd, buffer, 0, buffer.length, offset)
          if (got === 0) return
          offset += got
          // Logs are ASCII as far as they concern us; latin1 keeps every byte one character, also across chunks.
          const lines = (rest + buffer.toString('latin1', 0, got)).split('\n')
          rest = lines.pop()!.slice(-4096)
          for (const line of lines) take(line)
        }
      } finally {
        closeSync(fd)
      }
    },
  }
}

function openLog(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    throw new Failure(
      code === 'EACCES' ? 'privilege' : 'runtime',
      `${path}: cannot read the log: ${code === 'ENOENT' ? 'no such file' : code}`,
    )
  }
}
