// Figures of a run as cells, the same in text, in Markdown and on a page. Only what was measured has a number.
import type {Difference, FamilyFigures, RowFigures, Sessions, Spread} from '../../domain/evaluation/figures.ts'
import {signedMs} from '../../domain/evaluation/statement.ts'
import type {Shift} from '../../domain/trace/two-sample.ts'

/** What was not asked, or is not there. */
const NOTHING = '–'

export interface Column {
  /** `first packet, ms`. */
  readonly head: string
  /** One line: what it is. */
  readonly means: string
  cell(figures: RowFigures): string
}

/** Whole ms from ten on: what is measured is no finer. */
const amount = (value: number): string => {
  const size = Math.abs(value)
  const digits = size >= 9.95 || Number.isInteger(value) ? size.toFixed(0) : size.toFixed(1)
  return value < 0 && Number(digits) !== 0 ? `−${digits}` : digits
}
const orNever = (value: number | null): string => (value === null ? 'never' : amount(value))

/** `51 [40–58]`, `51` where all are the same, `never` where it never came. */
export function spreadText(spread: Spread | null | undefined): string {
  if (!spread) return NOTHING
  const {median, lo, hi} = spread
  const [least, most] = [orNever(lo), orNever(hi)]
  return least === most ? orNever(median) : `${orNever(median)} [${least}–${most}]`
}

/** Of a difference to a control, if there is one. */
const toControlText = (difference: Difference | null | undefined): string =>
  difference ? (difference.shift === null ? 'too few' : differenceText(difference.shift)) : NOTHING

/** `+6 [−24 to +30]`, with what the interval covers beside the table. */
export function differenceText(shift: Shift | null): string {
  if (shift === null) return NOTHING
  const {value, lo, hi} = shift
  return `${signedMs(value)} [${signedMs(lo, Math.floor)} to ${signedMs(hi, Math.ceil)}]`
}

/** Of all migrations of the row together. */
const lostText = (family: FamilyFigures | null): string =>
  family ? `${family.near.lostInAll}, ${family.far.lostInAll}` : NOTHING

const aliveText = (sessions: Sessions | null): string => (sessions ? `${sessions.alive}/${sessions.of}` : NOTHING)

const tripsText = (family: FamilyFigures | null, user: 'near' | 'far'): string =>
  family
    ? (['before', 'trombone', 'after'] as const)
        .map((when) => {
          const trip = family[user].rttMs[when]
          return trip?.median == null ? NOTHING : amount(trip.median)
        })
        .join('→')
    : NOTHING

const n: Column = {
  head: 'n',
  means: 'migrations that count; those that are void after a plus',
  cell: (figures) => (figures.voids === 0 ? `${figures.n}` : `${figures.n} +${figures.voids}`),
}
const downtime: Column = {
  head: 'downtime',
  means: "ms from the source's STOP to RESUME",
  cell: ({downtimeMs}) => spreadText(downtimeMs),
}
const first: Column = {
  head: 'first packet',
  means: "ms from RESUME to the VM's first packet at the new gateway",
  cell: ({ipv4}) => spreadText(ipv4?.toFirstMs),
}
const trombone: Column = {
  head: 'trombone',
  means: 'packets of the VM at the old gateway after RESUME',
  cell: ({ipv4}) => spreadText(ipv4?.trombone),
}
const lost: Column = {
  head: 'lost',
  means: 'echoes lost after the first that came back, in all migrations of the row: near user, far user',
  cell: ({ipv4}) => lostText(ipv4),
}
const gapNear: Column = {
  head: 'gap near',
  means: "longest time without a packet, ms, either direction, near user; the migration's own included",
  cell: ({ipv4}) => spreadText(ipv4?.near.gapMs),
}
const gapFar: Column = {head: 'gap far', means: 'the same, far user', cell: ({ipv4}) => spreadText(ipv4?.far.gapMs)}
const toControl: Column = {
  head: 'gap to control',
  means:
    "by how much the longest gap, less the migration's own downtime, differs from the control's, ms, with an interval",
  cell: ({ipv4, row}) => (row.kind === 'control' ? 'control' : toControlText(ipv4?.toControlMs)),
}
const plain: Column = {
  head: 'TCP plain',
  means: 'sessions alive through gateways that only route',
  cell: (figures) => aliveText(figures.plain),
}
const nat: Column = {
  head: 'TCP NAT',
  means: 'sessions alive through gateways that translate addresses',
  cell: (figures) => aliveText(figures.nat),
}

/** What the run is about. */
export const MAIN: readonly Column[] = [
  ...[n, downtime, first, trombone, lost],
  ...[gapNear, gapFar, toControl, plain, nat],
]

/** The same in the width of a terminal. */
export const SWITCH: readonly Column[] = [n, downtime, first, trombone, lost, plain, nat]

export const GAPS: readonly Column[] = [
  gapNear,
  gapFar,
  {
    head: 'beyond downtime',
    means: 'the longest gap of all, less the downtime of its own migration, ms',
    cell: ({ipv4}) => spreadText(ipv4?.beyondMs),
  },
  toControl,
]

const gapOf = (user: 'near' | 'far', way: 'gapOutMs' | 'gapInMs', head: string): Column => ({
  head,
  means: `longest time without a packet, ms, ${way === 'gapOutMs' ? `from the VM at the ${user} user` : `from the ${user} user at the VM's port`}`,
  cell: ({ipv4}) => spreadText(ipv4?.[user][way]),
})

export const WAYS: readonly Column[] = [
  {
    head: 'RTT near',
    means: 'round trip of the near user, ms: before→by way of the old site→at the end',
    cell: ({ipv4}) => tripsText(ipv4, 'near'),
  },
  {head: 'RTT far', means: 'the same, far user', cell: ({ipv4}) => tripsText(ipv4, 'far')},
  {
    head: 'TCP gap',
    means: 'longest time without a new line of the session through gateways that only route, ms',
    cell: (figures) => spreadText(figures.plain?.gapMs),
  },
  {
    head: 'ENETUNREACH',
    means: "sends that the guest's kernel refused for want of a route",
    cell: ({unreachable}) => spreadText(unreachable),
  },
]

export const DIRECTIONS: readonly Column[] = [
  gapOf('near', 'gapOutMs', 'near, out'),
  gapOf('near', 'gapInMs', 'near, in'),
  gapOf('far', 'gapOutMs', 'far, out'),
  gapOf('far', 'gapInMs', 'far, in'),
]

export const IPV6: readonly Column[] = [
  {head: 'IPv6 first', means: 'first packet, IPv6', cell: ({ipv6}) => spreadText(ipv6?.toFirstMs)},
  {head: 'IPv6 trombone', means: 'trombone, IPv6', cell: ({ipv6}) => spreadText(ipv6?.trombone)},
  {head: 'IPv6 lost', means: 'lost, IPv6', cell: ({ipv6}) => lostText(ipv6)},
  {
    head: 'IPv6 gap to control',
    means: 'gap to control, IPv6',
    cell: ({ipv6, row}) => (row.kind === 'control' ? 'control' : toControlText(ipv6?.toControlMs)),
  },
]
