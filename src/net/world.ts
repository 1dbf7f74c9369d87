// Everything outside the process that gwswitch may touch, as one argument.

import type {Ipv4, Mac} from '../wire/address.ts'
import type {HostLink} from './bridge-host.ts'
import type {BridgePlace, InterfaceFacts, Neighbour, RedirectFacts, Route, RouteKey, RoutingFacts} from './ip.ts'
import type {NeighbourTables} from './neighbour-tables.ts'
import type {LearnedFacts} from './netlink/neighbour-message.ts'
import type {NftTable} from './nft/nft-listing.ts'
import type {Instruction} from './packet/bpf.ts'
import type {Link, LinkOptions, ReceivedFrame} from './packet/link.ts'
import type {VantageWorld} from './vantage-world.ts'

/** What is needed to speak for a VM. */
export interface SpeakerWorld {
  readonly vantage: VantageWorld
  tables(): NeighbourTables
}

/** The door to the operating system. Tests put links in memory and a clock of their own behind it. */
export interface World {
  openLink(interfaceName: string, options?: LinkOptions): Promise<Link>
  interfaces(): Promise<InterfaceFacts[]>
  neighbours(interfaceName: string): Promise<Neighbour[]>
  /** The route to a destination, by an interface or more. */
  routeTo(destination: Ipv4, key?: string | RouteKey): Promise<Route | undefined>
  /** How this host's own traffic may go otherwise. Absent where nobody can look. */
  routingFacts?(destination: Ipv4, key?: RouteKey): Promise<RoutingFacts>
  /** The next hop in the routing table, redirects left aside. */
  tableGateway(destination: Ipv4, interfaceName: string): Promise<Ipv4 | undefined>
  /** The kernel's own answer to where an on-link address is; it asks the segment if it does not know. */
  resolveNeighbour(ip: Ipv4, interfaceName: string): Promise<Neighbour | undefined>
  redirectFacts(interfaceName: string, family?: 4 | 6): Promise<RedirectFacts>
  /** The bridge that an interface is a port of, or is itself. Absent where nobody can look. */
  bridgeOf?(interfaceName: string): Promise<BridgePlace>
  /** Behind which ports a bridge has learned MACs. Absent where nobody can look. */
  learned?(bridge: string): Promise<
    readonly {
      readonly mac: Mac
      readonly port: string
      readonly vlan: number | undefined
      /** The MAC of the port itself, not of a host behind it. */
      readonly own?: boolean
    }[]
  >
  /** Every interface of this host, as bridges and VLANs see it. Absent where nobody can look. */
  hostLinks?(): Promise<readonly HostLink[]>
  /** Whether this host forwards packets of a family (IPv4) that come in at an interface; undefined if it cannot be read. */
  forwards?(interfaceName: string, family?: 4 | 6): Promise<boolean | undefined>
  /** How often an interface's carrier came or went; undefined if it cannot be read. Absent where nobody can look. */
  carrierChanges?(interfaceName: string): Promise<number | undefined>
  /** Calls back when an interface comes, goes or changes; several changes may come as one. Absent where nobody tells. */
  linkChanges?(onChanged: () => void): Promise<{close(): Promise<void>}>
  /** Calls back for frames that come in at any interface and that a filter accepts. Absent where nobody can hear them. */
  hearEverywhere?(
    filter: readonly Instruction[],
    onFrame: (frame: ReceivedFrame) => void,
  ): Promise<{close(): Promise<void>}>
  /** Calls back for what bridges learn; `onLost` when some of it was lost. Absent where nobody tells. */
  learnedChanges?(onLearned: (learned: LearnedFacts) => void, onLost: () => void): Promise<{close(): Promise<void>}>
  /** The first of these addresses that answers an ICMP echo of this host's own, within a second. */
  echo?(addresses: readonly Ipv4[], signal: AbortSignal): Promise<Ipv4 | undefined>
  /** The tables of this host's packet filter of a family of nft(8), by their names. Absent where nobody can look. */
  nftTables?(family: string): Promise<ReadonlyMap<string, NftTable>>
  /** One of them; undefined if there is none of that name. Absent where nobody can look. */
  nftTable?(family: string, name: string): Promise<NftTable | undefined>
  /** What speaking for a VM takes: its port, and this host's own tables. Absent where nobody can. */
  speaker?(): Promise<SpeakerWorld>
  /**
   * Asks what many want to know at the same time once for all of them, never by a question that had begun before it was
   * wanted. Absent: each asks.
   */
  joint?<T>(question: string, ask: () => Promise<T>): Promise<T>
  /** CLOCK_REALTIME in nanoseconds, the clock of frame timestamps. */
  now(): bigint
  /** CLOCK_MONOTONIC in nanoseconds, which nobody sets. */
  monotonic(): bigint
  /** Resolves after `ms`, at once where that is none or less; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Uniform in [0, 1). */
  random(): number
  /** A line for whoever watches. */
  log(line: string): void
}
