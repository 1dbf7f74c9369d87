// What the strategy is about to do, as JSON, and why it cannot.
import {
  Failure,
  type NamedGateway,
  type Scene,
  type StrategyOptions,
  type Switchover,
  sceneOf,
  type World,
} from 'gwswitch'
import {type PolicyPlace, placeOf} from './policy-table.ts'

/** A plan is JSON: --dry-run prints it, and the guard reads it in another process. */
export interface PolicyRoutePlan {
  readonly strategy: 'policy-route'
  readonly vm: {readonly name: string; readonly ip: string; readonly mac: string}
  readonly prefix: {readonly address: string; readonly length: number}
  readonly place: PolicyPlace
  /** This host, the VM's gateway. */
  readonly router: NamedGateway
  /** The interface by which this host's own way out leaves. */
  readonly upstream: string
  /** All gateways of the segment. */
  readonly gateways: readonly NamedGateway[]
  /** The next hop that the VM's rule shall lead to; null: this router's own way, without a rule. */
  readonly via: string | null
  readonly scene: Scene
  /** The next hop that its rule led to before; undefined: not looked yet, and nothing was done. */
  readonly before?: string | null
}

/** An address that nobody has (RFC 7600): where this host sends what it knows no way for but the default. */
const ANYWHERE = '192.0.0.8'

/** @throws Failure `usage` where this host is no gateway of the segment, or the gateways cannot be told apart by their addresses. */
export async function planPolicyRoute(
  switchover: Switchover,
  options: StrategyOptions,
  world: World,
): Promise<PolicyRoutePlan> {
  const {vm, segment, to} = switchover
  const interfaces = await world.interfaces()
  const owns = (mac: string, ip: string) =>
    interfaces.find((each) => each.mac === mac && each.addresses.some((address) => address.ip === ip))
  const router = segment.gateways.find((gateway) => owns(gateway.mac, gateway.ip))
  if (!router)
    throw new Failure('usage', `this host is no gateway of ${segment.name}: run it on the router that ${vm.name} uses`)
  if (segment.gateways.some((other) => other.name !== router.name && other.ip === router.ip))
    throw new Failure(
      'usage',
      `the sites share ${router.ip} on ${segment.name}: this router would be its own next hop (use the arp strategy)`,
    )
  const leg = owns(router.mac, router.ip)!
  const upstream = (await world.routeTo(ANYWHERE))?.interface
  if (upstream === undefined) throw new Failure('usage', `${router.name} has no default route, so that no way back`)
  const named = ({name, site, ip, mac}: NamedGateway): NamedGateway => ({name, site, ip, mac})
  return {
    strategy: 'policy-route',
    vm: {name: vm.name, ip: vm.ip, mac: vm.mac},
    prefix: segment.prefix,
    place: placeOf(vm.ip, leg.name),
    router: named(router),
    upstream,
    gateways: segment.gateways.map(named),
    via: to.name === router.name ? null : to.ip,
    scene: await sceneOf(switchover, options, world, leg, {families: [4]}),
  }
}
