// Makes and unmakes the changes of a switch in the kernel. Every step may be repeated: what is there already, or gone
// already, is as it should be.

import type {AgentMemory, RouteChange} from '../../domain/agent/memory.ts'
import type {NicFacts, PolicyFacts, SwitchPlan} from '../../domain/agent/policy.ts'
import {DRAIN_MARK, type DrainRules} from '../../net/drain-nft.ts'
import {
  type DefaultRoute,
  type Family,
  ownRoute,
  type PolicyRule,
  RT_TABLE_MAIN,
  viaGateway,
} from '../../net/route-message.ts'
import type {AgentKernel} from './kernel.ts'

/** Tables of our own: the old gateway for draining sessions, the new one, and one to try a gateway by marked packets. */
export const DRAIN_TABLE = 141
export const OVERLAY_TABLE = 142
export const PROBE_TABLE = 143
export const PROBE_MARK = {value: 0x6e0000, mask: 0xff0000} as const

const FAMILIES = [4, 6] as const

/** All but default routes of the main table come first: what is on-link or has a route of its own keeps it. */
const aside = (family: Family, priority: number): PolicyRule => ({
  family,
  priority,
  table: RT_TABLE_MAIN,
  suppressPrefixLength: 0,
})
const drainRules = (family: Family): PolicyRule[] => [
  aside(family, 6696),
  {family, priority: 6697, table: DRAIN_TABLE, mark: DRAIN_MARK},
]
const probeRule = (family: Family): PolicyRule => ({family, priority: 6698, table: PROBE_TABLE, mark: PROBE_MARK})
const overlayRules = (family: Family): PolicyRule[] => [
  aside(family, 6699),
  {family, priority: 6700, table: OVERLAY_TABLE},
]

/** What the policy needs to know, as it is now. */
export function readFacts(kernel: AgentKernel, memory: AgentMemory): PolicyFacts {
  const addresses = kernel.addresses()
  const nics = kernel.links().map((link): NicFacts => {
    const own = addresses.filter((each) => each.interfaceIndex === link.index)
    return {...link, prefixes: own.map(({family, address, length}) => ({family, address, length}))}
  })
  const family = (of: Family) => ({routes: kernel.defaultRoutes(of, RT_TABLE_MAIN), overlay: overlay(kernel, of)})
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
  }
}

function overlay(kernel: AgentKernel, family: Family): {gateway: string; interfaceIndex: number} | undefined {
  if (!kernel.ownRules(family).some((rule) => rule.table === OVERLAY_TABLE)) return undefined
  const [route] = kernel.defaultRoutes(family, OVERLAY_TABLE)
  return route?.gateway === undefined ? undefined : {gateway: route.gateway, interfaceIndex: route.interfaceIndex}
}

/** The gateway in use on the host, by family. */
export function gatewaysInUse({families}: PolicyFacts): {gw4?: string; gw6?: string} {
  const [gw4, gw6] = FAMILIES.map((family) => families[family].overlay?.gateway ?? families[family].routes[0]?.gateway)
  return {...(gw4 === undefined ? {} : {gw4}), ...(gw6 === undefined ? {} : {gw6})}
}

/** What is to be changed, and all that undoing it takes. */
export function changesOf({mode, families}: SwitchPlan): RouteChange[] {
  return families.map(({family, nic, route, from, to, overlay: own}): RouteChange => {
    const common = {family, mode, interfaceIndex: nic.index, interfaceName: nic.name, from, to}
    if (mode === 'replace') return {...common, route: {before: route, after: viaGateway(route, to)}}
    // Back to the owner's own gateway: no overlay is needed any more.
    const after = to === route.gateway ? null : to
    return {...common, overlay: {before: own ?? null, after, onlink: route.onlink}}
  })
}

/** Changes the kernel's routes. @throws RouteError or Failure; {@link undo} then puts right what was done. */
export async function make(kernel: AgentKernel, changes: readonly RouteChange[]): Promise<void> {
  const rules = drainOf(kernel, changes)
  if (rules) {
    // First everything is held on the old gateway, which changes nothing; then the routes; then new sessions are let go.
    await kernel.setDrain(rules, true)
    for (const {family, from, interfaceIndex, overlay} of changes) {
      kernel.replace(ownRoute(family, DRAIN_TABLE, from, interfaceIndex, overlay?.onlink ?? false), true)
      for (const rule of drainRules(family)) kernel.addRule(rule)
    }
  }
  for (const change of changes) {
    if (change.route) exchange(kernel, change.route.before, change.route.after)
    else setOverlay(kernel, change, change.overlay!.after)
  }
  if (rules) await kernel.setDrain(rules, false)
}

/** Puts the old gateway back, whatever part of {@link make} was done. */
export async function undo(kernel: AgentKernel, changes: readonly RouteChange[]): Promise<void> {
  for (const change of changes) {
    if (change.route) restore(kernel, change.route.before, change.route.after)
    else setOverlay(kernel, change, change.overlay!.before)
  }
  if (changes.some(({mode}) => mode === 'drain')) await endDrain(kernel)
}

/**
 * Puts a route in another's place, so that there is one at any moment. IPv4's own way to replace one has a gap of a
 * microsecond: a lookup that has found the old route takes it for dead and finds no other (fib_table_lookup, fib_dead).
 */
