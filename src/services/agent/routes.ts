// Makes and unmakes the changes of a switch in the kernel. Every step may be repeated: what is there already, or gone
// already, is as it should be.

import type {NicFacts, PolicyFacts, SwitchPlan} from '../../domain/agent/facts.ts'
import type {AgentMemory, RouteChange} from '../../domain/agent/memory.ts'
import {type Family, RT_TABLE_MAIN} from '../../net/netlink/netlink-message.ts'
import {type DefaultRoute, inOwnTable, outOf, sameTraits, viaGateway} from '../../net/netlink/route-message.ts'
import type {DrainFamily, DrainRules} from '../../net/nft/drain-nft.ts'
import {inUseNow, waysOf, waysTo} from './egress.ts'
import type {AgentKernel} from './kernel.ts'
import {
  DRAIN_TABLE,
  inPlace,
  OVERLAY_TABLE,
  PROBE_TABLE,
  putProbeRule,
  putRules,
  type RuleGroup,
  takeProbeRule,
  takeRules,
} from './overlay-rules.ts'

export const FAMILIES = [4, 6] as const

/** What the policy needs to know, as it is now. */
export function readFacts(kernel: AgentKernel, memory: AgentMemory): PolicyFacts {
  const addresses = kernel.addresses()
  const nics = kernel.links().map((link): NicFacts => {
    const own = addresses.filter((each) => each.interfaceIndex === link.index)
    return {...link, prefixes: own.map(({family, address, length}) => ({family, address, length}))}
  })
  const family = (of: Family) => ({
    routes: kernel.defaultRoutes(of, RT_TABLE_MAIN),
    overlay: overlay(kernel, of),
    inUse: inUseNow(kernel, of),
  })
  return {
    nowMs: kernel.now(),
    dmiUuid: kernel.dmiUuid(),
    memory,
    nics,
    families: {4: family(4), 6: family(6)},
    ownerOf(interfaceIndex, route) {
      const nic = nics.find((each) => each.index === interfaceIndex)
      return nic && kernel.routeOwner(nic, route.protocol)
    },
    waysOf: (family, bound) => waysOf(kernel, family, {bound}),
    waysTo: (family, destinations, bound) => waysTo(kernel, family, destinations, {bound}),
  }
}

function overlay(kernel: AgentKernel, family: Family): {gateway: string; interfaceIndex: number} | undefined {
  const route = overlayRoute(kernel, family)
  return route?.gateway === undefined ? undefined : {gateway: route.gateway, interfaceIndex: route.interfaceIndex}
}

/** The gateway in use on the host, by family; where all goes by a tunnel, the one that the tunnel itself may use. */
export function gatewaysInUse({families}: PolicyFacts): {gw4?: string; gw6?: string} {
  const [gw4, gw6] = FAMILIES.map((family) => {
    const {inUse, overlay, routes} = families[family]
    const direct = routes.some(({interfaceIndex}) => interfaceIndex === inUse?.interfaceIndex)
    return direct && inUse?.gateway !== undefined ? inUse.gateway : (overlay?.gateway ?? routes[0]?.gateway)
  })
  return {...(gw4 === undefined ? {} : {gw4}), ...(gw6 === undefined ? {} : {gw6})}
}

/** What is to be changed, and all that undoing it takes. */
export function changesOf({mode, families}: SwitchPlan): RouteChange[] {
  return families.map(({family, nic, route, from, to, overlay: own, spare}): RouteChange => {
    const common = {
      ...{family, mode, interfaceIndex: nic.index, interfaceName: nic.name, mac: nic.mac, from, to},
      ...(spare ? {spare} : {}),
    }
    if (mode === 'replace') return {...common, route: {before: route, after: viaGateway(route, to)}}
    // Back to the owner's own gateway: no overlay is needed any more.
    const after = to === route.gateway ? null : to
    return {...common, overlay: {before: own ?? null, after, route}}
  })
}

/** Changes the kernel's routes. @throws RouteError or Failure; {@link undo} then puts right what was done. */
export async function make(kernel: AgentKernel, changes: readonly RouteChange[]): Promise<void> {
  const rules = drainOf(kernel, changes)
  if (rules) await holdSessions(kernel, changes, rules)
  for (const change of changes) {
    if (change.route) exchange(kernel, change.route.before, change.route.after)
    else setOverlay(kernel, change, change.overlay!.after)
  }
  if (rules) await kernel.setDrain(rules, 'new')
  // One that was not over: what it held on the gateway that is now in use again stays there.
  else if (drains(kernel)) await endDrain(kernel)
}

/** Puts the old gateway back, whatever part of {@link make} was done. */
export async function undo(kernel: AgentKernel, changes: readonly RouteChange[]): Promise<void> {
  for (const each of changes) {
    const change = whereItIs(kernel, each)
    if (change.route) restore(kernel, change.route.before, change.route.after)
    else setOverlay(kernel, change, change.overlay!.before)
    keepDefault(kernel, change)
  }
  if (changes.some(({mode}) => mode === 'drain')) await endDrain(kernel)
}

