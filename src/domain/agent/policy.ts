// Whether a signed command is obeyed. Pure: what is known of the VM comes in as facts.

import {isIpv4, prefixContains, prefixOf} from '../../wire/address.ts'
import type {AgentCommand, AgentReason, SwitchMode} from '../../wire/agent-message.ts'
import {ipv6Bytes, isLinkLocal, readIpv6} from '../../wire/ipv6-address.ts'
import type {AgentConfig} from './config.ts'
import {type AgentMemory, isOpen, lastOf, type SavedRoute} from './memory.ts'

/** A NIC with what the decision needs of it. */
export interface NicFacts {
  readonly index: number
  readonly name: string
  readonly mac: string
  readonly up: boolean
  readonly prefixes: readonly {readonly family: 4 | 6; readonly address: string; readonly length: number}[]
}

/** The default routes of one family. */
export interface FamilyFacts {
  /** Of the main table, lowest metric first, of all NICs. */
  readonly routes: readonly SavedRoute[]
  /** The gateway of our own table, while our rule is in force. */
  readonly overlay: {readonly gateway: string; readonly interfaceIndex: number} | undefined
  /** A policy rule that keeps the main table's default route, and ours, from being used: in words. */
  readonly obstacle?: string | undefined
}

export interface PolicyFacts {
  /** ms since 1970. */
  readonly nowMs: number
  readonly dmiUuid: string | undefined
  readonly memory: AgentMemory
  readonly nics: readonly NicFacts[]
  readonly families: Readonly<Record<4 | 6, FamilyFacts>>
  /** Which program owns the default route of a NIC; undefined if none does. */
  ownerOf(interfaceIndex: number, route: SavedRoute): string | undefined
}

/** One family's part of an accepted switch. */
export interface FamilyPlan {
  readonly family: 4 | 6
  readonly nic: NicFacts
  /** The route of the main table whose gateway is, or underlies, the one in use. */
  readonly route: SavedRoute
  readonly from: string
  readonly to: string
  readonly overlay: string | undefined
}

export interface SwitchPlan {
  readonly mode: SwitchMode
  readonly families: readonly FamilyPlan[]
  /** Beyond the gateway: never on-link. */
  readonly probes: readonly string[]
  readonly owner: string | undefined
}

export type Decision =
  | {readonly accept: true; readonly op: 'switch'; readonly plan: SwitchPlan}
  | {readonly accept: true; readonly op: 'confirm' | 'rollback' | 'query' | 'introduce' | 'revoke'}
  | {
      readonly accept: false
      readonly reason: AgentReason
      readonly detail: string
      /** Whether the sequence number is used up by this refusal. */
      readonly consumes: boolean
      /** The highest of this key, where the command's is not above it. */
      readonly lastSeq?: number
    }

const refuse = (reason: AgentReason, detail: string, consumes = true): Decision => ({
  accept: false,
  reason,
  detail,
  consumes,
})

const replayed = (seq: number, lastSeq: number): Decision => ({
  ...{accept: false, reason: 'replayed', detail: `seq ${seq} is not above ${lastSeq}`, consumes: false},
  lastSeq,
})

/** Checks in this order, and names the first that fails: vm, clone, clock, sequence, nonce, then what the command wants. */
export function decide(command: AgentCommand, kid: string, config: AgentConfig, facts: PolicyFacts): Decision {
  return (
    identity(command, kid, config, facts) ??
    (command.op === 'switch' ? decideSwitch(command, kid, config, facts) : decideOther(command, kid, facts))
  )
}

function identity(
  command: AgentCommand,
  kid: string,
  config: AgentConfig,
  {nowMs, dmiUuid, memory}: PolicyFacts,
): Decision | undefined {
  if (command.vm !== config.vm) return refuse('wrong_vm', `this is ${config.vm}, not ${command.vm}`, false)
  if (config.dmiUuid !== undefined && dmiUuid !== config.dmiUuid) {
    return refuse('cloned', `the DMI UUID is ${dmiUuid ?? 'not readable'}, ${config.dmiUuid} was enrolled`, false)
  }
  const nowS = nowMs / 1000
  const {clockSkewS, lifetimeS} = config.windows
  const off = (text: string): Decision => refuse('clock', `${text}; it is ${new Date(nowMs).toISOString()} here`, false)
  if (command.iat > nowS + clockSkewS) return off(`issued ${Math.round(command.iat - nowS)} s in the future`)
  // The skew counts at both ends: a VM whose clock runs ahead must not find every command expired.
  if (command.exp + clockSkewS < nowS) return off(`expired ${Math.round(nowS - command.exp)} s ago`)
  if (command.exp < command.iat || command.exp - command.iat > lifetimeS) {
    return off(`valid for ${command.exp - command.iat} s (want 0 to ${lifetimeS})`)
  }
  const known = lastOf(memory, kid)
  if (known && command.seq <= known.seq) return replayed(command.seq, known.seq)
  if (known?.nonces.some(([nonce]) => nonce === command.nonce)) return refuse('nonce', 'this nonce was used before')
  return undefined
}

