// The control protocol of `serve dhcp` and `serve dhcp-shim`: one JSON object a line, over a unix socket that only its owner may open.
//
// A request gets one answer, in order: `{"ok": true, ...}` or `{"ok": false, "error": {"kind", "message"}}`. After
// `watch`, lines `{"event": ...}` follow until the connection is closed.
import {Failure, type FailureKind} from '../../errors.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {DhcpClientKind} from '../inventory/segment-dhcp.ts'
import {hint} from '../suggest.ts'
import type {LeaseState} from './lease.ts'

export const DEFAULT_CONTROL_SOCKET = '/run/gwswitch/dhcp.sock'
export const DEFAULT_SHIM_SOCKET = '/run/gwswitch/dhcp-shim.sock'
/** Longest request, bytes. */
export const CONTROL_LINE_LIMIT = 16_384

/** What may be asked. `vm` is a name from the inventory, an address, or a MAC. */
export type ControlRequest =
  /**
   * `site`: where the VM is now, null to forget what was said of it; `trigger`: send a FORCERENEW, if the client takes
   * one (default true). An order to refuse its next renewal is withdrawn: it was for another router.
   */
  | {readonly do: 'relocate'; readonly vm: string; readonly site: string | null; readonly trigger?: boolean | undefined}
  | {readonly do: 'site'; readonly vm: string}
  | {readonly do: 'nak'; readonly vm: string}
  | {readonly do: 'forcerenew'; readonly vm: string}
  /** `reserveReplay`: set a replay value aside for the asker, higher than any before, on disk before it is told. */
  | {readonly do: 'transaction'; readonly vm: string; readonly reserveReplay?: boolean | undefined}
  /** `after`: `next` of the answer before; `limit`: at most 1000. */
  | {
      readonly do: 'leases'
      readonly segment?: string | undefined
      readonly after?: number | undefined
      readonly limit?: number | undefined
    }
  | {readonly do: 'status'}
  | {readonly do: 'watch'; readonly vm?: string | undefined}

/** A lease as it is told. */
export interface LeaseRow {
  readonly segment: string
  /** Its name in the inventory. */
  readonly vm: string | undefined
  readonly ip: Ipv4
  readonly mac: Mac
  readonly client: string
  readonly state: LeaseState | 'expired'
  /** ISO 8601, UTC. */
  readonly expires: string
  readonly lastSeen: string
  readonly site: string | undefined
  /** What it was last told. */
  readonly router: Ipv4 | undefined
  /** What it will be told next. */
  readonly nextRouter: Ipv4 | undefined
  readonly capable145: boolean
  readonly hostName: string | undefined
}

/** All that a sender of FORCERENEWs must know about a client. */
export interface Transaction {
  readonly vm: string
  readonly segment: string
  readonly ip: Ipv4
  readonly mac: Mac
  /** Of its last DHCPREQUEST, `0x` and 8 hex digits. */
  readonly xid: string
  /** 32 hex digits; undefined if the client has none. */
  readonly nonce: string | undefined
  /** The highest one used; with `reserveReplay`, the one to use. A decimal number, as it does not fit a double. */
  readonly replay: string
  readonly capable145: boolean
  /** ISO 8601, UTC. */
  readonly lastSeen: string
  readonly expires: string
  /** When the client asks by itself at the latest, ISO 8601, UTC; past if it should have asked and did not. */
  readonly renewsBy: string
  /** How long after an ACK that is, s: T1 as the last one told it; for udhcpc half the lease. */
  readonly renewsEvery: number
  /** What runs there, by what its last DHCPREQUEST said; undefined if it could be several. */
  readonly kind: DhcpClientKind | undefined
  readonly serverIdentifier: Ipv4
  readonly router: Ipv4 | undefined
  readonly nextRouter: Ipv4 | undefined
  /** Of a shim: the bridge port that its client is at; undefined if it is at none of that host. */
  readonly port?: string | undefined
}

/** What `relocate`, `nak` and `forcerenew` did. */
export interface Ordered {
  readonly vm: string
  readonly site: string | undefined
  /** The router that the VM's next ACK carries. */
  readonly router: Ipv4 | undefined
  /**
   * What makes the client ask: `forcerenew` was sent; `nak` waits for its next renewal; `renewal`: nothing but its own
   * T1; `none`: it has no lease here.
   */
  readonly trigger: 'forcerenew' | 'nak' | 'renewal' | 'none'
  /** When the client asks by itself at the latest, ISO 8601, UTC; past if it should have asked and did not. */
  readonly renewsBy: string | undefined
  /** Whether the other server has it on its disk; `unreachable` gets it later. Only where there is one. */
  readonly peer?: 'taken' | 'unreachable' | undefined
}

/** The other server of the segment. */
export interface PeerStatus {
  /** ADDRESS:PORT. */
  readonly peer: string
  /** It has taken all that it was told, and answers. */
  readonly connected: boolean
  /** For how long that is so. */
  readonly since: string
  /** The greatest of the directives here; where the two servers' differ, one has news for the other. */
  readonly lastSequence: number
}