/** An interface that was replugged is found by its MAC; so are its routes. */
function whereItIs(kernel: AgentKernel, change: RouteChange): RouteChange {
  const {mac, interfaceIndex, family, route, overlay} = change
  const links = kernel.links()
  if (mac === undefined || links.some(({index}) => index === interfaceIndex)) return change
  const owners = kernel.defaultRoutes(family, RT_TABLE_MAIN)
  const same = links.filter((link) => link.mac === mac && link.up)
  const now = same.find(({index}) => owners.some((each) => each.interfaceIndex === index)) ?? same[0]
  if (now === undefined) return change
  const moved = (each: DefaultRoute): DefaultRoute => outOf(each, now.index)
  return {
    ...{...change, interfaceIndex: now.index, interfaceName: now.name},
    ...(route && {route: {before: moved(route.before), after: moved(route.after)}}),
    ...(overlay && {overlay: {...overlay, route: moved(overlay.route)}}),
  }
}

/** Whatever became of it: a VM that had a default route has one. An owner may have another idea of which. */
function keepDefault(kernel: AgentKernel, {family, route, overlay}: RouteChange): void {
  if (kernel.defaultRoutes(family, RT_TABLE_MAIN).length > 0) return
  if (route) kernel.replace(route.before, true)
  else {
    try {
      kernel.replace(overlay!.route, true)
    } catch {
      // It was the owner's, and went with its address or its interface.
    }
  }
}

/** Every session is held on the old gateway before routes change; then new ones are let go. */
async function holdSessions(kernel: AgentKernel, changes: readonly RouteChange[], rules: DrainRules): Promise<void> {
  const another = drains(kernel)
  // Sessions of its gateways would be sent to each other's for a moment.
  if (another) await kernel.setDrain(rules, 'none')
  for (const family of FAMILIES) if (!changes.some((change) => change.family === family)) clearDrain(kernel, family)
  for (const change of changes) keepOld(kernel, change)
  if (!another) await kernel.setDrain(rules, 'old')
}

/** What is marked takes the old gateway; nothing is yet. */
function keepOld(kernel: AgentKernel, {family, from, overlay}: RouteChange): void {
  kernel.replace(inOwnTable(ownersOf(kernel, overlay!.route) ?? overlay!.route, DRAIN_TABLE, from), true)
  putRules(kernel, family, 'drain')
}

/** Whether a drain is not over, of whichever switch. */
export const drains = (kernel: AgentKernel): boolean =>
  FAMILIES.some((family) => kernel.defaultRoutes(family, DRAIN_TABLE).length > 0)

/**
 * Puts a route in another's place, so that there is one at any moment. IPv4's own way to replace one has a gap of a
 * microsecond: a lookup that has found the old route takes it for dead and finds no other (fib_table_lookup, fib_dead).
 * @internal
 */
export function swap(
  kernel: Pick<AgentKernel, 'replace' | 'append' | 'deleteRoute'>,
  before: DefaultRoute,
  after: DefaultRoute,
): void {
  // Appended it would be there once, and then deleted.
  if (before.raw === after.raw) return
  if (before.family === 6) kernel.replace(after, false)
  else {
    kernel.append(after)
    kernel.deleteRoute(before)
  }
}

/** The owner's route for one through another gateway. @throws Error if the owner changed it in this very moment. */
function exchange(kernel: AgentKernel, before: DefaultRoute, after: DefaultRoute): void {
  if (before.gateway === after.gateway) throw new Error(`${after.gateway} is in use already`)
  swap(kernel, before, after)
  const all = kernel.defaultRoutes(before.family, before.table)
  if (all.length === 0) kernel.replace(before, true)
  const now = all.filter((route) => route.metric === before.metric)
  const own = now.filter((route) => route.interfaceIndex === before.interfaceIndex)
  if (own.length !== 1 || own[0]!.gateway !== after.gateway)
    throw new Error('the default route was changed by somebody else')
}

/** The owner's route as it was, unless its owner has made another of it meanwhile, or has taken it away for another. */
function restore(kernel: AgentKernel, before: DefaultRoute, after: DefaultRoute): void {
  const all = kernel.defaultRoutes(before.family, before.table)
  const present = all.filter(
    (route) => route.metric === before.metric && route.interfaceIndex === before.interfaceIndex,
  )
  const ours = present.some(({gateway}) => gateway === after.gateway)
  if (all.length === 0) kernel.replace(before, true)
  else if (before.gateway === after.gateway) return
  else if (ours && present.length > 1) kernel.deleteRoute(after)
  else if (ours) swap(kernel, after, before)
}

function setOverlay(kernel: AgentKernel, {family, overlay}: RouteChange, gateway: string | null): void {
  if (gateway === null) {
    takeRules(kernel, family, 'overlay')
    clearTable(kernel, family, OVERLAY_TABLE)
    return
  }
  const own = inOwnTable(ownersOf(kernel, overlay!.route) ?? overlay!.route, OVERLAY_TABLE, gateway)
  const present = kernel.defaultRoutes(family, OVERLAY_TABLE)
  const others = present.filter((route) => route.gateway !== gateway || !sameTraits(route, own))
  if (others.length < present.length) for (const route of others) kernel.deleteRoute(route)
  else if (present[0] === undefined) kernel.replace(own, true)
  else swap(kernel, present[0], own)
  putRules(kernel, family, 'overlay')
}

