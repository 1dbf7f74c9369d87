// What there is to move, an address a piece, as seen from the gateway that it shall move to.
import {type Ipv4, readPrefix} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {vlanOf} from '../scene.ts'
import type {AnnounceRequest} from './announce.ts'
import {OFF_SEGMENT6} from './announcement.ts'
import {type ArpPlan, formsOf6, type PlannedGateway} from './plan.ts'

const LISTEN_MS = 1000

/** One address that the VM shall reach its gateway by. */
export interface Target {
  readonly gatewayIp: Ipv4 | Ipv6
  readonly vmIp: Ipv4 | Ipv6
  readonly request: Omit<AnnounceRequest, 'scheduleMs'>
}

/** Everything that the plan moves. Back to an old gateway nothing goes by broadcast: it is for the VM alone. */
export function targets(plan: ArpPlan, {mac}: PlannedGateway): readonly Target[] {
  const isNew = mac === plan.to.mac
  const common = {vlan: vlanOf(plan), segment: readPrefix(plan.segment.prefix), listenMs: LISTEN_MS}
  const forms = isNew ? plan.forms : plan.forms.filter(({broadcast}) => !broadcast)
  const ip4: Target = {
    gatewayIp: plan.gatewayIp,
    vmIp: plan.vm.ip,
    request: {...common, gateway: {ip: plan.gatewayIp, mac}, vm: plan.vm, forms},
  }
  const ip6 = plan.ip6.map((move): Target => {
    const [ip, old] = isNew ? [move.to, move.from] : [move.from, move.to]
    const echoFrom = move.way === 'router' ? OFF_SEGMENT6 : undefined
    return {
      gatewayIp: ip,
      vmIp: move.vmIp,
      request: {
        ...common,
        gateway: {ip, mac, old, ra: isNew ? move.ra?.to : move.ra?.from},
        vm: {ip: move.vmIp, mac: plan.vm.mac},
        forms: formsOf6(move),
        echoFrom,
      },
    }
  })
  return [ip4, ...ip6]
}
