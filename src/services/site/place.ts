// Through which interface of this host a VM is told and seen that is not here yet, so that its own port is not known.
import {type Gateway, type Inventory, neededSegment, type Vm} from '../../domain/inventory/site.ts'
import type {World} from '../../net/world.ts'
import {type Mac, prefixContains} from '../../wire/address.ts'

/**
 * Undefined where a strategy finds it itself: the gateway's own leg, or another on the segment. Else, on a hypervisor, the
 * bridge that has learned the new gateway, or another one of the segment, or a VM of it: its VMs' frames pass there,
 * whichever port they come to. Of several that have, nobody can tell.
 */
export async function placeOf(inventory: Inventory, vm: Vm, to: Gateway, world: World): Promise<string | undefined> {
  const segment = neededSegment(inventory, vm.segment)
  const all = await world.interfaces()
  const isOn = all.some(
    ({mac, addresses}) =>
      mac === to.mac || addresses.some(({ip, prefixLength}) => prefixLength < 32 && prefixContains(segment.prefix, ip)),
  )
  if (isOn || world.learned === undefined || world.hostLinks === undefined) return undefined
  const bridges = new Set((await world.hostLinks()).flatMap(({bridge}) => bridge ?? []))
  const learned = new Map<string, ReadonlySet<Mac>>()
  // A router may have one MAC in all VLANs.
  const isIn = (vlan: number | undefined): boolean =>
    vlan === undefined || typeof segment.vlan !== 'number' || vlan === segment.vlan
  for (const bridge of bridges) {
    const table = await world.learned(bridge)
    learned.set(bridge, new Set(table.flatMap(({mac, vlan}) => (isIn(vlan) ? mac : []))))
  }
  const others = inventory.vms.filter((each) => each.segment === segment.name).map(({mac}) => mac)
  for (const macs of [[to.mac], segment.gateways.map(({mac}) => mac), others]) {
    const found = [...bridges].filter((bridge) => macs.some((mac) => learned.get(bridge)!.has(mac)))
    if (found.length > 0) return found.length === 1 ? found[0] : undefined
  }
  return undefined
}
