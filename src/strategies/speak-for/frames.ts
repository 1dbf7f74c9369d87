// The frames that a VM would send if it spoke, built in its name: they leave by its own port alone.
import {BROADCAST, type Ipv4, type Mac, ZERO_MAC} from '../../wire/address.ts'
import {ARP_REQUEST} from '../../wire/arp.ts'
import {type FrameAddresses, vlanTag} from '../../wire/ethernet.ts'
import {arpFrame, icmpFrame} from '../../wire/frames.ts'
import {icmpv6Frame} from '../../wire/icmpv6.ts'
import {ALL_NODES, type Ipv6, multicastMac, solicitedNode} from '../../wire/ipv6-address.ts'
import type {SpeakPlan} from './plan.ts'

export interface SpokenFrame {
  readonly kind: 'ask' | 'advertisement' | 'echo'
  readonly text: string
  readonly bytes: Uint8Array
}

/**
 * One round. "Who has GATEWAY, tell VM" makes a router enter the VM whatever its arp_accept says, for it is the target
 * (RFC 826); a neighbour solicitation with a source link-layer address likewise (RFC 4861 section 7.2.3). An unsolicited
 * advertisement corrects the entries that others have (section 7.2.6), and makes none.
 */
export function spokenFrames(plan: SpeakPlan): SpokenFrame[] {
  const {vm, gateway} = plan
  return [
    ...(gateway.ip === null ? [] : [ask4(plan, gateway.ip)]),
    ...vm.ip6.flatMap((ip) => [
      ...(gateway.ip6 === null ? [] : [ask6(plan, ip, gateway.ip6)]),
      advertisement(plan, ip),
    ]),
  ]
}

const from = ({vm, vlan}: SpeakPlan, destination: Mac): FrameAddresses => ({
  destination,
  source: vm.mac,
  vlan: vlanTag(vlan),
})

function ask4(plan: SpeakPlan, targetIp: Ipv4): SpokenFrame {
  const {vm, gateway} = plan
  const arp = {operation: ARP_REQUEST, senderMac: vm.mac, senderIp: vm.ip, targetMac: ZERO_MAC, targetIp}
  const to = gateway.mac ?? BROADCAST
  return {
    kind: 'ask',
    text: `as ${vm.name}: who-has ${targetIp} tell ${vm.ip} at ${vm.mac}, to ${nameOf(gateway.mac)}`,
    bytes: arpFrame(from(plan, to), arp),
  }
}

function ask6(plan: SpeakPlan, source: Ipv6, target: Ipv6): SpokenFrame {
  const {vm, gateway} = plan
  const group = solicitedNode(target)
  const options = [{kind: 'source-link-layer-address', mac: vm.mac}] as const
  return {
    kind: 'ask',
    text: `as ${vm.name}: neighbour solicitation for ${target} from ${source} at ${vm.mac}, to ${nameOf(gateway.mac)}`,
    bytes: icmpv6Frame(
      from(plan, gateway.mac ?? multicastMac(group)),
      {source, destination: gateway.mac === null ? group : target},
      {kind: 'neighbour-solicitation', target, options},
    ),
  }
}

/** R=0: it is a host. O=1: where an old entry had another MAC. */
function advertisement(plan: SpeakPlan, target: Ipv6): SpokenFrame {
  const {vm} = plan
  return {
    kind: 'advertisement',
    text: `as ${vm.name}: neighbour advertisement (O): ${target} is at ${vm.mac}, to everybody`,
    bytes: icmpv6Frame(
      from(plan, multicastMac(ALL_NODES)),
      {source: target, destination: ALL_NODES},
      {
        ...{kind: 'neighbour-advertisement', router: false, solicited: false, override: true, target},
        options: [{kind: 'target-link-layer-address', mac: vm.mac}],
      },
    ),
  }
}

const nameOf = (mac: Mac | null): string => mac ?? 'everybody'

/** An echo of the VM's to somewhere beyond the gateway: the answer shows by whom packets for the VM arrive. */
export const spokenEcho = (
  plan: SpeakPlan,
  gateway: Mac,
  to: Ipv4,
  identifier: number,
  sequence: number,
): SpokenFrame => ({
  kind: 'echo',
  text: `as ${plan.vm.name}: echo to ${to} through ${gateway}`,
  bytes: icmpFrame(
    from(plan, gateway),
    {source: plan.vm.ip, destination: to},
    {kind: 'echo-request', identifier, sequence, payload: new Uint8Array(8)},
  ),
})
