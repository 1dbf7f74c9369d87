// What a switch command makes of the VM as it is: the plan of a switch, nothing to do, or why not.
import {isIpv4} from '../../wire/address.ts'
import type {AgentCommand, AgentReason, SwitchMode} from '../../wire/agent-message.ts'
import {readIpv6} from '../../wire/ipv6-address.ts'
import type {AgentConfig} from './config.ts'
import {allTake, hindrance, type Way, wayText} from './egress.ts'
import {type FamilyPlan, type NicFacts, type PolicyFacts, prefixesContain, type SwitchPlan} from './facts.ts'
import {isBusy, type SavedRoute} from './memory.ts'

export interface Refusal {
  readonly accept: false
  readonly reason: AgentReason
  readonly detail: string
  /** Whether the sequence number is used up by this refusal. */
  readonly consumes: boolean
  /** The highest of this key, where the command's is not above it. */
  readonly lastSeq?: number
}

export const refuse = (reason: AgentReason, detail: string, consumes = true): Refusal => ({
  accept: false,
  reason,
  detail,
  consumes,
})

/** `already`: every gateway that was asked for is in use, and nothing is touched. */
export type Planned =
  | {readonly accept: true; readonly op: 'switch'; readonly plan: SwitchPlan}
  | {readonly accept: true; readonly op: 'already'; readonly detail: string}
  | Refusal

interface Wanted {
  readonly family: 4 | 6
  readonly to: string
  readonly from: string | undefined
}

export function planSwitch(command: AgentCommand, kid: string, config: AgentConfig, facts: PolicyFacts): Planned {
  const {last} = facts.memory
  if (isBusy(last)) return refuse('busy', `run ${last.run} is ${last.phase}`)
  const mac = command.mac ?? (config.interfaces.length === 1 ? config.interfaces[0]!.mac : undefined)
  const families: FamilyPlan[] = []
  const already: string[] = []
  for (const wanted of wantedBy(command)) {
    const planned = planFamily(wanted, mac, config, facts)
    if ('accept' in planned) return planned
    const allowed = config.trusted.some((key) => key.kid === kid && key.gateways.includes(wanted.to))
    const judged = judge(planned, wanted, facts, allowed ? undefined : kid)
    if (judged !== 'already') {
      if (judged !== undefined) return judged
      families.push(planned)
    } else already.push(wanted.to)
  }
  if (families.length === 0) {
    return {accept: true, op: 'already', detail: `${already.join(' and ')} is in use already: nothing was touched`}
  }
  return withMode(command, config, families, facts)
}

const wantedBy = ({gw4, gw6, from_gw4, from_gw6}: AgentCommand): Wanted[] =>
  (
    [
      [4, gw4, from_gw4],
      [6, gw6, from_gw6],
    ] as const
  ).flatMap(([family, to, from]) =>
    to === undefined ? [] : [{family, to: readIpv6(to) ?? to, from: from && (readIpv6(from) ?? from)}],
  )

/**
 * Whether there is anything to do, and whether it would move anything: by where the kernel sends. `stranger`: a key that may
 * not choose this gateway.
 */
function judge(
  planned: FamilyPlan,
  {from}: Wanted,
  facts: PolicyFacts,
  stranger: string | undefined,
): Refusal | 'already' | undefined {
  const {family, nic, to} = planned
  const ways = facts.waysOf(family, boundOf(planned))
  const inUse = allTake(ways, to, nic.index)
  if (!inUse && from !== undefined && from !== planned.from)
    return refuse('from_gw', `the gateway in use is ${planned.from}, not ${from}`)
  if (stranger !== undefined) return refuse('gateway_not_allowed', `key ${stranger} may not choose ${to}`)
  if (inUse) return 'already'
  if (!prefixesContain(nic, to)) return refuse('gateway_off_link', `${to} is in no prefix of ${nic.name}`)
  if (planned.from === to) return sameGateway(planned, ways)
  const why = hindrance(ways, {from: planned.from, interfaceIndex: nic.index})
  return why === undefined ? undefined : refuse('mode', `${why}: a change of the default route would not move it`)
}

/** The default route leads there already, and not all takes it. A tunnel over it is no reason to change it. */
function sameGateway({nic, to}: FamilyPlan, ways: readonly Way[]): Refusal | 'already' {
  const other = ways.find(
    ({kind, interfaceIndex, gateway}) =>
      kind === 'ordinary' && (interfaceIndex === 0 || (interfaceIndex === nic.index && gateway !== to)),
  )
  if (other === undefined) return 'already'
  const words = `${other.what} goes ${wayText(other)} all the same: by ${other.route}`
  return refuse('mode', `the default route of ${nic.name} leads to ${to} already; ${words}`)
}

const boundOf = ({spare, nic}: FamilyPlan): number | undefined => (spare ? nic.index : undefined)

