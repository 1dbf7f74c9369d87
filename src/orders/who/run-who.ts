// `gwswitch who` between its flags and its words.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {gatewayText} from '../../domain/proof/proof.ts'
import {gatewayCode, type WhoDocument} from '../../domain/who.ts'
import {Failure} from '../../errors.ts'
import {interfaceIn} from '../../net/ip.ts'
import type {World} from '../../net/world.ts'
import {type WhoOrder, who} from '../../probe/who.ts'
import {sceneAround} from '../../strategies/bystander.ts'
import {askAbout} from '../../strategies/scene.ts'
import {isIpv4} from '../../wire/address.ts'

export async function runWho(
  order: WhoOrder,
  inventory: Inventory,
  {world, signal}: {readonly world: World; readonly signal: AbortSignal},
): Promise<WhoDocument> {
  if (!isIpv4(order.source)) throw new Failure('usage', `--source ${order.source} is not an IPv4 address`)
  const via = interfaceIn(await world.interfaces(), order.ports[0]!)
  return who(order, inventory, world, signal, async ({vm, gateway}, either) => {
    const {name, site, mac, segment} = gateway
    const about = {name, site, mac, segment}
    const scene = await sceneAround(inventory, {vm, to: gateway, via, vlanId: order.vlanId}, world)
    const seen = await askAbout(scene, scene.to, world, either)
    return {...about, code: gatewayCode(seen), evidence: gatewayText(seen, scene.to)}
  })
}