export function swap(
  kernel: Pick<AgentKernel, 'replace' | 'append' | 'deleteRoute'>,
  before: DefaultRoute,
  after: DefaultRoute,
): void {
  if (before.family === 6) kernel.replace(after, false)
  else {
    kernel.append(after)
    kernel.deleteRoute(before)
  }
}

/** The owner's route for one through another gateway. @throws Error if the owner changed it in this very moment. */
function exchange(kernel: AgentKernel, before: DefaultRoute, after: DefaultRoute): void {
  swap(kernel, before, after)
  const now = kernel.defaultRoutes(before.family, before.table).filter((route) => route.metric === before.metric)
  const own = now.filter((route) => route.interfaceIndex === before.interfaceIndex)
  if (own.length !== 1 || own[0]!.gateway !== after.gateway)
    throw new Error('the default route was changed by somebody else')
}

/** The owner's route as it was, unless its owner has made another of it meanwhile. */
function restore(kernel: AgentKernel, before: DefaultRoute, after: DefaultRoute): void {
  const present = kernel
    .defaultRoutes(before.family, before.table)
    .filter((route) => route.metric === before.metric && route.interfaceIndex === before.interfaceIndex)
  const ours = present.some(({gateway}) => gateway === after.gateway)
  if (present.length === 0) kernel.replace(before, true)
  else if (ours && present.length > 1) kernel.deleteRoute(after)
  else if (ours) swap(kernel, after, before)
}

function setOverlay(kernel: AgentKernel, {family, interfaceIndex, overlay}: RouteChange, gateway: string | null): void {
  if (gateway !== null) {
    const own = ownRoute(family, OVERLAY_TABLE, gateway, interfaceIndex, overlay?.onlink ?? false)
    const present = kernel.defaultRoutes(family, OVERLAY_TABLE)
    const others = present.filter((route) => route.gateway !== gateway)
    if (others.length < present.length) for (const route of others) kernel.deleteRoute(route)
    else if (present[0] === undefined) kernel.replace(own, true)
    else swap(kernel, present[0], own)
    for (const rule of overlayRules(family)) kernel.addRule(rule)
    return
  }
  for (const rule of overlayRules(family).toReversed()) kernel.deleteRule(rule)
  clearTable(kernel, family, OVERLAY_TABLE)
}

/** Puts back what of a confirmed overlay somebody took away. Returns whether there was anything to do. */
export function reassert(kernel: AgentKernel, changes: readonly RouteChange[]): boolean {
  let lost = false
  for (const change of changes) {
    const gateway = change.overlay?.after
    if (gateway === undefined || gateway === null) continue
    const rules = kernel.ownRules(change.family).filter((rule) => rule.priority === 6699 || rule.priority === 6700)
    const present = rules.length === 2 && kernel.defaultRoutes(change.family, OVERLAY_TABLE)[0]?.gateway === gateway
    if (present) continue
    lost = true
    setOverlay(kernel, change, gateway)
  }
  return lost
}

/** Sessions that were kept on the old gateway take the new one from now on. */
export async function endDrain(kernel: AgentKernel): Promise<void> {
  for (const family of FAMILIES) {
    for (const rule of drainRules(family).toReversed()) kernel.deleteRule(rule)
    clearTable(kernel, family, DRAIN_TABLE)
  }
  await kernel.clearDrain()
}

function drainOf(kernel: AgentKernel, changes: readonly RouteChange[]): DrainRules | undefined {
  const [first] = changes
  if (first?.mode !== 'drain') return undefined
  const known = kernel.neighbours()
  const macs = (ips: readonly string[]): string[] =>
    known.flatMap(({ip, mac, interfaceIndex}) =>
      mac !== undefined && interfaceIndex === first.interfaceIndex && ips.includes(ip) ? [mac] : [],
    )
  return {
    interfaceIndex: first.interfaceIndex,
    oldMacs: macs(changes.map(({from}) => from)),
    newMacs: macs(changes.map(({to}) => to)),
  }
}

/** Lets marked packets, and nothing else, go through a gateway that is to be tried. */
export function openProbePath(
  kernel: AgentKernel,
  family: Family,
  gateway: string,
  interfaceIndex: number,
  onlink: boolean,
): void {
  kernel.replace(ownRoute(family, PROBE_TABLE, gateway, interfaceIndex, onlink), true)
  kernel.addRule(probeRule(family))
}

export function closeProbePath(kernel: AgentKernel): void {
  for (const family of FAMILIES) {
    kernel.deleteRule(probeRule(family))
    clearTable(kernel, family, PROBE_TABLE)
  }
}

function clearTable(kernel: AgentKernel, family: Family, table: number): void {
  for (const route of kernel.defaultRoutes(family, table)) kernel.deleteRoute(route)
}

/** The way back as something to be tried: whether the old gateways still lead to the probes. */
export const backwards = (changes: readonly RouteChange[], probes: readonly string[]) => ({
  probes,
  families: changes.map(({family, from, interfaceIndex, interfaceName, overlay: own, route}) => ({
    family,
    to: from,
    nic: {index: interfaceIndex, name: interfaceName},
    route: {onlink: own?.onlink ?? route?.before.onlink ?? false},
  })),
})
