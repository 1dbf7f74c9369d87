// What the redirection will do, decided before anything is touched.
import type {Gateway} from '../../domain/inventory/site.ts'
import type {Switchover} from '../../domain/inventory/switchover.ts'
import {type Redirect, redirectRuleset, releaseRuleset} from '../../domain/mac-proxy/ruleset.ts'
import type {NamedGateway} from '../../domain/proof/gateway.ts'
import {Failure} from '../../errors.ts'
import type {BridgePort, FdbEntry} from '../../net/bridge-ports.ts'
import type {World} from '../../net/world.ts'
import {type Ipv4, type Mac, prefixText} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {leavesIp6} from '../left-ip6.ts'
import {type Scene, sceneOf} from '../scene.ts'
import {planSpeaking, type SpeakPlan} from '../speak-for/plan.ts'
import type {Standing} from '../standing.ts'
import type {StrategyOptions} from '../strategy.ts'
import type {ProxyWorld} from './proxy-world.ts'

/** JSON; see `Strategy.plan`. */
export interface MacProxyPlan {
  readonly strategy: 'mac-proxy'
  readonly bridge: string
  /** The VM's own port of the bridge. */
  readonly port: string
  readonly vlan: number | null
  readonly vm: {readonly name: string; readonly ip: Ipv4; readonly mac: Mac}
  readonly segment: {readonly name: string; readonly prefix: string}
  readonly from: NamedGateway
  readonly to: NamedGateway
  /** Where the VM's packets leave the bridge: the proof is looked for there. The bridge itself, if it is the gateway. */
  readonly watch: readonly string[]
  /** The new gateway is this very bridge. */
  readonly isBridge: boolean
  /** IPv6 is redirected too: the new gateway routes it. */
  readonly ipv6: boolean
  /** By gateway MAC: what is for these addresses is for the gateway itself. */
  readonly gatewaysIp6: Readonly<Record<Mac, readonly Ipv6[]>>
  /** What `nft -f` is given where the VM sends to the gateway that it is expected to, and what takes the redirection away altogether. */
  readonly ruleset: string
  readonly release: string
  readonly scene: Scene
  /** Its IPv6 is not redirected: the inventory knows none of the new gateway. */
  readonly leavesIp6: boolean
  /** How the VM is made known where it is now, without its noticing; null: not. */
  readonly announce: SpeakPlan | null
  /** How things stood before; null: not looked at yet. */
  readonly before: ProxyBefore | null
}

/** JSON. */
export interface ProxyBefore extends Standing {
  /** The MACs to which the VM itself sends, whatever the bridge makes of it; empty: not seen. */
  readonly sends: readonly Mac[]
  /** The redirection that was there, and the one that was meant to be; null: none. */
  readonly redirect: Redirect | null
  readonly meant: Redirect | null
}

/** As many ports are watched for the proof, at most. */
const MOST_WATCHED = 64

const usage = (message: string): Failure => new Failure('usage', message)

/** @throws Failure `usage` where there is nothing to redirect, or no bridge port of the VM here. */
export async function planMacProxy(
  switchover: Switchover,
  options: StrategyOptions,
  host: ProxyWorld,
  world: World,
): Promise<MacProxyPlan> {
  const {vm, segment, from, to} = switchover
  if (from.mac === to.mac) {
    throw usage(
      `${from.name} and ${to.name} have the same MAC ${to.mac}: the bridge alone decides between them, see gwswitch filter`,
    )
  }
  const ports = await host.bridgePorts()
  if (ports.length === 0)
    throw usage(
      `there is no bridge here: mac-proxy runs on the hypervisor (or switch) that ${vm.name} is plugged into${otherWay(from, to)}`,
    )
  const port = await vmPort(vm, options.interfaceName, ports, host, otherWay(from, to))
  const fdb = await host.bridgeFdb(port.bridge)
  const isBridge = fdb.some(({mac, own}) => own && mac === to.mac)
  const ipv6 = (to.ip6 ?? []).length > 0
  const gateway = ({name, site, ip, mac}: Gateway): NamedGateway => ({name, site, ip, mac})
  const via = (await world.interfaces()).find(({name}) => name === port.name)
  if (!via) throw new Failure('runtime', `${port.name}, behind which ${vm.name} is, carries no frames: is it up?`)
  const scene = await sceneOf(switchover, options, world, via, {bridge: port.bridge})
  const planned: MacProxyPlan = {
    strategy: 'mac-proxy',
    bridge: port.bridge,
    port: port.name,
    vlan: scene.vlan,
    vm: {name: vm.name, ip: vm.ip, mac: vm.mac},
    segment: {name: segment.name, prefix: prefixText(segment.prefix)},
    from: gateway(from),
    to: gateway(to),
    watch: isBridge ? [port.bridge] : watchedPorts(port, [from.mac, to.mac], fdb, ports),
    ...{isBridge, ipv6, gatewaysIp6: Object.fromEntries(segment.gateways.map(({mac, ip6 = []}) => [mac, ip6]))},
    ruleset: '',
    release: releaseRuleset(vm.mac),
    scene,
    leavesIp6: leavesIp6(switchover),
    // What would move its own neighbour entry is not asked for.
    announce:
      options.announce === false
        ? null
        : planSpeaking(scene, {...switchover, interfaces: await world.interfaces()}, false),
    before: null,
  }
  return {...planned, ruleset: redirectRuleset(redirectFor(planned, [], to.mac)!)}
}

