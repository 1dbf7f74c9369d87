// One exit while one destination is traced through it: its own identities, its hops, what it was tried for.
import type {HopEvidence, ProbeProtocol, SoloCheck, WorksEvidence} from '../../domain/trace/evidence.ts'
import type {Ipv4} from '../../wire/address.ts'
import type {Candidate} from './candidates.ts'
import type {FirstHop} from './first-hop.ts'
import {type HopScan, hopScan} from './hop-scan.ts'
import type {Identities} from './identities.ts'
import type {Probe} from './probe.ts'

/** What classic traceroute begins with: hardly a service listens there. */
export const UNUSED_PORT = 33_434

export interface Exit {
  readonly candidate: Candidate
  readonly firstHop: FirstHop
  scan: HopScan
  /** What the scan before found, while this one goes on. */
  scanned: readonly HopEvidence[]
  works: WorksEvidence | null
  tcpFlows: readonly SoloCheck[] | null
  /** A probe of a flow: the same identity every time. */
  probe(protocol: ProbeProtocol, flow: number, ttl: number): Probe
  /** A probe of a flow that nothing on the way has seen. */
  fresh(protocol: ProbeProtocol, ttl: number, more?: {readonly port?: number; readonly length?: number}): Probe
}

export interface ExitOptions {
  readonly candidate: Candidate
  readonly firstHop: FirstHop
  readonly destination: Ipv4
  /** Destination port of TCP and UDP. */
  readonly port: number
  readonly identities: Identities
}

export function makeExit({candidate, firstHop, destination, port, identities}: ExitOptions): Exit {
  const flows = new Map<string, number>()
  const base = (protocol: ProbeProtocol) => ({protocol, via: candidate.mac, destination})
  const portOf = (protocol: ProbeProtocol): number => (protocol === 'icmp' ? 0 : port)
  return {
    candidate,
    firstHop,
    scan: hopScan(),
    scanned: [],
    works: null,
    tcpFlows: null,
    probe(protocol, flow, ttl) {
      const key = `${protocol} ${flow}`
      const identity = flows.get(key) ?? identities.fresh(protocol)
      flows.set(key, identity)
      return {...base(protocol), ttl, identity, port: portOf(protocol)}
    },
    fresh: (protocol, ttl, more = {}) => ({
      ...base(protocol),
      ttl,
      identity: identities.fresh(protocol),
      port: portOf(protocol),
      ...more,
    }),
  }
}
