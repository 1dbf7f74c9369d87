// A pcap file written as frames come, readable at any moment of the run.
import {closeSync, openSync, writeSync} from 'node:fs'
import {Failure} from '../../errors.ts'
import {pcapHeader, pcapRecord} from '../../wire/pcap.ts'

export interface PcapWriter {
  /** Never throws: what is recorded is worth more than its recording. */
  write(timestampNs: bigint, frame: Uint8Array): void
  /** Closes the file; the error by which it ended early, if one did. */
  close(): string | undefined
}

/** Creates or overwrites `file`. @throws Failure `runtime` if it cannot be written. */
export function createPcapWriter(file: string): PcapWriter {
  let fd: number
  try {
    fd = openSync(file, 'w')
  } catch (error) {
    throw new Failure('runtime', `cannot write ${file}: ${(error as NodeJS.ErrnoException).code}`)
  }
  let open = true
  let broken: string | undefined
  const append = (bytes: Uint8Array): void => {
    if (!open || broken !== undefined) return
    try {
      writeSync(fd, bytes)
    } catch (error) {
      broken = `${file} ends early: ${(error as NodeJS.ErrnoException).code}`
    }
  }
  append(pcapHeader())
  return {
    write: (timestamp, bytes) => append(pcapRecord({timestamp, bytes, originalLength: bytes.length})),
    close() {
      if (open) closeSync(fd)
      open = false
      return broken
    },
  }
}