/** Where a VM is, and who said so. */
export interface Whereabouts {
  readonly vm: string
  /** By the last `relocate`; undefined if there was none, or it was forgotten. */
  readonly said: string | undefined
  /** That, or else what the inventory says. */
  readonly site: string | undefined
  /** The router that the VM's next ACK carries. */
  readonly router: Ipv4 | undefined
}

export interface ServerStatus {
  readonly serverIdentifier: Ipv4
  readonly interface: string
  readonly since: string
  readonly segments: readonly {
    readonly segment: string
    readonly pool: {readonly size: number; readonly free: number}
    readonly bound: number
  }[]
  /** Messages by type, received and sent. */
  readonly received: Readonly<Record<string, number>>
  readonly sent: Readonly<Record<string, number>>
  /** Packets that got no answer, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  readonly watchers: number
  readonly residentBytes: number
  readonly peer?: PeerStatus | undefined
}

/** The same of a shim, which leases nothing itself. */
export interface ShimStatus {
  readonly site: string
  readonly since: string
  /** VMs whose replies are changed, and those of them whose last ACK was seen here. */
  readonly segments: readonly {readonly segment: string; readonly vms: number; readonly bound: number}[]
  /** Bridge ports of VMs. */
  readonly ports: readonly string[]
  readonly replies: Readonly<Record<string, number>>
  readonly watchers: number
}

/** Something that happened between a client and the server. */
export interface ExchangeEvent {
  /** ISO 8601, UTC, with milliseconds. */
  readonly at: string
  /** CLOCK_REALTIME in nanoseconds, decimal. */
  readonly atNs: string
  readonly vm: string | undefined
  readonly segment: string | undefined
  readonly mac: Mac
  /** The address offered, leased, renewed or refused. */
  readonly ip: Ipv4 | undefined
  /** What came in (`DHCPREQUEST`); undefined for what the server began (FORCERENEW). */
  readonly message: string | undefined
  /** For a DHCPREQUEST (RFC 2131 4.3.2). */
  readonly state: 'selecting' | 'init-reboot' | 'renewing' | 'rebinding' | undefined
  /** What went out; undefined for silence, which `reason` explains. */
  readonly answer: string | undefined
  readonly reason: string | undefined
  readonly router: Ipv4 | undefined
  readonly site: string | undefined
  readonly xid: string
  readonly relay: Ipv4 | undefined
  readonly capable145: boolean
}

/** Answers by what was asked. */
export interface ControlAnswers {
  readonly relocate: Ordered
  readonly site: Whereabouts
  readonly nak: Ordered
  readonly forcerenew: Ordered
  readonly transaction: Transaction
  readonly leases: {readonly leases: readonly LeaseRow[]; readonly next: number | undefined}
  readonly status: ServerStatus
  readonly watch: {readonly watching: true}
}

export type ControlResponse =
  | ({readonly ok: true} & ControlAnswers[keyof ControlAnswers])
  | {readonly ok: false; readonly error: {readonly kind: FailureKind; readonly message: string}}

type Check = readonly [want: string, holds: (value: unknown) => boolean, optional?: 'optional']

const TEXT: Check = [
  'a text of 1 to 255 characters',
  (value) => typeof value === 'string' && value !== '' && value.length < 256,
]
const FLAG: Check = ['true or false', (value) => typeof value === 'boolean', 'optional']
const whole = (min: number, max: number): Check => [
  `a whole number from ${min} to ${max}`,
  (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  'optional',
]
const orNull = ([want, holds]: Check): Check => [`${want}, or null`, (value) => value === null || holds(value)]
const optional = ([want, holds]: Check): Check => [want, holds, 'optional']

/** By hand: the schema library would be a sixth of the server's memory. */
const KEYS: Readonly<Record<ControlRequest['do'], Readonly<Record<string, Check>>>> = {
  relocate: {vm: TEXT, site: orNull(TEXT), trigger: FLAG},
  site: {vm: TEXT},
  nak: {vm: TEXT},
  forcerenew: {vm: TEXT},
  transaction: {vm: TEXT, reserveReplay: FLAG},
  leases: {segment: optional(TEXT), after: whole(0, 1e9), limit: whole(1, 1000)},
  status: {},
  watch: {vm: optional(TEXT)},
}

/** Reads one request line. @throws Failure `usage` that says what is wrong with it. */
export function parseControlRequest(line: string): ControlRequest {
  let request: Readonly<Record<string, unknown>>
  try {
    request = Object(JSON.parse(line)) as typeof request
  } catch {
    throw new Failure('usage', 'the request is not JSON (want one object a line, {"do": "status"})')
  }
  const what = request.do
  if (typeof what !== 'string' || !Object.hasOwn(KEYS, what))
    throw new Failure('usage', `"do" must be one of ${Object.keys(KEYS).join(', ')}`)
  const checks = KEYS[what as ControlRequest['do']]
  const stray = Object.keys(request).find((key) => key !== 'do' && !Object.hasOwn(checks, key))
  if (stray !== undefined) throw new Failure('usage', `${what} has no "${stray}"${hint(stray, Object.keys(checks))}`)
  for (const [key, [want, holds, may]] of Object.entries(checks)) {
    if (request[key] === undefined ? may : holds(request[key])) continue
    throw new Failure('usage', `${what}: "${key}" is not ${want}`)
  }
  return request as ControlRequest
}
