// The way of a packet as one line of arrows: the picture of a trombone.
import type {CandidateReport, TraceReport} from '../domain/trace/report.ts'
import {candidateLabel} from './measures.ts'

export interface PathSketch {
  /** `VM(y) ══DCI══▶ rx(x) ──WAN──▶ y ──▶ dst`. */
  readonly text: string
  /** How often the path goes from one site to another; a lower bound unless `exact`. */
  readonly crossings: number
  readonly exact: boolean
}

const LINK = {same: '──▶', dci: '══DCI══▶', wan: '──WAN──▶', none: '──✗'} as const

/**
 * The path through one candidate, drawn from what is known of sites: where the VM is, the first hop, hops that an
 * inventory places, the destination. Hops that nobody places are passed over in silence.
 */
export function pathSketch(report: TraceReport, candidate: CandidateReport): PathSketch {
  const {host, destination} = report
  const steps = [node('VM', host.site)]
  let site = candidate.site
  let crossings = 0
  const go = (link: keyof typeof LINK, to: string): void => {
    if (link === 'dci' || link === 'wan') crossings++
    steps.push(LINK[link], to)
  }
  go(candidate.local === false ? 'dci' : 'same', node(candidateLabel(report, candidate), candidate.site))
  for (const hop of candidate.hops.slice(1)) {
    if (hop.reached || hop.site === null || hop.site === site) continue
    // A hop known by the MAC of its answer stands on the VM's own segment: the packet came back over the DCI.
    const onSegment = hop.siteSource === 'mac'
    go(onSegment ? 'dci' : 'wan', onSegment && hop.gateway !== null ? node(hop.gateway, hop.site) : hop.site)
    site = hop.site
  }
  if (destination.site !== null && site !== null && destination.site !== site) go('wan', destination.site)
  go(candidate.sent > 0 && candidate.received === 0 ? 'none' : 'same', 'dst')
  return {
    text: steps.join(' '),
    crossings,
    exact: candidate.local !== null && destination.site !== null && site !== null,
  }
}

const node = (name: string, site: string | null): string => (site === null ? name : `${name}(${site})`)

/** `2 crossings`, `at least 1 crossing`, or nothing where nothing is known. */
export function crossingsText({crossings, exact}: PathSketch): string {
  if (!exact && crossings === 0) return ''
  return `${exact ? '' : 'at least '}${crossings} ${crossings === 1 ? 'crossing' : 'crossings'}`
}
