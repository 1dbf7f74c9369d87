// What tells the service of VMs that come and go, beside the socket: the ports of this host, and platforms by their events.
import {type EventSource, isAbout} from '../../domain/movement/events.ts'
import type {Movement} from '../../domain/movement/movement.ts'
import type {World} from '../../net/world.ts'
import type {Journal} from '../../orders/journal/journal.ts'
import {type Arrivals, type ArrivalsRequest, watchArrivals} from './arrivals.ts'
import {openEvents} from './event-source.ts'
import type {Served} from './served.ts'

export interface Source {
  /** As it is logged: `vnet*`, `libvirt`. */
  readonly name: string
  /** Tells until it is disposed of. */
  open(served: Served, onMovement: (movement: Movement) => void): AsyncDisposable | Promise<AsyncDisposable>
  /** Another inventory counts. */
  reload?(next: Served): void
}

export interface SourcesStage {
  readonly world: World
  readonly journal: Journal | undefined
  log(line: string): void
}

/** What is heard at ports; patterns of their names. A VM is known to be where it was last proved, else by the inventory. */
export function portsSource(ports: readonly string[], {world, journal, log}: SourcesStage): Source {
  let arrivals: Arrivals | undefined
  const known = ({inventory, site}: Served): Pick<ArrivalsRequest, 'inventory' | 'site' | 'siteOf'> => {
    const sites = new Map(inventory.vms.map((vm) => [vm.mac, vm.site]))
    return {inventory, site, siteOf: (mac) => journal?.lastProved(mac)?.site ?? sites.get(mac)}
  }
  return {
    name: ports.join(', '),
    async open(served, onMovement) {
      arrivals = await watchArrivals({...known(served), ports}, {world, log}, onMovement)
      return arrivals
    },
    reload: (next) => arrivals?.expect(known(next)),
  }
}

/** What a platform says of these hosts, as it names them (none: of all). */
export const eventsSource = (source: EventSource, hosts: readonly string[], {world, log}: SourcesStage): Source => ({
  name: source.where === undefined ? source.kind : `${source.kind}=${source.where}`,
  open: (_served, onMovement) =>
    openEvents(
      source,
      {nowMs: () => Number(world.now() / 1_000_000n), sleep: (ms, signal) => world.sleep(ms, signal), log},
      (movement) => {
        if (isAbout(movement, hosts)) onMovement(movement)
      },
    ),
})
