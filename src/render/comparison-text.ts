// What `trace --compare` says on a terminal, behind the trace itself.
import type {Aspect, Change, DestinationComparison, TraceComparison} from '../domain/trace/before-after.ts'
import {ms, percent, signedMs} from './measures.ts'
import {type Paint, paintWith} from './paint.ts'
import {tableLines} from './table.ts'

const WORD: Readonly<Record<Change, string>> = {
  worse: 'WORSE',
  better: 'better',
  same: 'as it was',
  unclear: 'unclear',
  incomparable: 'not comparable',
}

export function comparisonText(comparison: TraceComparison, colour: boolean): string[] {
  const paint = paintWith(colour)
  const {before, destinations, missing} = comparison
  return [
    `compared with ${before.file} (${before.startedAt})`,
    ...destinations.flatMap((each) => ['', ...destinationLines(each, paint)]),
    ...missing.map((ip) => `  ${ip}  in one of the two only`),
  ]
}

function destinationLines({destination, change, aspects}: DestinationComparison, paint: Paint): string[] {
  const {roundTrip, penalty, loss, inbound, works} = aspects
  const head = ['', 'BEFORE', 'AFTER', 'CHANGE', '']
  const rows = [
    timeRow('round trip', roundTrip, paint),
    timeRow('penalty', penalty, paint),
    [
      'loss',
      share(loss.before),
      share(loss.after),
      loss.shift ? interval(loss.shift, signedPercent) : '',
      mark(loss, paint),
    ],
    ['inbound', inbound.before ?? '-', inbound.after ?? '-', '', mark(inbound, paint)],
    ['works alone', works.before ?? '-', works.after ?? '-', '', mark(works, paint)],
  ]
  return [`  ${destination}  ${tone(change, paint)(WORD[change])}`, ...tableLines([head, ...rows], {indent: '    '})]
}

const timeRow = (what: string, aspect: Aspect<number>, paint: Paint): string[] => [
  what,
  aspect.before === null ? '-' : `${ms(aspect.before)} ms`,
  aspect.after === null ? '-' : `${ms(aspect.after)} ms`,
  aspect.shift ? interval(aspect.shift, signedMs) : '',
  mark(aspect, paint),
]

const interval = (
  {value, lo, hi}: {readonly value: number; readonly lo: number; readonly hi: number},
  text: (value: number) => string,
): string => `${text(value)}  [${text(lo)} … ${text(hi)}]`

const share = (value: number | null): string => (value === null ? '-' : percent(value))
const signedPercent = (value: number): string => `${value < 0 ? '−' : '+'}${percent(Math.abs(value))}`

const mark = ({change, before, after}: Aspect<unknown>, paint: Paint): string =>
  before === null && after === null ? 'not tried' : tone(change, paint)(WORD[change])

const tone = (change: Change, paint: Paint): ((text: string) => string) =>
  change === 'worse' ? paint.bad : change === 'better' || change === 'same' ? paint.good : paint.warn
