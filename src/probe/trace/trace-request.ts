// What one destination is traced by.
import type {HostEvidence, KnownSites, ProbeProtocol, TraceEvidence} from '../../domain/trace/evidence.ts'
import type {Step} from '../../domain/trace/plan.ts'
import type {Ipv4} from '../../wire/address.ts'
import type {GatewayFact, HopQuestion, NamedHop} from './candidates.ts'

export interface TraceRequest extends HopQuestion {
  readonly destination: {readonly ip: Ipv4; readonly name: string | null}
  readonly alternatives: readonly NamedHop[]
  /** The user named them; else they are all that the inventory has. */
  readonly alternativesNamed: boolean
  /** Name of this host and its site, as told; see `HostEvidence`. */
  readonly host: Pick<HostEvidence, 'name' | 'site'>
  readonly known: KnownSites
  readonly gateways: readonly GatewayFact[]
  /** Tried in order: the first that the destination answers is what the pairs are sent in. */
  readonly protocols: readonly ProbeProtocol[]
  /** Destination port of TCP and UDP probes. */
  readonly port: number
  /** Most pairs to send through each alternative. */
  readonly pairs: number
  /** How many settled pairs are kept, the newest; undefined: all. */
  readonly keep?: number | undefined
  /** Flows the pairs are spread over, at least 1. */
  readonly flows: number
  /** Mean time between pairs, ms; undefined: quick at first, then slower. */
  readonly intervalMs: number | undefined
  /** What to do after what was seen so far; `mayGoOn` is false when no more pairs may be sent. */
  next(evidence: TraceEvidence, mayGoOn: boolean): Step
  onPair?(sent: number): void
}
