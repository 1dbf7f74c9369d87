// The control protocol of `serve dhcp`: one JSON object a line, over a unix socket that only its owner may open.
//
// A request gets one answer, in order: `{"ok": true, ...}` or `{"ok": false, "error": {"kind", "message"}}`. After
// `watch`, lines `{"event": ...}` follow until the connection is closed.
import {z} from 'zod'
import {Failure, type FailureKind} from '../../errors.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {LeaseState} from './lease.ts'

export const DEFAULT_CONTROL_SOCKET = '/run/gwswitch/dhcp.sock'
/** Longest request, bytes. */
export const CONTROL_LINE_LIMIT = 16_384

/** `vm` is a name from the inventory, an address, or a MAC. */
const vm = z.string().min(1).max(255)
const requestSchema = z.discriminatedUnion('do', [
  z.strictObject({
    do: z.literal('relocate'),
    vm,
    /** Where the VM is now. */
    site: z.string().min(1).max(255),
    /** Send a FORCERENEW, if the client takes one. Default true. */
    trigger: z.boolean().optional(),
  }),
  z.strictObject({do: z.literal('nak'), vm}),
  z.strictObject({do: z.literal('forcerenew'), vm}),
  z.strictObject({
    do: z.literal('transaction'),
    vm,
    /** Set aside a replay value for the asker to use, higher than any before, on disk before it is told. */
    reserveReplay: z.boolean().optional(),
  }),
  z.strictObject({
    do: z.literal('leases'),
    segment: z.string().optional(),
    /** Continue behind this one: `next` of the answer before. */
    after: z.number().int().min(0).optional(),
    limit: z.number().int().min(1).max(1000).optional(),
  }),
  z.strictObject({do: z.literal('status')}),
  z.strictObject({do: z.literal('watch'), vm: vm.optional()}),
])

export type ControlRequest = z.output<typeof requestSchema>

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
  readonly serverIdentifier: Ipv4
  readonly router: Ipv4 | undefined
  readonly nextRouter: Ipv4 | undefined
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
  /** When the client asks by itself at the latest (T1 of its lease), ISO 8601, UTC. */
  readonly renewsBy: string | undefined
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

/** Reads one request line. @throws Failure `usage` that says what is wrong with it. */
export function parseControlRequest(line: string): ControlRequest {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new Failure('usage', 'the request is not JSON (want one object a line, {"do": "status"})')
  }
  const parsed = requestSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  const known = 'relocate, nak, forcerenew, transaction, leases, status, watch'
  if (issue.path[0] === 'do' || issue.path.length === 0) {
    const keys = issue.code === 'unrecognized_keys' ? `: ${issue.keys.join(', ')} is not known` : ''
    throw new Failure('usage', keys === '' ? `"do" must be one of ${known}` : `the request${keys}`)
  }
  throw new Failure('usage', `"${issue.path.join('.')}": ${issue.message}`)
}
