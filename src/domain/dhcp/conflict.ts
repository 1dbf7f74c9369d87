// Addresses that somebody uses who did not get them here: found by asking before an offer.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {LeaseBook} from './book.ts'
import type {Lease} from './lease.ts'
import {DECLINE_MS, declined} from './rules.ts'
import type {Scope} from './scope.ts'

/** Who answered when an address was asked for. */
export interface Holder {
  /** Undefined: an echo from behind a router, which tells no MAC. */
  readonly mac: Mac | undefined
}

/** An address that was to be offered, and who has it. */
export interface Conflict {
  readonly ip: Ipv4
  readonly holder: Holder
  /** The address as it is left alone now. */
  readonly lease: Lease
}

/** Addresses asked for after one DISCOVER. A client asks again after seconds; whoever answers for all must not get all. */
export const MOST_PROBES = 3

/**
 * Leaves an address alone for ten minutes. A host that had it until its lease ended, and uses it still, has missed a
 * renewal: it is held for that host, which may renew it.
 */
export function leaveAlone(
  book: LeaseBook,
  scope: Scope,
  offer: Lease,
  before: Lease | undefined,
  holder: Holder,
  nowMs: number,
): Conflict {
  const late =
    before !== undefined &&
    before.state !== 'declined' &&
    before.mac === holder.mac &&
    book.byClient(before.client) === undefined
  const lease: Lease = late
    ? {...before, state: 'offered', expiresAtMs: nowMs + DECLINE_MS}
    : declined(offer, scope, nowMs)
  book.put(lease)
  return {ip: offer.ip, holder, lease}
}

/**
 * Whoever answers for all of several addresses uses none of them (proxy ARP, a host gone wrong), and the pool is not for
 * it to empty: the addresses are free again. Undefined where it was not one MAC.
 */
export function forgive(
  book: LeaseBook,
  conflicts: readonly Conflict[],
  nowMs: number,
): {readonly freed: readonly Conflict[]; readonly line: string} | undefined {
  const mac = conflicts[0]?.holder.mac
  if (mac === undefined || conflicts.length < 2 || conflicts.some(({holder}) => holder.mac !== mac)) return undefined
  const freed = conflicts.map((each) => ({
    ...each,
    lease: {...each.lease, state: 'released' as const, expiresAtMs: nowMs},
  }))
  for (const {lease} of freed) book.put(lease)
  const asked = conflicts.map(({ip}) => ip).join(', ')
  return {
    freed,
    line: `${mac} answers for every address that is asked for (${asked}), as proxy ARP does: nothing is offered meanwhile, and the pool is left as it is`,
  }
}

/** What must be stored: not what is held for a late host, as an offer is not. */
export const storable = (conflicts: readonly Conflict[]): Map<string, Lease> =>
  new Map(
    conflicts
      .filter(({lease}) => lease.state !== 'offered')
      .map(({lease}) => [`${lease.segment} ${lease.ip}`, lease] as const),
  )
