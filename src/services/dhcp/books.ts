// The books of the segments that are served, filled with what is known of them.
import {type LeaseBook, leaseBook} from '../../domain/dhcp/book.ts'
import type {Lease} from '../../domain/dhcp/lease.ts'
import {clientKey} from '../../domain/dhcp/request.ts'
import type {ServerFacts} from '../../domain/dhcp/scope.ts'

/** The books, and how many of `leases` belong to no segment of this server. */
export function booksOf(
  facts: ServerFacts,
  leases: readonly Lease[],
): {readonly books: Map<string, LeaseBook>; readonly dropped: number} {
  const books = new Map(
    [...facts.scopes.values()].map(({segment, pool, excluded}) => [segment, leaseBook(pool, excluded)] as const),
  )
  let dropped = 0
  // The latest last: where a client has had several addresses, the one it asked for last is its own.
  for (const lease of [...leases].sort((a, b) => a.lastSeenMs - b.lastSeenMs)) {
    const scope = facts.scopes.get(lease.segment)
    // One that was known by its client identifier goes on with its address.
    const own = scope?.ignoreClientId ? {...lease, client: clientKey(lease.mac, undefined, true)} : lease
    if (scope) books.get(lease.segment)!.put(own)
    else dropped++
  }
  return {books, dropped}
}
