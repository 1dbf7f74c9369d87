// What a DHCP server holds about its clients. Plain data; times are milliseconds since 1970 by the caller's clock.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {DhcpClientKind} from '../inventory/segment-dhcp.ts'

/**
 * `offered`: held for a client that has not asked for it yet; `bound`: leased; `released`: given back, kept so that the
 * same client gets it again; `declined`: somebody else uses the address.
 */
export type LeaseState = 'offered' | 'bound' | 'released' | 'declined'

/** One address and who has it. Whatever its state, it means nothing once `expiresAtMs` has passed. */
export interface Lease {
  readonly segment: string
  readonly ip: Ipv4
  /** Who the client is: `hw:1:02:00:00:00:00:10`, or `id:` and its client identifier in hex. */
  readonly client: string
  readonly mac: Mac
  readonly state: LeaseState
  readonly expiresAtMs: number
  /** The xid of the client's last DHCPREQUEST, which a FORCERENEW must carry. */
  readonly xid: number
  readonly lastSeenMs: number
  /** The client sent option 145: it takes an authenticated FORCERENEW (RFC 6704). */
  readonly capable145: boolean
  /** The key of its FORCERENEWs, 32 hex digits; '' if it never got one. */
  readonly nonce: string
  /** The highest replay value used towards this client. */
  readonly replay: bigint
  /** The router it was last told; '' if none. */
  readonly router: Ipv4
  /** What it calls itself; '' if it does not say. Printable ASCII only. */
  readonly hostName: string
  /** T1 of its last ACK, s: what it goes by until the next one, whatever is configured now. 0 if it is not bound. */
  readonly t1S: number
  /** What runs there, by what its last DHCPREQUEST said; '' if it could be several. */
  readonly kind: DhcpClientKind | ''
}

/** What operators said about a client, by its MAC; it outlives leases. */
export interface Directive {
  readonly segment: string
  readonly mac: Mac
  /** The site the VM is in; undefined leaves it to the inventory. */
  readonly site: string | undefined
  /** Where the inventory had it when that was said, '' for nowhere; undefined: not written down (older stores). */
  readonly inventorySite?: string | undefined
  /** Answer its next renewal with a NAK. Done with once it has begun anew, by that NAK or by itself. */
  readonly nak: boolean
  /** Undefined: not written down (older stores). */
  readonly version?: Version | undefined
  /** Where the inventory here had it when the word came from the other server; undefined for what was said here. */
  readonly receivedSite?: string | undefined
}

/** Of two directives for a client the one with the greater sequence counts, of equal ones that of the greater origin. */
export interface Version {
  /** Above all that its server knew by then, and no less than the clock in ms since 1970. */
  readonly sequence: number
  /** The server that was told, by its identifier. */
  readonly origin: Ipv4
}

/** Whether the lease holds its address at `nowMs`. */
export const isActive = (lease: Lease, nowMs: number): boolean =>
  lease.state !== 'released' && lease.expiresAtMs > nowMs

/** When the client of a bound lease asks by itself at the latest. What udhcpc goes by is half its lease: it reads no T1. */
export const renewsAtMs = ({lastSeenMs, expiresAtMs, t1S, kind}: Lease): number =>
  kind === 'udhcpc' ? lastSeenMs + (expiresAtMs - lastSeenMs) / 2 : lastSeenMs + t1S * 1000
