// What starting took and running does not: pages of Node's own program that are mapped and may never be looked at again.

import {textIfReadable} from '../file/text-file.ts'
import {koffi} from '../koffi.ts'

/** madvise(2). */
const MADV_DONTNEED = 4
const LEAST_BYTES = 1 << 20

/**
 * Gives up this process' claim to the pages of programs and libraries that nobody has written to. They stay in the page
 * cache for as long as there is room, and come back one by one when they are looked at: no file is read for that.
 */
export function releaseProgramPages(): void {
  const madvise = koffi().load('libc.so.6').func('int madvise(void *address, size_t length, int advice)')
  for (const {from, to} of cleanMappings(textIfReadable('/proc/self/smaps') ?? ''))
    madvise(from, Number(to - from), MADV_DONTNEED)
}

/** Mappings of files that are not writable and have no page of their own (proc_pid_smaps(5)), of some size. @internal */
export function cleanMappings(smaps: string): {readonly from: bigint; readonly to: bigint}[] {
  return smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).flatMap((mapping) => {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ \d+ +\//.exec(mapping) ?? []
    if (start === undefined || !/^Anonymous: +0 kB$/m.test(mapping)) return []
    const [from, to] = [BigInt(`0x${start}`), BigInt(`0x${end}`)]
    return to - from < LEAST_BYTES ? [] : [{from, to}]
  })
}