/** What the owner has made of its route by now; undefined if there is none. */
const ownersOf = (kernel: AgentKernel, route: DefaultRoute): DefaultRoute | undefined =>
  kernel
    .defaultRoutes(route.family, RT_TABLE_MAIN)
    .find(({interfaceIndex, gateway}) => interfaceIndex === route.interfaceIndex && gateway !== undefined)

/**
 * Puts back what of overlays, and of their drain, somebody took away or put a rule behind; returns whether there was anything
 * to put back. And follows the owner's route: a source address that the VM has no longer must not stay.
 */
export function hold(kernel: AgentKernel, changes: readonly RouteChange[], draining: boolean): boolean {
  let lost = false
  for (const change of changes) {
    const {family, overlay, from} = change
    if (overlay === undefined) continue
    const owners = ownersOf(kernel, overlay.route)
    const look = (table: number, gateway: string, group: RuleGroup, put: () => void): void => {
      const [present] = kernel.defaultRoutes(family, table)
      const gone = present?.gateway !== gateway || !inPlace(kernel, family, group)
      lost ||= gone
      if (gone || (owners !== undefined && !sameTraits(present!, owners))) put()
    }
    if (draining && change.mode === 'drain') look(DRAIN_TABLE, from, 'drain', () => keepOld(kernel, change))
    const {after} = overlay
    if (after !== null) look(OVERLAY_TABLE, after, 'overlay', () => setOverlay(kernel, change, after))
  }
  return lost
}

/** Takes overlays away, and what drains beside them: the owner's routes are not what they were made for any more. */
export function withdraw(kernel: AgentKernel, changes: readonly RouteChange[]): void {
  for (const {family} of changes) {
    takeRules(kernel, family, 'overlay')
    clearTable(kernel, family, OVERLAY_TABLE)
    clearDrain(kernel, family)
  }
}

/** What keeps open sessions on the old gateways, put back where a firewall that was loaded anew has taken it away. */
export async function holdDrain(kernel: AgentKernel, changes: readonly RouteChange[]): Promise<boolean> {
  const rules = drainOf(kernel, changes)
  if (rules === undefined || (await kernel.hasDrain())) return false
  await kernel.setDrain(rules, 'new')
  return true
}

/** Sessions that were kept on the old gateway take the new one from now on. */
export async function endDrain(kernel: AgentKernel): Promise<void> {
  try {
    // First: what was marked would else be without a route of its own for a moment, and take that of the main table.
    await kernel.clearDrain()
  } finally {
    for (const family of FAMILIES) clearDrain(kernel, family)
  }
}

function clearDrain(kernel: AgentKernel, family: Family): void {
  takeRules(kernel, family, 'drain')
  clearTable(kernel, family, DRAIN_TABLE)
}

function drainOf(kernel: AgentKernel, changes: readonly RouteChange[]): DrainRules | undefined {
  if (changes[0]?.mode !== 'drain') return undefined
  const known = kernel.neighbours()
  return changes.map(({family, interfaceIndex, from, to}): DrainFamily => {
    const macs = (of: string): string[] =>
      known.flatMap(({ip, mac, interfaceIndex: on}) =>
        mac !== undefined && on === interfaceIndex && ip === of ? [mac] : [],
      )
    return {family, interfaceIndex, from, to, oldMacs: macs(from), newMacs: macs(to)}
  })
}

/** Lets marked packets, and nothing else, go through a gateway that is to be tried. */
export function openProbePath(kernel: AgentKernel, route: DefaultRoute, gateway: string): void {
  kernel.replace(inOwnTable(ownersOf(kernel, route) ?? route, PROBE_TABLE, gateway), true)
  putProbeRule(kernel, route.family)
}

export function closeProbePath(kernel: AgentKernel): void {
  for (const family of FAMILIES) {
    takeProbeRule(kernel, family)
    clearTable(kernel, family, PROBE_TABLE)
  }
}

export function clearOwnTables(kernel: AgentKernel, family: Family): void {
  for (const table of [OVERLAY_TABLE, DRAIN_TABLE, PROBE_TABLE]) clearTable(kernel, family, table)
}

/** The route of the overlay that is in force; undefined if there is none. */
export const overlayRoute = (kernel: AgentKernel, family: Family): DefaultRoute | undefined =>
  kernel.listRules(family).some((rule) => rule.own && rule.table === OVERLAY_TABLE)
    ? kernel.defaultRoutes(family, OVERLAY_TABLE)[0]
    : undefined

function clearTable(kernel: AgentKernel, family: Family, table: number): void {
  for (const route of kernel.defaultRoutes(family, table)) kernel.deleteRoute(route)
}