function decideOther(command: AgentCommand, kid: string, {memory}: PolicyFacts): Decision {
  const {last} = memory
  const {op} = command
  if (op === 'query' || op === 'introduce' || op === 'revoke') return {accept: true, op}
  if (last === undefined || last.run !== command.run)
    return refuse('no_switch', `there is no switch of run ${command.run}`)
  // A key has a say in its own switches only.
  if (last.kid !== kid) return refuse('no_switch', `run ${command.run} is not one of key ${kid}`)
  // Saying again what is already so is no error.
  if (command.op === 'confirm' && !isOpen(last) && last.state !== 'confirmed') {
    return refuse('no_switch', `run ${command.run} is ${last.state} already`)
  }
  if (command.op === 'confirm' && (last.phase === 'probing' || last.phase === 'applying')) {
    return refuse('no_switch', `run ${command.run} is not applied yet`)
  }
  return {accept: true, op: command.op as 'confirm' | 'rollback'}
}

function decideSwitch(command: AgentCommand, kid: string, config: AgentConfig, facts: PolicyFacts): Decision {
  const {last} = facts.memory
  if (isOpen(last)) return refuse('busy', `run ${last.run} is ${last.phase}`)
  const mac = command.mac ?? (config.interfaces.length === 1 ? config.interfaces[0]!.mac : undefined)
  const wanted = ([4, 6] as const).flatMap((family) => {
    const to = family === 4 ? command.gw4 : command.gw6
    const from = family === 4 ? command.from_gw4 : command.from_gw6
    return to === undefined ? [] : [{family, to: readIpv6(to) ?? to, from: from && (readIpv6(from) ?? from)}]
  })
  const families: FamilyPlan[] = []
  for (const {family, to, from} of wanted) {
    const planned = planFamily(family, to, mac, config, facts)
    if ('accept' in planned) return planned
    if (from !== undefined && from !== planned.from)
      return refuse('from_gw', `the gateway in use is ${planned.from}, not ${from}`)
    if (!config.trusted.find((key) => key.kid === kid)?.gateways.includes(to)) {
      return refuse('gateway_not_allowed', `key ${kid} may not choose ${to}`)
    }
    if (!onLink(planned.nic, family, to))
      return refuse('gateway_off_link', `${to} is in no prefix of ${planned.nic.name}`)
    families.push(planned)
  }
  return withMode(command, config, families, facts)
}

function planFamily(
  family: 4 | 6,
  to: string,
  mac: string | undefined,
  config: AgentConfig,
  facts: PolicyFacts,
): FamilyPlan | Decision {
  const {routes, overlay} = facts.families[family]
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
  const route = routes.find((each) => each.interfaceIndex === nic.index)
  if (route?.gateway === undefined)
    return refuse('interface', `${nic.name} has no IPv${family} default route with a gateway`)
  const own = overlay?.interfaceIndex === nic.index ? overlay.gateway : undefined
  return {family, nic, route, from: own ?? route.gateway, to, overlay: own}
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
): Decision {
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
  const probes = (command.probe ?? config.probes)
    .map((probe) => readIpv6(probe) ?? probe)
    .filter((probe) => families.every(({nic}) => !onLink(nic, isIpv4(probe) ? 4 : 6, probe)))
  const unproved = families.find(({family}) => !probes.some((probe) => isIpv4(probe) === (family === 4)))
  if (unproved !== undefined && !command.confirm_s) {
    return refuse(
      'no_probe',
      `no IPv${unproved.family} probe beyond ${unproved.to} and no confirmation asked for: give one of them`,
    )
  }
  return {accept: true, op: 'switch', plan: {mode, families, probes, owner}}
}

function modeProblem(
  {family, route, nic, overlay}: FamilyPlan,
  mode: SwitchMode,
  facts: PolicyFacts,
): string | undefined {
  const {routes, obstacle} = facts.families[family]
  if (obstacle !== undefined) return `${obstacle}: a change of the main table's would change nothing`
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

/** Whether the routes of the NIC are as they were when the plan was made. */
export function stillFits(plan: SwitchPlan, families: PolicyFacts['families']): boolean {
  return plan.families.every(({family, nic, route, overlay}) => {
    const now = families[family]
    // An overlay of another NIC is none of this switch's, as in the policy.
    const own = now.overlay?.interfaceIndex === nic.index ? now.overlay.gateway : undefined
    return own === overlay && now.routes.some((each) => sameRoute(each, route))
  })
}

/** Lifetimes that run down are no difference. */
const sameRoute = (a: SavedRoute, b: SavedRoute): boolean =>
  a.gateway === b.gateway && a.metric === b.metric && a.interfaceIndex === b.interfaceIndex && a.protocol === b.protocol

function onLink(nic: NicFacts, family: 4 | 6, address: string): boolean {
  if (family === 6 && isLinkLocal(address)) return true
  return nic.prefixes.some(
    (prefix) => prefix.family === family && prefix.length < (family === 4 ? 32 : 128) && contains(prefix, address),
  )
}

/** Whether an address lies in a prefix of the NIC, or is link-local. */
export const prefixesContain = (nic: NicFacts, address: string): boolean =>
  onLink(nic, isIpv4(address) ? 4 : 6, address)

function contains({family, address, length}: NicFacts['prefixes'][number], ip: string): boolean {
  if (family === 4) return prefixContains(prefixOf(address, length), ip)
  const [a, b] = [ipv6Bytes(address), ipv6Bytes(ip)]
  for (let bit = 0; bit < length; bit += 8) {
    const mask = length - bit >= 8 ? 0xff : (0xff00 >> (length - bit)) & 0xff
    if (((a[bit >> 3]! ^ b[bit >> 3]!) & mask) !== 0) return false
  }
  return true
}
