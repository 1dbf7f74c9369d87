// Whom the service of a site switches, and to which gateway: every segment of the inventory that has one at the site.
import {findVm, type Gateway, gatewaysAtSite, type Inventory, neededSite, type Vm} from '../../domain/inventory/site.ts'
import type {Movement} from '../../domain/movement/movement.ts'
import {Failure, usage} from '../../errors.ts'
import {readMac} from '../../wire/address.ts'

export interface Served {
  readonly site: string
  readonly inventory: Inventory
  /** By the name of their segment. */
  readonly gateways: ReadonlyMap<string, Gateway>
  /** Segments that are not, and why. */
  readonly leftOut: readonly string[]
  /** The VM of that name, address or MAC; undefined if there is none. @throws Failure `usage` for an address of several. */
  find(who: string): Vm | undefined
}

/**
 * @param name A site, or a gateway of it where it has several on a segment.
 * @param only The one segment that is served; default: all.
 * @throws Failure `usage`.
 */
export function servedBy(inventory: Inventory, name: string, only?: string): Served {
  const named = inventory.segments.flatMap(({gateways}) => gateways).find((gateway) => gateway.name === name)
  const site = named?.site ?? neededSite(inventory, name).name
  const gateways = new Map<string, Gateway>()
  const leftOut: string[] = []
  for (const segment of inventory.segments.filter((each) => only === undefined || each.name === only)) {
    const here = gatewaysAtSite(segment, site)
    const gateway = here.find((each) => each === named) ?? (here.length === 1 ? here[0] : undefined)
    if (gateway) gateways.set(segment.name, gateway)
    else if (here.length > 1)
      leftOut.push(
        `${segment.name} is left out: it has several gateways at site ${site} (${here.map((each) => each.name).join(', ')}), of which one must be named in place of the site`,
      )
  }
  if (gateways.size === 0) throw usage(`${inventory.file}: ${leftOut[0] ?? `no segment has a gateway at site ${site}`}`)
  const byMac = new Map(inventory.vms.map((vm) => [vm.mac, vm]))
  const find = (who: string): Vm | undefined => byMac.get(readMac(who) ?? '') ?? findVm(inventory, who)
  return {site, inventory, gateways, leftOut, find}
}

/** The VM that a movement is about: by its MAC where that is known, else by what its platform calls it. */
export const movedVm = ({find}: Served, {mac, vm}: Movement): Vm | undefined =>
  (mac === null ? undefined : find(mac)) ?? (vm === null ? undefined : find(vm))

/** @throws Failure `usage` for a VM whose segment is not served. */
export function gatewayFor({gateways, site, inventory}: Served, vm: Vm): Gateway {
  const gateway = gateways.get(vm.segment)
  if (gateway) return gateway
  throw new Failure(
    'usage',
    `${inventory.file}: segment ${vm.segment} of ${vm.name} has no gateway that is served at site ${site}`,
  )
}
