// `gwswitch who` between its flags and its words.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {gatewayCode, gatewayText, gatewayText6} from '../../domain/proof/gateway.ts'
import {type WhoDocument, whoDocument} from '../../domain/who.ts'
import {usage} from '../../errors.ts'
import {interfaceIn} from '../../net/ip.ts'
import type {World} from '../../net/world.ts'
import {who} from '../../probe/who.ts'
import type {WhoOrder} from '../../probe/who-questions.ts'
import {sceneAround} from '../../strategies/bystander.ts'
import {askTarget} from '../../strategies/scene.ts'
import {isIpv4} from '../../wire/address.ts'
import {redirectedOf} from '../mac-proxy/redirected.ts'

export async function runWho(
  order: WhoOrder,
  inventory: Inventory,
  {world, signal}: {readonly world: World; readonly signal: AbortSignal},
): Promise<WhoDocument> {
  if (!isIpv4(order.source)) throw usage(`--source ${order.source} is not an IPv4 address`)
  const interfaces = await world.interfaces()
  for (const port of order.ports) interfaceIn(interfaces, port)
  const seen = await who(order, inventory, world, signal, async ({vm, gateway, families, at}, either) => {
    const {name, site, mac, segment} = gateway
    const asked = at.bridge ?? {tag: at.tag}
    if ('apart' in asked) {
      const evidence = `${name} (${mac}) could not be asked: ${asked.apart}`
      return families.map((family) => ({name, site, mac, segment, family, code: 'unverified', evidence}))
    }
    const via = interfaceIn(interfaces, at.port)
    const scene = await sceneAround(inventory, {vm, to: gateway, via, vlanId: asked.tag, families}, world)
    // Nothing is compared with: silence beyond it may be that of what was asked for.
    const seen = {...(await askTarget(scene, scene.to, world, either)), old: null}
    return families.map((family) => ({
      ...{name, site, mac, segment, family, code: gatewayCode(family, seen)},
      evidence: family === 4 ? gatewayText(seen.target, scene.to) : gatewayText6(seen, scene.to).join(),
    }))
  })
  const names = seen.rows.map(({vm}) => vm.name)
  return whoDocument({...seen, redirected: await redirectedOf(names, inventory, world)})
}
