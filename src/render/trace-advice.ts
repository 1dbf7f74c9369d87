// What a verdict means and what to do about it: one answer for every reason there is.
import type {Reason} from '../domain/trace/decision-table.ts'
import type {TraceReport} from '../domain/trace/report.ts'
import {candidateLabel, chosenAlternative, ms, placed} from './measures.ts'

export interface Advice {
  /** What the reason says, as one sentence. */
  readonly meaning: string
  /** What to do next, in words; null where nothing can be recommended. */
  readonly next: string | null
  /** The command for it, to be pasted as it stands; null if there is none. */
  readonly command: string | null
}

/** How the trace was asked for. */
export interface Asked {
  /** How gwswitch is called here. */
  readonly program: string
  /** Flags that every other command of this host needs too, `['-f', 'gwswitch.yaml']`. */
  readonly common: readonly string[]
  /** Flags of `trace` that were given, but those that advice sets itself. */
  readonly trace: readonly string[]
}

export const NOTHING_ASKED: Asked = {program: 'gwswitch', common: [], trace: []}

/** The advice on a report's egress verdict. */
export function adviceOn(report: TraceReport, asked: Asked = NOTHING_ASKED): Advice {
  const {meaning, next = null, command = null} = ADVICE[report.egress.reason](namesOf(report, asked))
  return {meaning, next, command}
}

type Draft = {readonly meaning: string} & Partial<Advice>

interface Names {
  readonly report: TraceReport
  readonly asked: Asked
  /** The first hop in use, with its site. */
  readonly current: string
  /** The one compared with. */
  readonly other: string
  readonly destination: string
  readonly threshold: string
}

function namesOf(report: TraceReport, asked: Asked): Names {
  const current = report.candidates[0]!
  const other = chosenAlternative(report)
  return {
    ...{report, asked},
    current: placed(candidateLabel(report, current), current),
    other: other === undefined ? 'the alternative' : placed(candidateLabel(report, other), other),
    destination: report.destination.ip,
    threshold: report.egress.thresholdMs === null ? 'the threshold' : `${ms(report.egress.thresholdMs)} ms`,
  }
}

/** A word as a shell takes it. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)
const commandLine = (words: readonly string[]): string => words.map(quoted).join(' ')

/** How to move the VM, as a command where the inventory names all it needs. */
function howToSwitch({report, asked, other}: Names): Pick<Draft, 'next' | 'command'> {
  const alternative = chosenAlternative(report)
  const caution =
    report.inbound.reason === 'each-by-its-exit'
      ? 'when open sessions may be cut (the way back follows the exit), '
      : ''
  if (report.host.name === null || alternative?.site == null) {
    const who = report.host.name ?? report.host.ip
    return {next: `${caution}make ${other} the default gateway of ${who}; with an inventory, gwswitch switch does it`}
  }
  return {
    next: `${caution}run on ${candidateLabel(report, alternative)}, or wherever this segment is:`,
    command: commandLine([
      ...[asked.program, 'switch', report.host.name, '--to', alternative.site],
      ...[...asked.common, '--dry-run'],
    ]),
  }
}

/** The same trace again, with other flags beside those that were given. */
const again = ({report, asked}: Names, ...flags: string[]): string =>
  commandLine([
    asked.program,
    'trace',
    report.destination.name ?? report.destination.ip,
    ...asked.common,
    ...asked.trace,
    ...flags,
  ])

const morePairs = (names: Names, ...flags: string[]): string =>
  again(names, '--pairs', `${Math.max(200, names.report.probe.pairsSent * 2)}`, ...flags)

