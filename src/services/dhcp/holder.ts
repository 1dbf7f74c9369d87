// Whoever knows clients and what they were told: a server, or a shim in front of one.
import type {LeaseBook} from '../../domain/dhcp/book.ts'
import type {Counters} from '../../domain/dhcp/counters.ts'
import type {Directive, Lease} from '../../domain/dhcp/lease.ts'
import type {Sites} from '../../domain/dhcp/scope.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'

/** What was said of a client. */
export type Said = Omit<Directive, 'version' | 'receivedSite'>

export interface LeaseHolder {
  readonly facts: {readonly scopes: ReadonlyMap<string, Sites>}
  readonly counters: Pick<Counters, 'send'>
  book(segment: string): Pick<LeaseBook, 'byIp' | 'byMac' | 'all'>
  directive(segment: string, mac: Mac): Directive | undefined
  /** Stores a lease that changed for another reason than a client's message. @throws Failure */
  store(lease: Lease): void
  /** Stores what was said here of a client, as the newest word about it; returns what is to be replicated. @throws Failure */
  direct(said: Said): Directive
  /** Calls `listener` for every DHCPREQUEST that was answered; returns what takes it off. */
  onRequest(listener: (mac: Mac) => void): () => void
  /** The identifier (option 54) of the server that a lease is of. */
  serverOf(lease: Lease): Ipv4
  /** The port that the client of a lease is at, where that is known. */
  portOf?(lease: Lease): string | undefined
  /** Why a site that has no router here cannot be said of a VM, where that is more than that. */
  wrongSite?(site: string): string
}
