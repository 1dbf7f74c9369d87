// What a verdict means and what to do about it: one answer for every reason there is.
import type {TraceReport} from '../domain/trace/report.ts'
import type {Reason} from '../domain/trace/verdict.ts'
import {candidateLabel, chosenAlternative, ms, placed} from './measures.ts'

export interface Advice {
  /** What the reason says, as one sentence. */
  readonly meaning: string
  /** What to do next. */
  readonly next: string
}

/** The advice on a report's egress verdict. */
export const adviceOn = (report: TraceReport): Advice => ADVICE[report.egress.reason](namesOf(report))

interface Names {
  readonly report: TraceReport
  /** The first hop in use, with its site. */
  readonly current: string
  /** The one compared with. */
  readonly other: string
  readonly destination: string
  readonly threshold: string
  readonly pairs: number
}

function namesOf(report: TraceReport): Names {
  const current = report.candidates[0]!
  const other = chosenAlternative(report)
  return {
    report,
    current: placed(candidateLabel(report, current), current),
    other: other === undefined ? 'the alternative' : placed(candidateLabel(report, other), other),
    destination: report.destination.ip,
    threshold: report.egress.thresholdMs === null ? '' : `${ms(report.egress.thresholdMs)} ms`,
    pairs: report.probe.pairsSent,
  }
}

/** How to move the VM, as a command where the inventory names all it needs. */
function howToSwitch({report, other}: Names): string {
  const site = chosenAlternative(report)?.site ?? null
  if (report.host.name !== null && site !== null) return `gwswitch switch ${report.host.name} --to ${site} --dry-run`
  return `make ${other} the default gateway of ${report.host.name ?? report.host.ip}; with an inventory, gwswitch switch does it`
}

const morePairs = ({report}: Names): string =>
  `gwswitch trace ${report.destination.ip} --pairs ${Math.max(200, report.probe.pairsSent * 2)}`

const ADVICE: Readonly<Record<Reason, (names: Names) => Advice>> = {
  'need-cap-net-raw': () => ({
    meaning: 'frames to a chosen gateway cannot be sent without CAP_NET_RAW',
    next: 'run as root, or: setcap cap_net_raw+ep on the program that runs gwswitch',
  }),
  'no-alternative': ({report, current}) => ({
    meaning:
      report.egress.alternative === null
        ? `no other first hop than ${current} is known`
        : 'no first hop at the VM’s own site is known: this one is as far',
    next: 'name one with --via GATEWAY or --via IP=MAC, or list it in the inventory',
  }),
  'route-changed': ({destination}) => ({
    meaning: 'the host changed its way in the middle of the run, so that the pairs compare nothing',
    next: `find out what changes the way to ${destination} (ip monitor route neigh), then trace again`,
  }),
  'first-hop-not-selectable': ({other}) => ({
    meaning: 'both first hops have one MAC: a frame cannot be addressed to either of them',
    next: `give the routers’ own MACs, not the shared virtual one: --via IP=MAC for ${other}`,
  }),
  'vmac-unstable': () => ({
    meaning: 'one MAC is answered for by more than one router: which of them a probe met is chance',
    next: 'keep the virtual MAC inside each site (gwswitch filter), or give the routers’ own MACs with --via IP=MAC',
  }),
  'destination-silent': ({destination, current, other}) => ({
    meaning: `${destination} answers nothing, neither through ${current} nor through ${other}`,
    next: 'trace an address next to it that answers; if the whole site is silent, look whether the return is cut too',
  }),
  'alternative-dead': ({other}) => ({
    meaning: `the destination answers through the gateway in use, and never through ${other}`,
    next: `do not switch: see to ${other} first. Usual causes: no route there, an ACL, a stateful firewall, reverse path checks (uRPF) while the return still enters at the other site`,
  }),
  'current-dead': (names) => ({
    meaning: `the destination answers through ${names.other}, and never through the gateway in use, ${names.current}`,
    next: howToSwitch(names),
  }),
  'too-few-pairs': (names) => ({
    meaning: 'too few pairs were answered on both sides, or one side lost many more, to compare them',
    next: `${morePairs(names)} --interval 1000, in case answers are rate limited on the way`,
  }),
  'flows-disagree': (names) => ({
    meaning: `some flows take the detour and some do not (threshold ${names.threshold}): several paths behind a gateway`,
    next: `${morePairs(names)} --flows 8, and look at the flows one by one`,
  }),
  detour: (names) => ({
    meaning: `traffic to ${names.destination} leaves through ${names.current}, a DCI away; through ${names.other} it gets there sooner`,
    next: howToSwitch(names),
  }),
  'queue-not-geometry': (names) => ({
    meaning: `slower through ${names.current}, but its best round trips are as good: a queue on the way, not a detour`,
    next: `look at the load of the DCI; when it is calm: ${morePairs(names)}`,
  }),
  'local-exit-slower': ({current, other}) => ({
    meaning: `the VM uses its own site’s gateway, ${current}, and that one is slower than ${other}`,
    next: 'nothing to switch; ask why the local exit is the longer way',
  }),
  'site-unknown': ({current, other}) => ({
    meaning: `slower through ${current} than through ${other} beyond doubt, but at which site the VM is nobody said`,
    next: 'say it with --site, or give the VM a site in the inventory: at the site of the gateway in use this is no trombone',
  }),
  'both-cross-dci': ({other}) => ({
    meaning: `no penalty, because ${other} sends it over the other site too`,
    next: `switching alone will not help: ${other} needs a route of its own to the destination`,
  }),
  'destination-far': ({report, destination}) => ({
    meaning: `no penalty: ${destination} is near site ${report.destination.site}, and the DCI has to be crossed anyway`,
    next: 'nothing to do for this destination',
  }),
  'no-penalty': ({current, other, threshold}) => ({
    meaning: `${current} is no slower than ${other} by ${threshold} or more`,
    next: 'nothing to do',
  }),
  'current-better': ({current, other}) => ({
    meaning: `${current} is the faster way out, ahead of ${other}`,
    next: 'nothing to do: do not switch',
  }),
  'path-remote-cost-unresolvable': ({current}) => ({
    meaning: `${current} is at the other site, but the DCI is so short that the cost does not show`,
    next: 'switch for the sake of the path if you like (failure domains); latency is no reason to',
  }),
  'ci-straddles-threshold': (names) => ({
    meaning: `the pairs leave open whether the penalty is above or below ${names.threshold}`,
    next: morePairs(names),
  }),
}
