// A pcap file written as frames come, readable at any moment of the run.
import {closeSync, openSync, writeSync} from 'node:fs'
import {Failure} from '../../errors.ts'
import {pcapHeader, pcapRecord} from '../../wire/pcap.ts'

export interface PcapWriter {
  write(timestampNs: bigint, frame: Uint8Array): void
  close(): void
}

/** Creates or overwrites `file`. @throws Failure `runtime` if it cannot be written. */
export function createPcapWriter(file: string): PcapWriter {
  let fd: number
  try {
    fd = openSync(file, 'w')
  } catch (error) {
    throw new Failure('runtime', `cannot write ${file}: ${(error as NodeJS.ErrnoException).code}`)
  }
  writeSync(fd, pcapHeader())
  let open = true
  return {
    write(timestamp, bytes) {
      if (open) writeSync(fd, pcapRecord({timestamp, bytes, originalLength: bytes.length}))
    },
    close() {
      if (open) closeSync(fd)
      open = false
    },
  }
}