function planFamily(
  {family, to}: Wanted,
  mac: string | undefined,
  config: AgentConfig,
  facts: PolicyFacts,
): FamilyPlan | Refusal {
  const {routes, overlay, inUse} = facts.families[family]
  if (routes[0]?.interfaceIndex === 0) {
    return refuse('mode', `the IPv${family} default route has several next hops: there is no one gateway to change`)
  }
  const nic =
    mac === undefined
      ? facts.nics.find(({index}) => index === (overlay?.interfaceIndex ?? routes[0]?.interfaceIndex))
      : nicOfMac(mac, routes, facts)
  if (nic === undefined) {
    return refuse(
      'interface',
      mac === undefined ? `there is no IPv${family} default route` : `no interface that is up has MAC ${mac}`,
    )
  }
  if (config.interfaces.length > 0 && !config.interfaces.some((each) => each.mac === nic.mac)) {
    return refuse('interface', `${nic.name} (${nic.mac}) is not one that the configuration lists`)
  }
  const own = routes.filter((each) => each.interfaceIndex === nic.index && each.gateway !== undefined)
  // Of several (two routers that advertise themselves) the one that the kernel takes.
  const route = own.find(({gateway}) => inUse?.interfaceIndex === nic.index && gateway === inUse.gateway) ?? own[0]
  if (route?.gateway === undefined)
    return refuse('interface', `${nic.name} has no IPv${family} default route with a gateway`)
  const over = overlay?.interfaceIndex === nic.index ? overlay.gateway : undefined
  const spare = over === undefined && routes[0]!.interfaceIndex !== nic.index ? ({spare: true} as const) : {}
  return {family, nic, route, from: over ?? route.gateway, to, overlay: over, ...spare}
}

/**
 * A bond, a VLAN, a bridge or a failover pair has the MAC of what it is made of: what is meant is the one with the default
 * route.
 */
function nicOfMac(mac: string, routes: readonly SavedRoute[], {nics}: PolicyFacts): NicFacts | undefined {
  const sharing = nics.filter((nic) => nic.mac === mac && nic.up)
  const used = routes.find((route) => sharing.some(({index}) => index === route.interfaceIndex))
  return sharing.find(({index}) => index === used?.interfaceIndex) ?? sharing[0]
}

function withMode(
  command: AgentCommand,
  config: AgentConfig,
  families: readonly FamilyPlan[],
  facts: PolicyFacts,
): Planned {
  const [first] = families
  const set = config.interfaces.find((each) => each.mac === first!.nic.mac)?.mode ?? config.mode
  if (set !== 'auto' && command.mode !== undefined && command.mode !== set) {
    return refuse('mode', `the configuration of ${first!.nic.name} says mode ${set}, not ${command.mode}`)
  }
  const owner = families.map((each) => facts.ownerOf(each.nic.index, each.route)).find((each) => each !== undefined)
  const overlaid = families.some((each) => each.overlay !== undefined)
  // An overlay stays one: what lies under it is not what the VM uses.
  const usual: SwitchMode =
    owner !== undefined || overlaid || families.some((each) => each.route.compound) ? 'rule' : 'replace'
  const mode = command.mode ?? (set === 'auto' ? usual : set)
  const wrong = families.map((each) => modeProblem(each, mode, facts)).find((each) => each !== undefined)
  if (wrong !== undefined) return refuse('mode', wrong)
  const named = (command.probe ?? config.probes)
    .map((probe) => readIpv6(probe) ?? probe)
    .filter((probe) => families.every(({nic}) => !prefixesContain(nic, probe)))
  const fixed = families.flatMap((each) => fixedProbes(each, named, facts))
  const probes = named.filter((probe) => !fixed.includes(probe))
  const unproved = families.find(({family}) => !probes.some((probe) => isIpv4(probe) === (family === 4)))
  if (unproved !== undefined && !command.confirm_s) return unprovable(unproved, fixed)
  return {accept: true, op: 'switch', plan: {mode, families, probes, owner}}
}

/** Those that the old gateway takes whatever the default route is: their answers would prove nothing. */
function fixedProbes(planned: FamilyPlan, probes: readonly string[], facts: PolicyFacts): string[] {
  const {family, from, nic} = planned
  const own = probes.filter((probe) => isIpv4(probe) === (family === 4))
  return own.filter((probe) =>
    facts
      .waysTo(family, [probe], boundOf(planned))
      .some((way) => way.gateway === from && way.interfaceIndex === nic.index && !way.byDefault),
  )
}

function unprovable({family, from, to}: FamilyPlan, fixed: readonly string[]): Refusal {
  const own = fixed.filter((probe) => isIpv4(probe) === (family === 4))
  const why =
    own.length === 0
      ? `no IPv${family} probe beyond ${to}`
      : `${own.join(' and ')} goes by ${from} whatever the default route is, and there is no other IPv${family} probe`
  return refuse('no_probe', `${why}, and no confirmation asked for: give one of them`)
}

function modeProblem(
  {family, route, nic, overlay}: FamilyPlan,
  mode: SwitchMode,
  facts: PolicyFacts,
): string | undefined {
  const {routes} = facts.families[family]
  if (mode === 'replace') {
    if (overlay !== undefined)
      return `a rule of an earlier switch lies over the route of ${nic.name}: use rule or drain`
    if (route.compound) return `the default route of ${nic.name} is a next hop object: use rule or drain`
    const same = routes.filter(
      (each) => each.metric === route.metric && (family === 6 || each.interfaceIndex === nic.index),
    )
    return same.length > 1
      ? `${same.length} default routes have metric ${route.metric}: replacing one is ambiguous; use rule or drain`
      : undefined
  }
  // An overlay is for the whole host: over a route that is not the one in use it would bring in another interface.
  return routes[0] !== undefined && routes[0].interfaceIndex !== nic.index
    ? `the host's default route is not that of ${nic.name}: only replace changes a spare one`
    : undefined
}
