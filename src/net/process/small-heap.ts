// How much of the memory is garbage that waits to be collected.
import {getHeapSpaceStatistics, setFlagsFromString} from 'node:v8'

/**
 * The part of the heap for what is young, MB. In the 1 MB that Node starts with, what hundreds of switches under way hold is
 * copied again and again: a fifth of all CPU. By itself V8 lets it grow to 16 and more where much is short-lived.
 */
const YOUNG_MB = 2

/** From here on what is young has {@link YOUNG_MB}, and what is old is looked through when it has grown by half. */
export function keepHeapSmall(): void {
  const megabytes = youngMb()
  if (megabytes < YOUNG_MB) growYoung(Math.ceil(YOUNG_MB / megabytes))
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--heap-growing-percent=50')
}

/** V8 takes a size only when it starts, and makes it larger by this factor when more has survived than there is. */
function growYoung(factor: number): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`)
  const kept: number[][] = []
  while (youngMb() < YOUNG_MB && kept.length < MOST) kept.push(new Array(128).fill(0))
}

/** Of 1 kB: more than it ever takes. */
const MOST = 1 << 13

function youngMb(): number {
  const {space_used_size: used = 0, space_available_size: left = 0} =
    getHeapSpaceStatistics().find(({space_name: name}) => name === 'new_space') ?? {}
  return (used + left) / (1 << 20)
}
