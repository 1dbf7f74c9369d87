// What traffic that others sent says about a trombone. It is never asked what the other gateway would cost, so most of it
// stays open: a verdict stands where MACs, the inventory's places and round trips leave one reading only.
import type {Mac} from '../../wire/address.ts'
import type {KnownSites} from '../trace/evidence.ts'
import {knownGatewayOfMac, siteOfPrefix, statedDciRttMs} from '../trace/known-sites.ts'
import type {Passage, PeerTraffic} from './traffic.ts'

/** Why, for one peer, as a closed set of codes. */
export type PassiveReason = keyof typeof VERDICT
export type PassiveVerdict = 'trombone' | 'none' | 'inconclusive'

const VERDICT = {
  /** Out through another site's gateway, to a peer near the VM's own site. */
  detour: 'trombone',
  /** Too fast for a way across the DCI, whatever the gateway is called. */
  'too-fast-for-dci': 'none',
  /** Through the gateway of the site that the peer is near. */
  'destination-far': 'none',
  /** Through the VM's own site's gateway; what lies behind it is not seen. */
  'local-exit': 'none',
  /** Through the own site's gateway, and as slow as a way across the DCI. */
  'slow-behind-local-exit': 'inconclusive',
  /** Through another site's gateway, and nothing says where the peer is. */
  'far-exit': 'inconclusive',
  /** To a gateway from which the bridge redirects it to another one: where it leaves is not seen. */
  redirected: 'inconclusive',
  /** The inventory alone has the VM where it is, and no round trip confirms it. */
  'site-not-confirmed': 'inconclusive',
  /** Told to be far, and faster than the DCI is. */
  'round-trip-contradicts': 'inconclusive',
  'site-unknown': 'inconclusive',
  'unknown-mac': 'inconclusive',
  /** Through several gateways in turn. */
  mixed: 'inconclusive',
  /** The VM sent nothing to it. */
  'nothing-sent': 'inconclusive',
} as const satisfies Readonly<Record<string, PassiveVerdict>>

/** Every reason there is. @internal */
export const PASSIVE_REASONS = Object.keys(VERDICT) as readonly PassiveReason[]

/** What came back. `direct`: through another site's gateway, where the peer is too. */
export type PassiveInbound = 'local' | 'direct' | 'inbound-trombone' | 'mixed' | 'unknown' | 'nothing-seen'

/** A station that traffic went through. */
export interface NamedPassage extends Passage {
  /** Inventory name; null for a MAC that is no gateway's, or that of several. */
  readonly gateway: string | null
  readonly site: string | null
}

export interface JudgedPeer {
  readonly traffic: PeerTraffic
  /** That the peer is near. */
  readonly site: string | null
  readonly out: readonly NamedPassage[]
  readonly in: readonly NamedPassage[]
  readonly verdict: PassiveVerdict
  readonly reason: PassiveReason
  readonly inbound: PassiveInbound
  /** The gateway changed once while it was watched, and the verdict is of the time after. */
  readonly changedAtMs: number | null
}

/** The VM's site as told; null if nobody did. */
export type ToldSite = {readonly name: string; readonly source: 'flag' | 'inventory'} | null

/** `redirected`: the MAC from which a bridge, behind the place where it was listened, takes what the VM sends to another one. */
export function judgePeer(
  traffic: PeerTraffic,
  known: KnownSites,
  vm: ToldSite,
  redirected: Mac | null = null,
): JudgedPeer {
  const named = (passages: readonly Passage[]): NamedPassage[] =>
    passages.map((one) => ({...one, ...owner(known, one.mac)}))
  const out = named(traffic.out)
  const back = named(traffic.in)
  const site = siteOfPrefix(known, traffic.ip) ?? null
  const now = inUse(out)
  const reason = reasonOf(now, {site, vm, known, redirected, minMs: lateMinimum(traffic, now)})
  const changed = now !== undefined && now !== 'mixed' && out.length > 1
  return {
    traffic,
    site,
    out,
    in: back,
    verdict: VERDICT[reason],
    reason,
    inbound: inboundOf(back, site, vm),
    changedAtMs: changed ? now.firstMs : null,
  }
}

function owner(known: KnownSites, mac: Mac): {readonly gateway: string | null; readonly site: string | null} {
  const gateway = knownGatewayOfMac(known, mac)
  return {gateway: gateway?.name ?? null, site: gateway?.site ?? null}
}

/** The passage that stands at the end, if those before it were over by then. */
function inUse(passages: readonly NamedPassage[]): NamedPassage | 'mixed' | undefined {
  const last = passages.toSorted((a, b) => a.lastMs - b.lastMs).at(-1)
  if (last === undefined) return undefined
  return passages.every((other) => other === last || other.lastMs <= last.firstMs) ? last : 'mixed'
}

/** The smallest round trip of the later half of the time that counts: what was true before a move is true no more. */
function lateMinimum({tcp}: PeerTraffic, now: NamedPassage | 'mixed' | undefined): number | null {
  const since = now === undefined || now === 'mixed' ? 0 : now.firstMs
  const counting = (tcp?.minima ?? []).filter(({atMs}) => atMs >= since)
  const late = counting.slice(counting.length >> 1)
  return late.length === 0 ? null : Math.min(...late.map(({minMs}) => minMs))
}

interface Circumstances {
  readonly site: string | null
  readonly vm: ToldSite
  readonly known: KnownSites
  readonly redirected: Mac | null
  readonly minMs: number | null
}

function reasonOf(
  now: NamedPassage | 'mixed' | undefined,
  {site, vm, known, redirected, minMs}: Circumstances,
): PassiveReason {
  if (now === undefined) return 'nothing-sent'
  if (now === 'mixed') return 'mixed'
  if (now.mac === redirected) return 'redirected'
  const dciMs = crossingMs(known, vm, now.site)
  // One crossing of the two that a detour has: half a round trip of the DCI is the least that any way across it takes.
  const across = minMs === null || dciMs === null ? null : minMs >= dciMs / 2
  if (across === false) return isFar(now, vm) ? 'round-trip-contradicts' : 'too-fast-for-dci'
  if (now.site === null) return now.gateway === null ? 'unknown-mac' : 'site-unknown'
  if (vm === null) return 'site-unknown'
  if (now.site !== vm.name) {
    if (site === null) return 'far-exit'
    if (site !== vm.name) return site === now.site ? 'destination-far' : 'far-exit'
    return vm.source === 'inventory' && across === null ? 'site-not-confirmed' : 'detour'
  }
  if (vm.source === 'inventory') return 'site-not-confirmed'
  return site === vm.name && minMs !== null && dciMs !== null && minMs >= dciMs
    ? 'slow-behind-local-exit'
    : 'local-exit'
}

const isFar = ({site}: NamedPassage, vm: ToldSite): boolean => site !== null && vm !== null && site !== vm.name

/** The DCI's round trip between the VM's site and a gateway's, or, where they are at one site, to any other. */
function crossingMs(known: KnownSites, vm: ToldSite, site: string | null): number | null {
  const pair = vm !== null && site !== null && vm.name !== site
  return (pair ? statedDciRttMs(known, vm.name, site) : statedDciRttMs(known, null, null)) ?? null
}

function inboundOf(back: readonly NamedPassage[], site: string | null, vm: ToldSite): PassiveInbound {
  const now = inUse(back)
  if (now === undefined) return 'nothing-seen'
  if (now === 'mixed') return 'mixed'
  if (now.site === null || vm === null) return 'unknown'
  if (now.site === vm.name) return 'local'
  return site === now.site ? 'direct' : site === vm.name ? 'inbound-trombone' : 'unknown'
}
