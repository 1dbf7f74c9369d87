// Through which interface of this host a VM is told and seen that is not here yet, so that its own port is not known.
import type {Gateway, Inventory, Vm} from '../../domain/inventory/site.ts'
import {findSegment} from '../../domain/inventory/site.ts'
import type {World} from '../../net/world.ts'
import {prefixContains} from '../../wire/address.ts'

/**
 * Undefined where a strategy finds it itself: the gateway's own leg, or another on the segment. Else, on a hypervisor, the
 * bridge that has learned the new gateway: its VMs' frames pass there, whichever port they come to. Of several that have,
 * nobody can tell.
 */
export async function placeOf(inventory: Inventory, vm: Vm, to: Gateway, world: World): Promise<string | undefined> {
  const {prefix} = findSegment(inventory, vm.segment)!
  const all = await world.interfaces()
  const isOn = all.some(
    ({mac, addresses}) =>
      mac === to.mac || addresses.some(({ip, prefixLength}) => prefixLength < 32 && prefixContains(prefix, ip)),
  )
  if (isOn || world.learned === undefined || world.hostLinks === undefined) return undefined
  const bridges = new Set((await world.hostLinks()).flatMap(({bridge}) => bridge ?? []))
  const found: string[] = []
  for (const bridge of bridges) if ((await world.learned(bridge)).some(({mac}) => mac === to.mac)) found.push(bridge)
  return found.length === 1 ? found[0] : undefined
}
