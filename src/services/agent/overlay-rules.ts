// Our policy rules, and where they lie: right before the main table, behind every rule of the VM's own. What the VM sends
// by those (addresses of a second NIC, a tunnel that takes everything) goes on as it did.
//
// The place is that of a rule of priority 32765. Rules of one priority are asked in the order in which they were added, so
// that ours come after those that lie there already; ip(8) puts new ones before all others; and for one that is put
// behind ours there is {@link inPlace}.

import {type Family, RT_TABLE_MAIN} from '../../net/netlink/netlink-message.ts'
import type {ListedRule, PolicyRule} from '../../net/netlink/rule-message.ts'
import {DRAIN_MARK} from '../../net/nft/drain-nft.ts'
import type {AgentKernel} from './kernel.ts'

/** Tables of our own: the old gateway for draining sessions, the new one, and one to try a gateway by marked packets. */
export const DRAIN_TABLE = 141
export const OVERLAY_TABLE = 142
export const PROBE_TABLE = 143
export const PROBE_MARK = {value: 0x6e0000, mask: 0xff0000} as const

/** Of the rule for the main table (ip-rule(8)), where nobody has moved it. */
const MAIN_PRIORITY = 32766
/** A gateway is tried before all other rules are asked, for they might know another one. */
const PROBE_PRIORITY = 6698

export type RuleGroup = 'overlay' | 'drain'
type Shape = Omit<PolicyRule, 'family' | 'priority'>

/**
 * In the order in which they are asked: all but default routes of the main table come first, for what is on-link or has a
 * route of its own keeps it.
 *
 * No two have the same table and the same mark: by these the kernel tells them apart when it adds and deletes, not by
 * `not`. And none is a plain "lookup main suppress_prefixlength 0": when wg-quick(8) ends it deletes all of those, whoever
 * made them. (What is tried never comes to these rules.)
 */
const GROUPS: Readonly<Record<RuleGroup, readonly [Shape, Shape]>> = {
  overlay: [
    {table: RT_TABLE_MAIN, mark: {...PROBE_MARK, not: true}, suppressPrefixLength: 0},
    {table: OVERLAY_TABLE, mark: {...DRAIN_MARK, not: true}},
  ],
  drain: [
    {table: RT_TABLE_MAIN, mark: DRAIN_MARK, suppressPrefixLength: 0},
    {table: DRAIN_TABLE, mark: DRAIN_MARK},
  ],
}
const PROBE: Shape = {table: PROBE_TABLE, mark: PROBE_MARK}

type Rules = Pick<AgentKernel, 'listRules' | 'addRule' | 'deleteRule'>

/** Behind all others that come before the main table. */
export function putRules(kernel: Rules, family: Family, group: RuleGroup): void {
  if (inPlace(kernel, family, group)) return
  takeRules(kernel, family, group)
  const priority = placeOf(kernel.listRules(family))
  for (const shape of GROUPS[group]) kernel.addRule({family, priority, ...shape})
}

/** Gone afterwards, wherever they lay. */
export function takeRules(kernel: Rules, family: Family, group: RuleGroup): void {
  // The one for the main table last: it changes nothing by itself.
  for (const shape of GROUPS[group].toReversed()) take(kernel, family, shape)
}

/** Whether they are there, in their order, and nobody else's comes between them and the main table. */
export function inPlace(kernel: Rules, family: Family, group: RuleGroup): boolean {
  const listed = kernel.listRules(family)
  const priority = placeOf(listed)
  const [first, second] = GROUPS[group].map((shape) =>
    listed.findIndex((rule) => rule.priority === priority && isOf(rule, shape)),
  ) as [number, number]
  if (first < 0 || second < first) return false
  return !listed.slice(first).some((rule) => !rule.own && rule.priority === priority)
}

/** Lets marked packets, and nothing else, be routed by the table of what is tried. */
export function putProbeRule(kernel: Rules, family: Family): void {
  const first = kernel.listRules(family).find((rule) => rule.priority > 0)
  const priority = Math.min(PROBE_PRIORITY, Math.max(1, (first?.priority ?? MAIN_PRIORITY) - 1))
  kernel.addRule({family, priority, ...PROBE})
}

export const takeProbeRule = (kernel: Rules, family: Family): void => take(kernel, family, PROBE)

/** Every rule that is ours, whatever it looks like: of an older version too. */
export function takeAllRules(kernel: Rules, family: Family): void {
  for (const {priority, table, mark, suppressPrefixLength} of kernel.listRules(family).filter(({own}) => own)) {
    kernel.deleteRule({
      ...{family, priority, table},
      ...(mark === undefined ? {} : {mark}),
      ...(suppressPrefixLength === undefined ? {} : {suppressPrefixLength}),
    })
  }
}

function placeOf(listed: readonly ListedRule[]): number {
  const main = listed.find((rule) => !rule.own && rule.catchAll && rule.table === RT_TABLE_MAIN)
  return Math.max(0, (main?.priority ?? MAIN_PRIORITY) - 1)
}

function take(kernel: Rules, family: Family, shape: Shape): void {
  for (const {priority} of kernel.listRules(family).filter((rule) => isOf(rule, shape)))
    kernel.deleteRule({family, priority, ...shape})
}

const isOf = (rule: ListedRule, {table, mark, suppressPrefixLength}: Shape): boolean =>
  rule.own &&
  rule.table === table &&
  rule.suppressPrefixLength === suppressPrefixLength &&
  rule.mark?.value === mark?.value &&
  rule.mark?.mask === mark?.mask &&
  rule.mark?.not === mark?.not
