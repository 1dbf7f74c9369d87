// What happens to a DHCP server, what it does about it, and what goes along.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {LeaseBook} from './book.ts'
import type {Conflict, Holder} from './conflict.ts'
import type {Directive, Lease} from './lease.ts'
import type {ReplyTo} from './reply.ts'
import type {ClientRequest} from './request.ts'
import type {Answer} from './rules.ts'
import type {Scope, ServerFacts} from './scope.ts'

/** A packet that came to port 67; its bytes are valid until the step is over. */
export interface Arrival {
  readonly payload: Uint8Array
  readonly destination: Ipv4
}

/** A packet to send. */
export interface Departure {
  readonly payload: Uint8Array
  readonly to: ReplyTo
}

/** A client's message and what was decided about it. */
export interface Exchange {
  readonly request: ClientRequest
  readonly scope: Scope
  readonly answer: Answer
}

/** What goes to the disk together, and what depends on it. */
export interface Batch {
  /** By segment and address, the latest of each. */
  readonly leases: ReadonlyMap<string, Lease>
  readonly directives: readonly Directive[]
  /** Answered once all of it is stored, and not at all if it is not. */
  readonly waiting: readonly Exchange[]
  /** What held before, to take back from the last to the first if it cannot be stored. */
  readonly before: readonly Before[]
}

/** A batch that is being gathered. */
export interface OpenBatch extends Batch {
  readonly leases: Map<string, Lease>
  readonly directives: Directive[]
  readonly waiting: Exchange[]
  readonly before: Before[]
}

type Before =
  | {readonly segment: string; readonly ip: Ipv4; readonly lease: Lease | undefined}
  | {readonly directive: Directive}

/** An offer that waits until its address has been asked for, and the message to judge anew if somebody has it. */
export interface HeldOffer {
  readonly exchange: Exchange
  readonly arrival: Arrival
  /** The lease of the address before it was to be offered. */
  readonly before: Lease | undefined
  /** Other addresses that were asked for, for the same message. */
  readonly conflicts: readonly Conflict[]
}

export type ServerEvent =
  | {readonly kind: 'arrivals'; readonly batch: readonly Arrival[]}
  /** A `commit` is durable. */
  | {readonly kind: 'stored'; readonly batch: Batch}
  | {readonly kind: 'not_stored'; readonly batch: Batch; readonly why: string}
  /** The answer to a `probe`: who else uses the address. */
  | {readonly kind: 'probed'; readonly client: string; readonly holder: Holder | undefined}
  /** Nobody could be asked. */
  | {readonly kind: 'not_probed'; readonly client: string; readonly why: string}
  /** A lease or directives are others, for another reason than a client's message; they are durable already. */
  | {readonly kind: 'changed'; readonly lease?: Lease | undefined; readonly directives?: readonly Directive[]}
  /** The inventory is another, since the last run or while it runs. The books hold what the ones before held. */
  | {readonly kind: 'reloaded'; readonly facts: ServerFacts; readonly books: ReadonlyMap<string, LeaseBook>}

export type ServerAction =
  | {readonly kind: 'send'; readonly departures: readonly Departure[]}
  /** Make it durable; `stored` or `not_stored` says whether it is. */
  | {readonly kind: 'commit'; readonly batch: Batch}
  /** Ask whether anybody but `mac` uses the address; `relay` is that of the client, if it has one. */
  | {
      readonly kind: 'probe'
      readonly client: string
      readonly ip: Ipv4
      readonly mac: Mac
      readonly relay: Ipv4 | undefined
    }
  /** These are over: whoever follows them may know. */
  | {readonly kind: 'tell'; readonly exchanges: readonly Exchange[]}
  /** Something an operator should look at; `key` names the kind, for limiting its rate. */
  | {readonly kind: 'warn'; readonly key: string; readonly line: string}

/** What is so outside. */
export interface ServerNow {
  /** CLOCK_REALTIME, ns. */
  readonly nowNs: () => bigint
  /** 16 unguessable bytes, 32 hex digits. */
  readonly newNonce: () => string
  /** Whether an address is asked for before it is offered for the first time. */
  readonly probes: boolean
  /** Longest UDP payload that leaves in one frame. */
  readonly maximum: number
}
