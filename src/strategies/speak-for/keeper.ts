// Writes a VM's entries at the gateway's own leg, and looks again and again whether they stand: the shell of upkeep.ts.
import type {NeighbourTables} from '../../net/neighbour-tables.ts'
import type {World} from '../../net/world.ts'
import {startSchedule} from '../../probe/schedule.ts'
import type {Ipv4} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {knownAddresses, type SpeakPlan} from './plan.ts'
import {isSettled, NOT_WRITTEN, type Upkeep, upkeepStep} from './upkeep.ts'

/** How an address stands in this host's own tables at the end. */
export interface Kept extends Upkeep {
  readonly ip: Ipv4 | Ipv6
  readonly settled: boolean
  /** The interface by which packets for it leave. */
  readonly way: string | undefined
  /** When it began to stand as it does, ms. */
  readonly afterMs: number
}

/** Looks after the schedule's last, ms, and how long an old site's word is waited out. */
const LOOK_MS = 250
export const OLD_SITE_MS = 10_000

/** The entries of all addresses of the VM at one leg. */
export function makeKeeper(leg: string, plan: SpeakPlan, tables: NeighbourTables) {
  const {mac} = plan.vm
  const kept = new Map<Ipv4 | Ipv6, Kept>(
    knownAddresses(plan).map((ip) => [ip, {ip, ...NOT_WRITTEN, settled: false, way: undefined, afterMs: 0}]),
  )
  const look = (atMs: number, note: (text: string) => void): void => {
    for (const [ip, before] of kept) {
      const way = tables.wayTo(leg, ip)
      const {state, write} = upkeepStep(before, {entry: tables.entry(leg, ip), way}, {leg, mac})
      const afterMs = state.calm > 1 ? before.afterMs : atMs
      kept.set(ip, {ip, ...state, settled: isSettled(state), way, afterMs})
      if (!write) continue
      tables.write(leg, ip, mac)
      note(`${ip} is at ${mac}: written into the neighbour table of ${leg}`)
    }
  }
  const areSettled = (): boolean => [...kept.values()].every(({settled}) => settled)
  return {
    isSettled: areSettled,
    kept: (): Kept[] => [...kept.values()],
    /** Until all stand, or the old site's word has outlasted the patience. */
    async run(world: World, signal: AbortSignal, note: (text: string) => void, patienceMs: number): Promise<void> {
      const schedule = startSchedule(world, signal)
      for (let i = 0; !areSettled() && schedule.elapsedMs() < patienceMs; i++) {
        await schedule.until(plan.scheduleMs[i] ?? schedule.elapsedMs() + LOOK_MS)
        look(schedule.elapsedMs(), note)
      }
    },
  }
}
