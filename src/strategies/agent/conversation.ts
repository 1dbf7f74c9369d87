// What gwswitch says to whatever changes the gateway inside a VM, whichever way it goes there.
import type {World} from '../../net/world.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {AgentReason, AgentState, SwitchMode} from '../../wire/agent-message.ts'
import {type Ipv6, isVersion6} from '../../wire/ipv6-address.ts'
import type {StrategyEvent} from '../strategy.ts'

/** A gateway of each family; null leaves the family as it is, or does not say. */
export interface GatewayPair {
  readonly v4: Ipv4 | null
  readonly v6: Ipv6 | null
}

/** How to reach whoever acts in the VM. */
export type AgentTransport =
  | {readonly kind: 'udp'; readonly address: Ipv4 | Ipv6; readonly port: number}
  | {readonly kind: 'unix'; readonly socket: string}
  | {readonly kind: 'qga'; readonly socket: string}
  | {readonly kind: 'libvirt'; readonly domain: string; readonly connect: string | null}

/** A VM to tell. JSON: plans carry it. */
export interface AgentTarget {
  readonly name: string
  /** Its id in the agent's configuration. */
  readonly id: string
  readonly ip: Ipv4 | Ipv6
  /** Of the NIC; null leaves the choice to the VM. */
  readonly mac: Mac | null
  readonly transport: AgentTransport
  /** Public half of the agent's key; null for transports that need none. */
  readonly agentKey: string | null
  /** Name under which the agent knows our key, if not the key's own. */
  readonly kid: string | null
}

/** What shall become of its default route. JSON: plans carry it. */
export interface SwitchOrder {
  /** Names this switch: confirming it and taking it back speak of it by this. */
  readonly run: string
  readonly site: string | null
  readonly to: GatewayPair
  /** Compare and set: refused unless these are in use. */
  readonly from: GatewayPair
  readonly mode: SwitchMode | null
  readonly probes: readonly (Ipv4 | Ipv6)[]
  /** Seconds in which it must be confirmed, or the VM goes back by itself; 0: it confirms by its own probes. */
  readonly confirmS: number
  /** How long to ask for an answer, ms. */
  readonly timeoutMs: number
}

/** Times in ms since the first command went out; null for what did not happen. */
export interface NotifyTiming {
  readonly receivedMs: number | null
  readonly appliedMs: number | null
  readonly confirmedMs: number | null
  /** By the VM's own clock: from the command's arrival to the changed route, and to the confirmation. */
  readonly agentApplyMs: number | null
  readonly agentConfirmMs: number | null
}

/** Where the switch stands, as the VM said last. `silent`: it said nothing that can be believed. */
export interface Standing {
  readonly state: AgentState | 'silent'
  readonly reason: AgentReason | null
  readonly detail: string | null
  /** The gateways that it says it uses. */
  readonly gateways: GatewayPair
  readonly mode: SwitchMode | null
  /** Messages sent, all told. */
  readonly attempts: number
  readonly timing: NotifyTiming
}

/**
 * One switch of one VM. `begin` resolves when it is decided, or applied and waiting for a confirmation; silence is a
 * standing, not an error. `rollBack` is for the same run, also from another process, and may be done twice.
 */
export interface Conversation {
  begin(): Promise<Standing>
  confirm(): Promise<Standing>
  rollBack(): Promise<Standing>
  close(): void
}

/** What a conversation needs of the outside. */
export interface ConversationStage {
  readonly world: Pick<World, 'now' | 'sleep'>
  readonly signal: AbortSignal
  observe(event: StrategyEvent): void
}

/** Whether messages are signed that way: the others speak to the QEMU guest agent, which asks for no key. */
export const isSigned = ({kind}: AgentTransport): boolean => kind === 'udp' || kind === 'unix'

/** Where to reach it, for people. */
export function transportText(transport: AgentTransport): string {
  switch (transport.kind) {
    case 'udp':
      return isVersion6(transport.address)
        ? `udp [${transport.address}]:${transport.port}`
        : `udp ${transport.address}:${transport.port}`
    case 'unix':
      return `unix ${transport.socket}`
    case 'qga':
      return `QEMU guest agent ${transport.socket}`
    case 'libvirt':
      return `QEMU guest agent of libvirt domain ${transport.domain}`
  }
}

export const gatewaysText = ({v4, v6}: GatewayPair): string => [v4, v6].filter((ip) => ip !== null).join(' and ')

export const isDecided = ({state}: Pick<Standing, 'state'>): boolean =>
  state === 'confirmed' || state === 'rolled_back' || state === 'refused'

/** Names of runs: readable by age, and no two alike. */
export const newRun = ({now, random}: Pick<World, 'now' | 'random'>): string =>
  `${(now() / 1_000_000n).toString(36)}-${Math.floor(random() * 36 ** 6)
    .toString(36)
    .padStart(6, '0')}`
