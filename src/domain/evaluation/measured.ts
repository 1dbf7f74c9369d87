// What a run says of the strategies: switch time and interruption of each form in which they were tried.
import type {Shift} from '../trace/two-sample.ts'
import {figuresOf, type RowFigures, type Spread} from './figures.ts'
import type {LabRun, LabRunVm} from './lab-run.ts'
import {lostOf} from './statement.ts'

/** One form of a strategy, over all its migrations that count. */
export interface MeasuredForm {
  /** As `lab run --row` takes it. */
  readonly row: string
  readonly title: string
  readonly migrations: number
  /** From RESUME to the first packet at the new gateway, ms. */
  readonly toFirstMs: Spread
  /** Longest time without a packet, ms, the migration's own included. */
  readonly gapMs: Spread
  /** By how much it is longer than the control's, each less its own downtime, ms; null where that is not told. */
  readonly toControlMs: Shift | null
  /** Echoes lost after the first that came back, both users. */
  readonly lost: number
  /** Sessions that lived through gateways that only route. */
  readonly alive: {readonly n: number; readonly of: number}
}

/** With where the numbers come from. */
export interface Measured {
  /** Where the run is kept. */
  readonly source: string
  /** End of the run. */
  readonly at: string
  readonly gwswitch: string
  readonly kernel: string
  readonly vm: LabRunVm
  readonly forms: readonly MeasuredForm[]
}

/** What was measured of each strategy, by its name; a strategy of which no migration counts is not in it. */
export function measuredBy(run: LabRun, source: string): Readonly<Record<string, Measured>> {
  const {gwswitch, kernel, span} = run.provenance
  const rows = figuresOf(run).filter(({row}) => row.kind === 'gwswitch')
  const names = [...new Set(rows.flatMap(({row}) => row.strategy ?? []))]
  const all = names.map((name) => {
    const forms = rows.filter(({row}) => row.strategy === name).flatMap(formOf)
    return [name, {source, at: span[1], gwswitch, kernel, vm: run.vm, forms}] as const
  })
  return Object.fromEntries(all.filter(([, {forms}]) => forms.length > 0))
}

function formOf({row, n, ipv4, plain}: RowFigures): readonly MeasuredForm[] {
  if (ipv4 === null || plain === null) return []
  return [
    {
      ...{row: row.id, title: row.title, migrations: n},
      ...{toFirstMs: tidy(ipv4.toFirstMs), gapMs: tidy(ipv4.gapMs), toControlMs: tidy(ipv4.toControlMs?.shift ?? null)},
      ...{lost: lostOf(ipv4), alive: {n: plain.alive, of: plain.of}},
    },
  ]
}

/** Without the digits that subtraction leaves behind. */
function tidy<T extends object | null>(numbers: T): T {
  if (numbers === null) return numbers
  const short = (value: unknown): unknown => (typeof value === 'number' ? Number(value.toFixed(4)) : value)
  return Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, short(value)])) as T
}
