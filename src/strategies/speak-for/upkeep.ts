// Keeping a VM's neighbour entry at the gateway's own leg while the old site's word for it still stands: pure steps.
import type {NeighbourEntry} from '../../net/neighbour-tables.ts'
import type {Mac} from '../../wire/address.ts'

/** What a look at this host's tables shows of one address. */
export interface TablesSeen {
  readonly entry: NeighbourEntry | undefined
  /** The interface by which packets for it leave. */
  readonly way: string | undefined
}

export interface Upkeep {
  readonly writes: number
  /** The old site's word was seen: a host route to elsewhere, an entry of a routing daemon, or ours was taken away. */
  readonly contested: boolean
  /** Looks in a row that found nothing to do. */
  readonly calm: number
}

export const NOT_WRITTEN: Upkeep = {writes: 0, contested: false, calm: 0}

/** As many looks in a row, once somebody else was seen to write there too. */
const CALM_AFTER_CONTEST = 3

/** Whether the entry is to be written now, and how things stand then. */
export function upkeepStep(
  state: Upkeep,
  {entry, way}: TablesSeen,
  {leg, mac}: {readonly leg: string; readonly mac: Mac},
): {readonly state: Upkeep; readonly write: boolean} {
  const stands = entry?.mac === mac && !entry.external
  const isHere = way === leg
  return {
    state: {
      writes: state.writes + (stands ? 0 : 1),
      contested: state.contested || !isHere || entry?.external === true || (state.writes > 0 && !stands),
      calm: stands && isHere ? state.calm + 1 : 0,
    },
    write: !stands,
  }
}

/** The entry stands, packets leave by the leg, and nobody takes that back any more. */
export const isSettled = ({calm, contested}: Upkeep): boolean => calm >= (contested ? CALM_AFTER_CONTEST : 1)
