// For whom the bridge answers already: who re-applies a filter need not name them again.
import type {FilterContext, KeptVm} from '../../domain/filter/intent.ts'
import type {Inventory, Segment} from '../../domain/inventory/site.ts'
import {type FilterHost, keptInOld} from '../../probe/filter/host.ts'
import {isIpv4, prefixContains} from '../../wire/address.ts'

/** By the record; where the filter is still that of version 0.1.0, by what that remembers. */
export const keptBefore =
  (host: FilterHost, inventory: Inventory): NonNullable<FilterContext['keptBefore']> =>
  (segment, ports) => {
    const recorded = host.record.filters.find(
      ({intent}) => intent.segment.segment === segment.name && intent.ports.join(' ') === ports.join(' '),
    )
    return recorded?.intent.kept ?? keptByOld(host, segment, inventory)
  }

/** It remembered addresses and MACs, without names and segments. */
function keptByOld(host: FilterHost, segment: Segment, {vms}: Inventory): KeptVm[] {
  const {neighbours} = keptInOld(host)
  const own = neighbours.filter(({ip}) => isIpv4(ip) && prefixContains(segment.prefix, ip))
  return own.map(({ip, mac}) => ({
    name: vms.find((vm) => vm.segment === segment.name && vm.ip === ip)?.name ?? ip,
    ip,
    ip6: neighbours.filter((each) => each.mac === mac && !isIpv4(each.ip)).map((each) => each.ip),
    mac,
  }))
}
