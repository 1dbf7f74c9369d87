// Log lines of a busy service: those of one turn of the event loop leave in one write.
import {writeSync} from 'node:fs'
import {printable} from '../../wire/printable.ts'

export interface LineWriter {
  write(line: string): void
  /** Writes what waits now. */
  flush(): void
}

/** Writes lines to a descriptor. Whoever reads it too slowly slows the service down instead of filling its memory. */
export function lineWriter(fd: number): LineWriter {
  let waiting = ''
  let scheduled = false
  const flush = (): void => {
    scheduled = false
    const text = waiting
    waiting = ''
    if (text !== '') writeAll(fd, Buffer.from(text))
  }
  return {
    write(line) {
      waiting += `${printable(line)}\n`
      if (scheduled) return
      scheduled = true
      setImmediate(flush)
    },
    flush,
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      // EAGAIN: a pipe that somebody made non-blocking is full. Nobody reads (EPIPE): a log is not worth a service.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}
