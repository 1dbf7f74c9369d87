// Whom the service of a site switches, and to which gateway: every segment of the inventory that has one at the site.
import {
  findVm,
  type Gateway,
  gatewaysAtSite,
  type Inventory,
  machineOf,
  neededSite,
  type Vm,
  vmsCalled,
} from '../../domain/inventory/site.ts'
import type {Movement} from '../../domain/movement/movement.ts'
import {Failure, usage} from '../../errors.ts'
import {type Mac, readMac} from '../../wire/address.ts'

export interface Served {
  readonly site: string
  readonly inventory: Inventory
  /** By the name of their segment. */
  readonly gateways: ReadonlyMap<string, Gateway>
  /** Segments that are not, and why. */
  readonly leftOut: readonly string[]
  /**
   * What a name, a MAC or an address means: a VM of several NICs is all of them. Empty: nobody.
   * @throws Failure `usage` for a MAC or an address of several VMs.
   */
  find(who: string): readonly Vm[]
  /** By its MAC alone, whoever else has it. */
  withMac(mac: Mac): readonly Vm[]
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
  const byMac = Map.groupBy(inventory.vms, ({mac}) => mac)
  const withMac = (mac: Mac): readonly Vm[] => byMac.get(mac) ?? []
  const find = (who: string): readonly Vm[] => {
    const fits = byMac.get(readMac(who) ?? '') ?? vmsCalled(inventory, who)
    // It says which there are.
    if (!isOneMachine(fits)) findVm(inventory, who)
    return fits
  }
  return {site, inventory, gateways, leftOut, find, withMac}
}

const isOneMachine = (vms: readonly Vm[]): boolean => new Set(vms.map(machineOf)).size <= 1

/**
 * The NICs that a movement is about: by its MAC where that is known, else all of the VM that its platform names. A MAC of
 * several VMs is that of the one that is named, or of nobody.
 */
export function movedVms({withMac, inventory}: Served, {mac, vm}: Movement): readonly Vm[] {
  const named = (all: readonly Vm[]): readonly Vm[] => {
    const exact = all.filter(({name}) => name === vm)
    return exact.length > 0 ? exact : all.filter((each) => machineOf(each) === vm)
  }
  const own = mac === null ? [] : withMac(mac)
  if (own.length === 0) return vm === null ? [] : named(inventory.vms)
  const fits = named(own)
  return fits.length > 0 ? fits : isOneMachine(own) ? own : []
}

/** @throws Failure `usage` for a VM whose segment is not served. */
export function gatewayFor({gateways, site, inventory}: Served, vm: Vm): Gateway {
  const gateway = gateways.get(vm.segment)
  if (gateway) return gateway
  throw new Failure(
    'usage',
    `${inventory.file}: segment ${vm.segment} of ${vm.name} has no gateway that is served at site ${site}`,
  )
}