const ADVICE: Readonly<Record<Reason, (names: Names) => Draft>> = {
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
  'destination-silent': ({report, destination, current, other}) => ({
    meaning: `${destination} answers nothing (${[...report.probe.silent, report.probe.proto].join(', ')}), neither through ${current} nor through ${other}`,
    next: 'trace an address next to it that answers; if the whole site is silent, look whether the return is cut too',
  }),
  'alternative-dead': ({other}) => ({
    meaning: `the destination answers through the gateway in use, and never through ${other}, alone or beside it`,
    next: `do not switch: see to ${other} first. Usual causes: no route there, an ACL, a stateful firewall, reverse path checks (uRPF) while the return still enters at the other site`,
  }),
  'current-dead': (names) => ({
    meaning: `the destination answers through ${names.other}, and never through the gateway in use, ${names.current}`,
    ...howToSwitch(names),
  }),
  'another-box-answers': ({other}) => ({
    meaning: `sooner through ${other}, but it is another box that answers there: a proxy, a portal, or another host of this address`,
    next: `do not switch for this: find out who answers behind ${other}`,
  }),
  'not-alone': ({other}) => ({
    meaning: `${other} is answered while the gateway in use is probed too, and not alone: something on the way keeps state`,
    next: `do not switch: through ${other} alone nothing would come back. Look for a stateful firewall on the way back`,
  }),
  'drops-large': ({report, other}) => ({
    meaning: `sooner through ${other}, but packets of ${chosenAlternative(report)?.works?.full.bytes} bytes do not get through it, and no router says so`,
    next: `do not switch: connections would open and then hang. See to the MTU behind ${other}, or to the ICMP that is dropped there`,
  }),
  'drops-tcp': ({other}) => ({
    meaning: `sooner through ${other}, but no TCP gets through it: a SYN is not answered there, and is through the gateway in use`,
    next: `do not switch: see to the firewall behind ${other}`,
  }),
  'path-changed': (names) => ({
    meaning:
      'a path changed in the middle of the run (a VM that moved, a route), and what came after is too little to judge by',
    next: 'once more, now that it is calm:',
    command: again(names),
  }),
  'too-few-pairs': (names) => ({
    meaning: 'too few pairs were answered on both sides to compare them',
    next: 'more of them, slower:',
    command: morePairs(names, '--interval', '1000'),
  }),
  'local-exit-loses': ({other}) => ({
    meaning: `sooner through ${other}, but it loses much more than the gateway in use`,
    next: `do not switch before ${other} loses less`,
  }),
  'flows-disagree': (names) => ({
    meaning: `some flows are slower by ${names.threshold} or more and some are not: several paths behind a gateway`,
    next: 'look at the flows one by one:',
    command: morePairs(names, ...(names.report.probe.proto === 'icmp' ? ['--proto', 'tcp'] : []), '--flows', '8'),
  }),
  'host-spreads-flows': ({report, current, other}) => ({
    meaning: `this host shares its flows between ${current} and ${other}, and those through the far one take the detour`,
    next: `take the far next hop out of the route: ip route show default on ${report.host.name ?? report.host.ip}`,
  }),
  'detour-behind-exit': ({current, destination}) => ({
    meaning: `${current} is the local exit, but it sends what is for ${destination} over the other site`,
    next: `switching will not help: ${current} needs a route of its own to ${destination}`,
  }),
  'destination-at-exit': ({current, other, destination}) => ({
    meaning: `${destination} is where ${current} is, so this is no detour; yet ${other} gets there sooner: load on the DCI, or a shorter way`,
    next: 'nothing to switch for; look at the load of the DCI',
  }),
  detour: (names) => ({
    meaning: `traffic to ${names.destination} leaves through ${names.current}, a DCI away; through ${names.other} it gets there sooner`,
    ...howToSwitch(names),
  }),
  'queue-not-geometry': (names) => ({
    meaning: `slower through ${names.current}, but its best round trips are as good: a queue on the way, not a detour`,
    next: 'look at the load of the DCI; when it is calm:',
    command: morePairs(names),
  }),
  'local-exit-slower': ({current, other}) => ({
    meaning: `the VM uses its own site’s gateway, ${current}, and that one is slower than ${other}`,
    next: 'nothing to switch; ask why the local exit is the longer way',
  }),
  'site-unknown': ({current, other}) => ({
    meaning: `slower through ${current} than through ${other} beyond doubt, but at which site the VM is nobody said`,
    next: 'say it with --site, or give the VM a site in the inventory: at the site of the gateway in use this is no trombone',
  }),
  'exit-loses': ({current, other}) => ({
    meaning: `no slower through ${current} where answers come, but it loses much more than ${other}`,
    next: `look at the way through ${current}: what gets through it says little of what is lost`,
  }),
  'both-cross-dci': ({other}) => ({
    meaning: `no penalty, because ${other} sends it over the other site too`,
    next: `switching alone will not help: ${other} needs a route of its own to the destination`,
  }),
  'both-far': ({destination, current, other}) => ({
    meaning: `${current} and ${other} take as long as if both crossed the DCI, though ${destination} may be near: the local one gains nothing`,
    next: 'look at the route behind the local exit: switching is no remedy for that',
  }),
  'destination-far': ({report, destination}) => ({
    meaning: `no penalty: ${destination} is near site ${report.destination.site}, and the DCI has to be crossed anyway`,
  }),
  'no-penalty': ({current, other, threshold}) => ({
    meaning: `${current} is no slower than ${other} by ${threshold} or more`,
  }),
  'current-better': ({current, other}) => ({
    meaning: `${current} is the faster way out, ahead of ${other}`,
  }),
  'path-remote-cost-unresolvable': ({current}) => ({
    meaning: `${current} is at the other site, but the DCI is so short that the cost does not show`,
    next: 'switch for the sake of the path if you like (failure domains); latency is no reason to',
  }),
  'too-restless': (names) => ({
    meaning: `all of it lies on one side of ${names.threshold}, but it varies too much for so short a run: a burst of load on the way looks like that too`,
    next: 'for longer:',
    command: morePairs(names),
  }),
  'ci-straddles-threshold': (names) => ({
    meaning: `the pairs leave open whether the penalty is above or below ${names.threshold}`,
    next: 'with more of them:',
    command: morePairs(names),
  }),
}
