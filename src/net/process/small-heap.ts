// How much of the memory is garbage that waits to be collected.
import {setFlagsFromString} from 'node:v8'

/**
 * From here on the part of the heap for what is young stays as large as it is, and what is old is looked through when it has
 * grown by half. By itself V8 lets the one grow to 64 MB and the other to a multiple where much is short-lived, as frames and
 * their events are.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--heap-growing-percent=50')
}
