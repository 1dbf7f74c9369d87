// How many neighbours the kernel takes. One table for all network namespaces: what is beyond it is dropped without a word.
import {readFileSync} from 'node:fs'

export interface NeighbourRoom {
  /** net.ipv4.neigh.default.gc_thresh3. */
  readonly most: number
  /** Entries now, of every namespace. */
  readonly held: number
}

/** Undefined where the kernel does not say: it does to the first network namespace alone. */
export function neighbourRoom(root = ''): NeighbourRoom | undefined {
  try {
    const most = Number(readFileSync(`${root}/proc/sys/net/ipv4/neigh/default/gc_thresh3`, 'latin1'))
    const [, first = ''] = readFileSync(`${root}/proc/net/stat/arp_cache`, 'latin1').split('\n')
    const held = Number.parseInt(first.split(/\s+/)[0] ?? '', 16)
    return Number.isSafeInteger(most) && Number.isSafeInteger(held) ? {most, held} : undefined
  } catch {
    return undefined
  }
}
