// What `switch` of many VMs says on a terminal: what is known before, how far it is, and a row a VM.
import {tableLines} from '../../render/table.ts'
import {excludedRow, type ManyEnd, type ManyRow, plannedRow, type SwitchManyDocument} from './many-rows.ts'
import type {Preflight, Progress} from './run-many.ts'

const HEADS: Readonly<Record<ManyEnd, string>> = {
  switched: 'SWITCHED',
  accepted: 'UNVERIFIED',
  already: 'ALREADY',
  'not-begun': 'NOT BEGUN',
  'rolled-back': 'ROLLED BACK',
  lost: 'LOST',
  unknown: 'UNKNOWN',
  refused: 'REFUSED',
  'left-alone': 'LEFT ALONE',
  'not-started': 'NOT STARTED',
}

/** Before anything is sent: who cannot be switched and why, and how many can by what. */
export function preflightText({to, prepared, excluded}: Preflight): string[] {
  const byStrategy = Map.groupBy(prepared, ({strategy}) => strategy.name)
  const ways = [...byStrategy].map(([name, all]) => `${all.length} by ${name}`).join(', ')
  const count = (kind: string): number => excluded.filter((each) => each.kind === kind).length
  const [refused, left] = [count('refused'), count('left-alone')]
  return [
    ...manyRows(excluded.map(excludedRow)),
    `${prepared.length} of ${prepared.length + excluded.length} VMs to switch to ${to}${ways === '' ? '' : `: ${ways}`}` +
      `${refused > 0 ? `; ${refused} refused` : ''}${left > 0 ? `; ${left} left alone` : ''}`,
  ]
}

/** A host that is to have more neighbours than it keeps loses what it sends to the others, and is not told. */
export const roomText = (
  {prepared}: Pick<Preflight, 'prepared'>,
  room: {readonly most: number; readonly held: number} | undefined,
): string[] =>
  room === undefined || prepared.length + room.held < room.most
    ? []
    : [
        `this host keeps ${room.most} neighbours at most (net.ipv4.neigh.default.gc_thresh3) and has ${room.held}: of ${prepared.length} VMs some may seem to be silent, raise it first`,
      ]

/** A dry run: what each would be switched by. */
export const dryRunText = (preflight: Preflight): string[] => [
  ...manyRows(preflight.prepared.map(plannedRow)),
  ...preflightText(preflight),
  'dry run: nothing was sent',
]

/** A row a VM: how it ended, what the network said, how long it took, and why where it did not go as meant. */
function manyRows(rows: readonly ManyRow[]): string[] {
  const cells = rows.map(({vm, from, before, to, strategy, end, code, durationMs, ...rest}) => {
    const left = before ?? from
    const way = to === null ? '' : `${left && left.name !== to.name ? `${left.name} → ` : ''}${to.name}`
    return [
      ...[end === null ? '' : HEADS[end], vm.ip === null ? vm.name : `${vm.name} (${vm.ip})`, way, strategy ?? ''],
      ...[code ?? '', durationMs === null ? '' : `${(durationMs / 1000).toFixed(2)} s`, why({end, ...rest})],
    ]
  })
  // A column in which nothing is said is none.
  const used = [0, 1, 2, 3, 4, 5, 6].filter((column) => cells.some((row) => row[column] !== ''))
  return tableLines(
    cells.map((row) => used.map((column) => row[column]!)),
    {align: used.map((column) => (column === 5 ? 'right' : 'left'))},
  )
}

function why({
  end,
  error,
  rollbackError,
  evidence,
}: Pick<ManyRow, 'end' | 'error' | 'rollbackError' | 'evidence'>): string {
  if (end === null || end === 'switched' || end === 'already') return ''
  return [error?.message, rollbackError?.message, ...evidence].find((line) => line !== undefined) ?? ''
}

/** All rows, the sum, and how to go on with those that were not started. */
export function manyText(document: SwitchManyDocument): string[] {
  // Those that were excluded were told before.
  const rows = document.rows.filter(({end}) => end !== 'refused' && end !== 'left-alone')
  const left = rows.filter(({end}) => end === 'not-started').length
  const byEnd = Map.groupBy(document.rows, ({end}) => end)
  const sum = [...byEnd].map(([end, all]) => `${all.length} ${HEADS[end!].toLowerCase()}`).join(', ')
  const resume =
    document.run === null
      ? 'the same command goes on: who is served already is left as it is'
      : `gwswitch switch --resume ${document.run} goes on with them`
  const took = document.durationMs === null ? '' : ` in ${(document.durationMs / 1000).toFixed(1)} s`
  return [
    ...manyRows(rows),
    `${document.rows.length} VMs: ${sum}${took}`,
    ...(left > 0 ? [`stopped: ${left} were not started; ${resume}`] : []),
  ]
}

/** How far it is, in a line that is written over. */
export const meterText = ({row, done, total, leftMs}: Progress): string =>
  `${done} of ${total}, about ${Math.ceil(leftMs / 1000)} s left; ${row.vm.name}: ${HEADS[row.end!].toLowerCase()}`

/** The same for a program, a line each. */
export interface SwitchProgressDocument extends Pick<ManyRow, 'end' | 'code' | 'durationMs' | 'exitCode'> {
  readonly schema: 'gwswitch.switch-progress/1'
  readonly done: number
  readonly total: number
  readonly leftMs: number
  readonly vm: string
}

export const progressDocument = ({row, done, total, leftMs}: Progress): SwitchProgressDocument => ({
  ...{schema: 'gwswitch.switch-progress/1', done, total, leftMs: Math.round(leftMs)},
  ...{vm: row.vm.name, end: row.end, code: row.code, durationMs: row.durationMs, exitCode: row.exitCode},
})
