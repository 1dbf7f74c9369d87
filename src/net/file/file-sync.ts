// Writes a file's dirty pages out ahead of time: fdatasync(2) on a thread of libuv's pool.
import {closeSync, fdatasync, openSync} from 'node:fs'

export interface FileSync {
  /** Begins to write out all that was written so far, unless the last time is still under way. Who must know waits by itself. */
  begin(): void
  /** Resolves when the disk has finished what was begun. */
  close(): Promise<void>
}

/** @throws Error of open(2) */
export function fileSync(path: string): FileSync {
  const fd = openSync(path, 'r')
  let running: Promise<void> | undefined
  return {
    begin() {
      running ??= new Promise((resolve) => {
        fdatasync(fd, () => {
          running = undefined
          resolve()
        })
      })
    },
    async close() {
      await running
      closeSync(fd)
    },
  }
}
