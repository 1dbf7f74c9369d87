// What a filter does to frames, in words.
import type {FilterIntent} from './intent.ts'
import {filterRules} from './rules.ts'

/** `on vx0, VLAN 100`: whose frames meet the rules. */
export function frameWords({ports, vlan, untagged, otherVlans}: FilterIntent): string {
  const where = `on ${ports.join(', ')}`
  if (vlan === 'untagged') return `${where}, frames without a tag`
  if (vlan !== null) {
    const off = untagged.length > 0 ? ` (without its tag at ${untagged.join(', ')})` : ''
    return `${where}, VLAN ${vlan}${off}`
  }
  const but = otherVlans.length > 0 ? ` but ${otherVlans.join(', ')}` : ''
  return `${where}, every VLAN${but} and none (the inventory gives the segment no "vlan")`
}

/** What is held back in both directions, and what follows from that; one line a piece. */
export function cutWords(intent: FilterIntent): string[] {
  const {ipv6, groups, macs, gw4, gw6} = intent
  return [
    ...filterRules(intent).map(({comment}) => comment),
    ...(ipv6 ? ['with that, router advertisements of every router on the segment, a tenant’s own too'] : []),
    ...groups.map(({protocol, group}) => `with that, all that another ${protocol} group ${group} on the segment sends`),
    ...(macs.length > 0 ? [`with that, every packet that ${macs.join(', ')} routes or is to route`] : []),
    `while it stands, a VM whose own site’s gateway is dead has none: the other’s ARP for ${[...gw4, ...gw6].join(', ')} does not come through (filter check --watch --fail-open gives way)`,
  ]
}

/** What no form of the filter reaches. */
export const PASSES = 'frames with two tags (802.1ad, QinQ) pass: filter where the outer one is off'
