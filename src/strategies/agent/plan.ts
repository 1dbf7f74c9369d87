// What the agent strategy will do, decided before anything is said to the VM.
import type {Switchover} from '../../domain/inventory/switchover.ts'
import {Failure} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import {type Ipv4, type Mac, prefixText} from '../../wire/address.ts'
import {type Ipv6, isLinkLocal} from '../../wire/ipv6-address.ts'
import {chooseInterface} from '../choose-interface.ts'
import {type Scene, sceneOf} from '../scene.ts'
import type {Standing as Before} from '../standing.ts'
import type {StrategyOptions} from '../strategy.ts'
import {type AgentTarget, gatewaysText, isSigned, newRun, type SwitchOrder, transportText} from './conversation.ts'
import {guestCommands} from './guest-route.ts'
import {readSigningKey} from './keys.ts'
import {agentTarget, gatewayPair} from './target.ts'

/** JSON; see `Strategy.plan`. */
export interface AgentPlan {
  readonly strategy: 'agent'
  /** Where the VM's traffic is watched. */
  readonly interface: string
  readonly vlan: number | null
  readonly vm: {
    readonly name: string
    readonly ip: Ipv4
    /** The address by which its IPv6 route is proved; null where only its IPv4 route is switched. */
    readonly ip6: Ipv6 | null
    readonly mac: Mac
  }
  readonly segment: {readonly name: string; readonly prefix: string}
  readonly from: PlannedGateway
  readonly to: PlannedGateway
  readonly target: AgentTarget
  readonly order: SwitchOrder
  /** File of the key that signs, and the kid that goes with it; null for the QEMU guest agent. */
  readonly key: {readonly file: string; readonly kid: string} | null
  /** What runs in the guest, where no agent of ours does. */
  readonly commands: readonly string[]
  readonly scene: Scene
  /** How things stood before; null: not looked at yet. */
  readonly before: Before | null
  /** The VM is told to stay where it was told to go, also where that cannot be proved from here. */
  readonly acceptUnverified: boolean
}

export interface PlannedGateway {
  readonly name: string
  readonly site: string
  readonly ip: Ipv4
  readonly mac: Mac
}

/** Longer than asking the network takes, and shorter than anybody would wait: the VM goes back by itself after it. */
const CONFIRM_S = 20
const TIMEOUT_MS = 8000

/** @throws Failure `usage` where this strategy cannot make the switchover, with the way out. */
export async function planAgent(switchover: Switchover, options: StrategyOptions, world: World): Promise<AgentPlan> {
  const {vm, segment, from, to} = switchover
  if (from.ip === to.ip) {
    throw new Failure(
      'usage',
      `${from.name} and ${to.name} share the address ${to.ip}: no route in the VM tells them apart, the arp strategy can`,
    )
  }
  const target = agentTarget(vm)
  const file = to.agentKey
  if (isSigned(target.transport) && file === undefined) {
    throw new Failure(
      'usage',
      `no key to sign the order to ${vm.name} with: write sites.${to.site}.agentKey (the file of a private key)`,
    )
  }
  const key =
    !isSigned(target.transport) || file === undefined ? null : {file, kid: target.kid ?? readSigningKey(file).kid}
  const via = chooseInterface(await world.interfaces(), switchover, options.interfaceName, {
    otherwise:
      ", so that nobody could see where the VM sends: name the VM's port or the gateway's leg with -i, or use gwswitch notify-agent, which takes the agent's word",
    where: "its new site's gateway or on its hypervisor",
  })
  const gateway = ({name, site, ip, mac}: PlannedGateway): PlannedGateway => ({name, site, ip, mac})
  const pair = gatewayPair(vm, to)
  const ip6 = provable6(vm.ip6, pair.v6)
  const scene = await sceneOf(switchover, options, world, via, {
    families: leavesIp6(switchover, pair.v6) || ip6 !== null ? [4, 6] : [4],
    keepsSessions: vm.agent?.mode === 'drain',
  })
  return {
    strategy: 'agent',
    interface: via.name,
    vlan: scene.vlan,
    vm: {name: vm.name, ip: vm.ip, ip6, mac: vm.mac},
    segment: {name: segment.name, prefix: prefixText(segment.prefix)},
    from: gateway(from),
    to: gateway(to),
    target,
    order: {
      run: newRun(world),
      site: to.site,
      to: pair,
      from: pair.v6 === null ? {v4: from.ip, v6: null} : gatewayPair(vm, from),
      mode: vm.agent?.mode ?? null,
      probes: vm.agent?.probes ?? [],
      confirmS: CONFIRM_S,
      timeoutMs: TIMEOUT_MS,
    },
    key,
    commands: isSigned(target.transport) ? [] : guestCommands(pair),
    ...{scene, before: null, acceptUnverified: options.acceptUnverified ?? false},
  }
}

/** Its gateways route IPv6 and it speaks it, but the order has no gateway for it: what is left behind is looked at too. */
const leavesIp6 = ({vm, to}: Switchover, gateway: Ipv6 | null): boolean =>
  gateway === null && (to.ip6?.length ?? 0) > 0 && (vm.ip6 ?? []).some((ip) => !isLinkLocal(ip))

/** The order that goes with what was seen: a VM is not told to leave a gateway that it does not use. */
export function fromObserved(plan: AgentPlan, before: Before): AgentPlan {
  const {uses} = before
  if (uses === null || uses.mac === plan.from.mac || uses.mac === plan.to.mac) return {...plan, before}
  return {...plan, before, from: uses, order: {...plan.order, from: {v4: uses.ip, v6: null}}}
}

/** From a link-local address nothing leaves the segment. */
const provable6 = (addresses: readonly Ipv6[] | undefined, gateway: Ipv6 | null): Ipv6 | null =>
  gateway === null ? null : (addresses?.find((ip) => !isLinkLocal(ip)) ?? null)

export const describeAgent = ({vm, target, order, key, commands, interface: via, to, from}: AgentPlan): string[] => [
  commands.length > 0
    ? `run in ${vm.name} (${vm.ip}) by the ${transportText(target.transport)}: ${commands.join('; ')}`
    : `tell the agent in ${vm.name} (${vm.ip}) by ${transportText(target.transport)}, signed with ${key?.kid}, to use ${gatewaysText(order.to)} (${to.name}, site ${to.site})${order.mode ? `, mode ${order.mode}` : ''}`,
  commands.length > 0
    ? `it looks for the new gateway first${order.probes.length > 0 ? `, for ${order.probes.join(' or ')} beyond it afterwards` : ''}; the guest goes back by itself unless it is confirmed within ${order.confirmS} s`
    : `it tries the new gateway first, and ${order.probes.length > 0 ? order.probes.join(' or ') : 'its own probes'} beyond it; it goes back by itself unless it is confirmed within ${order.confirmS} s`,
  `check at ${via}, by an echo from far away${vm.ip6 === null ? '' : ', over IPv6 too'}, that ${vm.name} leaves through ${to.mac}; then confirm`,
  `otherwise tell it to go back to ${from.ip} (${from.name}, site ${from.site})`,
]
