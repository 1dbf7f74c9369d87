// What the redirection will do, decided before anything is touched.
import type {Gateway} from '../../domain/inventory/site.ts'
import type {Switchover} from '../../domain/inventory/switchover.ts'
import {usage} from '../../errors.ts'
import type {BridgePort, FdbEntry} from '../../net/bridge-ports.ts'
import {type Ipv4, type Mac, prefixText} from '../../wire/address.ts'
import type {StrategyOptions} from '../strategy.ts'
import type {ProxyWorld} from './proxy-world.ts'
import {redirectRuleset, releaseRuleset} from './ruleset.ts'

export interface ProxiedGateway {
  readonly name: string
  readonly site: string
  readonly ip: Ipv4
  readonly mac: Mac
}

/** JSON; see `Strategy.plan`. */
export interface MacProxyPlan {
  readonly strategy: 'mac-proxy'
  readonly bridge: string
  /** The VM's own port of the bridge. */
  readonly port: string
  readonly vlan: number | null
  readonly vm: {readonly name: string; readonly ip: Ipv4; readonly mac: Mac}
  readonly segment: {readonly name: string; readonly prefix: string}
  readonly from: ProxiedGateway
  readonly to: ProxiedGateway
  /** Where the VM's packets leave the bridge: the proof is looked for there. The bridge itself, if it is the gateway. */
  readonly watch: readonly string[]
  /** What `nft -f` is given, and what takes it back. */
  readonly ruleset: string
  readonly release: string
}

/** As many ports are watched for the proof, at most. */
const MOST_WATCHED = 64

/** @throws Failure `usage` where there is nothing to redirect, or no bridge port of the VM here. */
export async function planMacProxy(
  switchover: Switchover,
  options: StrategyOptions,
  world: ProxyWorld,
): Promise<MacProxyPlan> {
  const {vm, segment, from, to} = switchover
  if (from.mac === to.mac) {
    throw usage(
      `${from.name} and ${to.name} have the same MAC ${to.mac}: the bridge alone decides between them, see gwswitch filter`,
    )
  }
  const ports = await world.bridgePorts()
  if (ports.length === 0)
    throw usage(`there is no bridge here: mac-proxy runs on the hypervisor (or switch) that ${vm.name} is plugged into`)
  const port = await vmPort(vm, options.interfaceName, ports, world)
  const fdb = await world.bridgeFdb(port.bridge)
  const isBridge = fdb.some(({mac, own}) => own && mac === to.mac)
  const prefix = prefixText(segment.prefix)
  const gateway = ({name, site, ip, mac}: Gateway): ProxiedGateway => ({name, site, ip, mac})
  return {
    strategy: 'mac-proxy',
    bridge: port.bridge,
    port: port.name,
    vlan: options.vlanId ?? null,
    vm: {name: vm.name, ip: vm.ip, mac: vm.mac},
    segment: {name: segment.name, prefix},
    from: gateway(from),
    to: gateway(to),
    watch: isBridge ? [port.bridge] : watchedPorts(port, [from.mac, to.mac], fdb, ports),
    ruleset: redirectRuleset({
      vm,
      port: port.name,
      prefix,
      from: {mac: from.mac, ip6: from.ip6 ?? []},
      to,
      isBridge,
      ipv6: (to.ip6 ?? []).length > 0,
    }),
    release: releaseRuleset(vm.mac),
  }
}

/** The port named, or the one behind which a bridge has learned the VM. */
async function vmPort(
  vm: Switchover['vm'],
  named: string | undefined,
  ports: readonly BridgePort[],
  world: ProxyWorld,
): Promise<BridgePort> {
  if (named !== undefined) {
    const port = ports.find(({name}) => name === named)
    if (port) return port
    throw usage(
      `${named} is no port of a bridge: name the port that ${vm.name} is plugged into (${ports.map(({name}) => name).join(', ')})`,
    )
  }
  for (const bridge of new Set(ports.map((port) => port.bridge))) {
    const at = (await world.bridgeFdb(bridge)).find(({mac, own}) => mac === vm.mac && !own)
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