/**
 * What makes the bridge hand packets that the VM sends to any other gateway to this one; null where it is seen to send
 * there by itself.
 */
export function redirectFor(plan: MacProxyPlan, sends: readonly Mac[], to: Mac): Redirect | null {
  const {vm, port, segment, ipv6, gatewaysIp6} = plan
  const used = (sends.length === 0 ? [plan.from.mac] : sends).filter((mac) => mac !== to)
  if (used.length === 0) return null
  const others = Object.keys(gatewaysIp6).filter((mac) => mac !== to)
  const from = [...new Set([...used, ...others])].map((mac) => ({...named(plan, mac), ip6: gatewaysIp6[mac] ?? []}))
  const isBridge = plan.isBridge && to === plan.to.mac
  return {
    vm: {name: vm.name, mac: vm.mac},
    ...{port, prefix: segment.prefix, from, to: named(plan, to), isBridge, ipv6},
  }
}

/** A MAC that is no gateway's has no other name. */
function named({scene}: MacProxyPlan, mac: Mac): Redirect['to'] {
  const {name, site} = scene.gateways.find((each) => each.mac === mac) ?? {name: mac, site: ''}
  return {name, site, mac}
}

/** What works at a port of Open vSwitch, whose frames no rule for bridges sees. */
const otherWay = (from: Gateway, to: Gateway): string =>
  from.ip === to.ip
    ? '; at a port of Open vSwitch, --strategy arp -i PORT'
    : '; with Open vSwitch, --strategy dhcp or agent'

/** The port named, or the one behind which a bridge has learned the VM. */
async function vmPort(
  vm: Switchover['vm'],
  named: string | undefined,
  ports: readonly BridgePort[],
  host: ProxyWorld,
  otherwise: string,
): Promise<BridgePort> {
  if (named !== undefined) {
    const port = ports.find(({name}) => name === named)
    if (port) return port
    throw usage(
      `${named} is no port of a bridge: name the port that ${vm.name} is plugged into (${ports.map(({name}) => name).join(', ')})${otherwise}`,
    )
  }
  for (const bridge of new Set(ports.map((port) => port.bridge))) {
    const at = (await host.bridgeFdb(bridge)).find(({mac, own}) => mac === vm.mac && !own)
    const port = ports.find(({name}) => name === at?.port)
    if (port) return port
  }
  throw usage(`no bridge here has learned ${vm.mac} of ${vm.name}: name its port with -i`)
}

/** The ports that lead to either gateway, or all but the VM's where the new one's is not known. */
function watchedPorts(
  port: BridgePort,
  macs: readonly Mac[],
  fdb: readonly FdbEntry[],
  ports: readonly BridgePort[],
): string[] {
  const others = ports
    .filter(({bridge, name, up}) => bridge === port.bridge && name !== port.name && up)
    .map(({name}) => name)
  if (others.length <= MOST_WATCHED) return others
  const leading = fdb.filter(({mac, own}) => macs.includes(mac) && !own).map((entry) => entry.port)
  return [...new Set(leading)].filter((name) => name !== port.name)
}
