// Which default routes of a guest a switch is about, by what the guest says of its NICs and routes, or why it cannot be.
import type {GuestInterface} from '../../net/stream/qga.ts'
import {type Ipv4, isIpv4, prefixContains, prefixOf} from '../../wire/address.ts'
import type {AgentReason} from '../../wire/agent-message.ts'
import {type Ipv6, ipv6Bytes, isLinkLocal} from '../../wire/ipv6-address.ts'
import type {AgentTarget, GatewayPair, SwitchOrder} from './conversation.ts'
import type {GuestRoute} from './guest-route.ts'

export type Family = 4 | 6

/** Why it is not as ordered. */
export interface Why {
  readonly reason: AgentReason
  /** One line for people. */
  readonly detail: string
}

/** A default route and the gateway that it shall have. */
export interface Change {
  readonly route: GuestRoute
  readonly to: Ipv4 | Ipv6
  /** The NIC that it goes out of. */
  readonly device: string
}

export const gatewayFor = ({v4, v6}: GatewayPair, family: Family): Ipv4 | Ipv6 | null => (family === 4 ? v4 : v6)

/** Those that the order is about, IPv4 first. */
export const familiesOf = ({to}: SwitchOrder): readonly Family[] =>
  ([4, 6] as const).filter((family) => gatewayFor(to, family) !== null)

export const probesOf = ({probes}: SwitchOrder, family: Family): readonly (Ipv4 | Ipv6)[] =>
  probes.filter((probe) => isIpv4(probe) === (family === 4))

export const isWhy = (found: object): found is Why => 'reason' in found

/** What is wrong with an order whatever the guest is like. */
export function unfit(order: SwitchOrder): Why | undefined {
  if (order.mode !== null && order.mode !== 'replace') {
    return {
      reason: 'mode',
      detail: `the QEMU guest agent can only replace the route: ${order.mode} needs gwswitch agent in the VM`,
    }
  }
  if (order.confirmS === 0 && familiesOf(order).some((family) => probesOf(order, family).length === 0)) {
    return {
      reason: 'no_probe',
      detail: 'no probe beyond the gateway and no confirmation asked for: give one of them',
    }
  }
  return undefined
}

/** One, or those that share its MAC: a bond, a VLAN, a bridge or a failover pair, and what it is made of. */
export function chooseNics(
  nics: readonly GuestInterface[],
  {mac, ip, name}: AgentTarget,
): readonly GuestInterface[] | Why {
  const found = nics.filter((nic) => (mac === null ? nic.addresses.some((each) => each.ip === ip) : nic.mac === mac))
  if (found.length > 0) return found
  const named = mac === null ? `the address ${ip}` : `MAC ${mac}`
  return {reason: 'interface', detail: `no interface in ${name} has ${named}`}
}

/** The change of one family that the order is about; `routes` are its default routes, lowest metric first. */
export function chooseChange(
  order: SwitchOrder,
  family: Family,
  routes: readonly GuestRoute[],
  nics: readonly GuestInterface[],
): Change | Why {
  const found = chooseRoute(routes, nics, family)
  if (isWhy(found)) return found
  const {route, nic} = found
  const [from, to] = [gatewayFor(order.from, family), gatewayFor(order.to, family)!]
  if (from !== null && route.gateway !== from)
    return {reason: 'from_gw', detail: `the gateway in use is ${route.gateway}, not ${from}`}
  if (!onLink(nic, to)) return {reason: 'gateway_off_link', detail: `${to} is in no prefix of ${nic.name}`}
  return {route, to, device: nic.name}
}

function chooseRoute(
  routes: readonly GuestRoute[],
  nics: readonly GuestInterface[],
  family: Family,
): {readonly route: GuestRoute; readonly nic: GuestInterface} | Why {
  const [used] = routes
  if (used === undefined) return {reason: 'interface', detail: `the guest has no IPv${family} default route`}
  if (used.compound) {
    return {
      reason: 'mode',
      detail: `the IPv${family} default route has several next hops: there is no one gateway to change`,
    }
  }
  const nic = nics.find(({name}) => name === used.device)
  if (nic === undefined || used.gateway === undefined) {
    const names = nics.map(({name}) => name).join(' or ')
    return {
      reason: 'interface',
      detail: `the IPv${family} default route goes out of ${used.device}, not through a gateway on ${names}`,
    }
  }
  const same = routes.filter(({metric}) => metric === used.metric)
  if (same.length > 1) {
    return {
      reason: 'mode',
      detail: `${same.length} IPv${family} default routes have metric ${used.metric}: replacing one is ambiguous`,
    }
  }
  return {route: used, nic}
}

const onLink = ({addresses}: GuestInterface, gateway: Ipv4 | Ipv6): boolean =>
  isIpv4(gateway)
    ? addresses.some(({ip, length}) => isIpv4(ip) && length < 32 && prefixContains(prefixOf(ip, length), gateway))
    : isLinkLocal(gateway) ||
      addresses.some(({ip, length}) => !isIpv4(ip) && length < 128 && sameBits(ip, gateway, length))

function sameBits(a: Ipv6, b: Ipv6, length: number): boolean {
  const bits = (ip: Ipv6): string => [...ipv6Bytes(ip)].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return bits(a).slice(0, length) === bits(b).slice(0, length)
}
