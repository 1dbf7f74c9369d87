// What is known of a VM when a command is judged, and what comes of that: its NICs, its default routes, the plan of a switch.
import {isIpv4, prefixContains, prefixOf} from '../../wire/address.ts'
import type {SwitchMode} from '../../wire/agent-message.ts'
import {ipv6Bytes, isLinkLocal} from '../../wire/ipv6-address.ts'
import type {Way} from './egress.ts'
import type {AgentMemory, SavedRoute} from './memory.ts'

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
  /** Where the kernel would send what the VM sends to anywhere; undefined if nowhere. */
  readonly inUse?: {readonly gateway: string | undefined; readonly interfaceIndex: number} | undefined
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
  /** Where each kind of traffic goes; `bound`: only of what is bound to that interface. */
  waysOf(family: 4 | 6, bound?: number): readonly Way[]
  /** Where echoes to these addresses go. */
  waysTo(family: 4 | 6, destinations: readonly string[], bound?: number): readonly Way[]
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
  /** Another NIC has the host's default route: only what is bound to this one uses it. */
  readonly spare?: true
}

export interface SwitchPlan {
  readonly mode: SwitchMode
  readonly families: readonly FamilyPlan[]
  /** Beyond the gateway: never on-link. */
  readonly probes: readonly string[]
  readonly owner: string | undefined
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

/** Whether a prefix of a NIC, or of a rule, holds an address of the same family. */
export function contains({family, address, length}: NicFacts['prefixes'][number], ip: string): boolean {
  if (family === 4) return prefixContains(prefixOf(address, length), ip)
  const [a, b] = [ipv6Bytes(address), ipv6Bytes(ip)]
  for (let bit = 0; bit < length; bit += 8) {
    const mask = length - bit >= 8 ? 0xff : (0xff00 >> (length - bit)) & 0xff
    if (((a[bit >> 3]! ^ b[bit >> 3]!) & mask) !== 0) return false
  }
  return true
}
