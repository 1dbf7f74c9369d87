// A VM of two families whose switch moves one: it is told so, in the plan and in the verdict.
import type {Switchover} from '../domain/inventory/switchover.ts'
import {isLinkLocal} from '../wire/ipv6-address.ts'
import type {Verdict} from './strategy.ts'

/** The VM has IPv6, a gateway of its segment routes it, and of the new one no IPv6 address is known. */
export const leavesIp6 = ({vm, segment, to}: Switchover): boolean =>
  vm.ip6?.some((ip) => !isLinkLocal(ip)) === true &&
  !to.ip6?.length &&
  segment.gateways.some(({ip6}) => (ip6?.length ?? 0) > 0)

interface Leaving {
  readonly leavesIp6: boolean
  readonly vm: {readonly name: string}
  readonly to: {readonly name: string}
}

/** What was proved of IPv4 alone is a part. */
export function ofBothFamilies({leavesIp6: leaves, vm, to}: Leaving, verdict: Verdict): Verdict {
  if (!leaves || !verdict.ok) return verdict
  const why = `${vm.name} keeps the IPv6 gateway that it has: the inventory gives ${to.name} no ip6`
  return {...verdict, ok: false, code: 'partial', evidence: [...verdict.evidence, why]}
}
