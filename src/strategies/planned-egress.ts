// The question that strategies with a changing gateway IP verify by, put from a plan.
import {askEgress, type Egress} from '../probe/egress.ts'
import {type Ipv4, type Mac, readPrefix} from '../wire/address.ts'
import {vlanTag} from '../wire/ethernet.ts'
import type {Ipv6} from '../wire/ipv6-address.ts'
import type {Stage} from './strategy.ts'

/** What a plan says of where to ask. */
interface EgressPlan {
  readonly interface: string
  readonly vlan: number | null
  readonly vm: {readonly ip: Ipv4; readonly mac: Mac}
  readonly segment: {readonly prefix: string}
}

/** Where the VM's packets for far away go, those from `ip`; ends early once they go to `hoped`. */
export function egressOf(
  plan: EgressPlan,
  hoped: Parameters<typeof askEgress>[0]['hoped'],
  {world, signal}: Stage,
  ip: Ipv4 | Ipv6 = plan.vm.ip,
): Promise<Egress> {
  const vlan = vlanTag(plan.vlan)
  const segment = readPrefix(plan.segment.prefix)!
  const vm = {ip, mac: plan.vm.mac}
  return askEgress({interfaceName: plan.interface, vm, vlan, segment, hoped}, world, signal)
}
