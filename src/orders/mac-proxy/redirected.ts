// Which VMs of a report a bridge here redirects: what they are seen to send to is not where it goes.
import type {Inventory} from '../../domain/inventory/site.ts'
import type {Redirected} from '../../domain/who.ts'
import type {World} from '../../net/world.ts'
import {redirectsHere, redirectText} from '../../probe/redirects.ts'

export async function redirectedOf(
  names: readonly string[],
  {vms, segments}: Inventory,
  world: World,
): Promise<readonly Redirected[]> {
  const standing = (await redirectsHere(world)) ?? []
  return vms.flatMap((vm) => {
    const redirect = names.includes(vm.name) ? standing.find((each) => each.vm === vm.mac) : undefined
    if (redirect === undefined) return []
    const gateways = segments.find(({name}) => name === vm.segment)?.gateways ?? []
    const {says, lift} = redirectText(redirect, vm, gateways)
    const text = `${says}: its packets leave there, whatever gateway it is seen to use; ${lift} lifts that`
    return [{vm: vm.name, from: redirect.from, to: redirect.to, text}]
  })
}
