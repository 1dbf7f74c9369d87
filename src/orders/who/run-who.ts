// `gwswitch who` between its flags and its words.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import type {WhoDocument} from '../../domain/who.ts'
import {Failure} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import {type WhoOrder, who} from '../../probe/who.ts'
import {isIpv4} from '../../wire/address.ts'

export async function runWho(
  order: WhoOrder,
  inventory: Inventory,
  {world, signal}: {readonly world: World; readonly signal: AbortSignal},
): Promise<WhoDocument> {
  if (!isIpv4(order.source)) throw new Failure('usage', `--source ${order.source} is not an IPv4 address`)
  return who(order, inventory, world, signal)
}
