// What an inventory can be made of: what was heard, and how much of it is guessed.
import type {Ipv4, Mac, Prefix} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {RouterWord} from '../inventory/site.ts'
import type {LanPrefix} from './prefixes.ts'

/** `given` by the command line or a person, by the `port` behind which a station is, or a `guess`. */
export type SiteBy = 'given' | 'port' | 'guess'

/**
 * `own`: an address that it alone has. `shared`: other stations answer for it too. `fhrp`: the virtual address of a
 * redundancy protocol. `anycast`: one address at one MAC, at several sites.
 */
export type DraftGatewayKind = 'own' | 'shared' | 'fhrp' | 'anycast'

/** Why something is taken for a gateway. */
export interface Because {
  /** False: a guess. */
  readonly seen: boolean
  readonly text: string
}

export interface DraftGateway {
  readonly name: string
  readonly site: string
  readonly siteBy: SiteBy
  readonly kind: DraftGatewayKind
  readonly ip: Ipv4
  readonly mac: Mac
  readonly ownIp: Ipv4 | null
  readonly ip6: readonly Ipv6[]
  readonly ra: RouterWord | null
  /** The bridge port behind which it was learned; null: none was. */
  readonly port: string | null
  /** False: only its address looks like a gateway's. */
  readonly seen: boolean
  readonly because: readonly Because[]
}

export interface DraftVm {
  readonly name: string
  readonly ip: Ipv4
  readonly mac: Mac
  /** All that it was heard to have, `ip` among them. */
  readonly ips: readonly Ipv4[]
  readonly ip6: readonly Ipv6[]
  /** Null: on which side it is was not seen. */
  readonly site: string | null
  readonly port: string | null
}

export interface DraftSegment {
  readonly name: string
  readonly interface: string
  readonly prefix: Prefix
  readonly prefixBy: LanPrefix['by']
  /** 802.1Q VLAN of its frames there; null: untagged. */
  readonly vlan: number | null
  /** Ports that lead to another site. */
  readonly ports: readonly string[]
  readonly gateways: readonly DraftGateway[]
  readonly vms: readonly DraftVm[]
  /** What was seen and has no key. */
  readonly notes: readonly string[]
}

export interface DraftSite {
  readonly name: string
  /** How its name and its place came about. */
  readonly because: string
}

export interface InitDraft {
  readonly sites: readonly DraftSite[]
  readonly segments: readonly DraftSegment[]
  readonly notes: readonly string[]
}

/** What a person or the command line has settled. */
export interface DraftChoices {
  /** The site on this side of the inter-site ports. */
  readonly site: {readonly name: string; readonly given: boolean}
  /** Sites by the port (or interface) that leads to them. */
  readonly interSite: ReadonlyMap<string, {readonly name: string; readonly by: 'given' | 'tunnel'}>
  /** Which ports an interface has, where it is a bridge. */
  readonly portsOf: ReadonlyMap<string, readonly string[]>
  /** A name for the only segment. */
  readonly segment: string | undefined
  /** MACs that somebody said are no gateways. */
  readonly notGateways: ReadonlySet<Mac>
}
