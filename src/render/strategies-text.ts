// What `strategies` says on a terminal.
import type {Measured, MeasuredForm} from '../domain/evaluation/measured.ts'
import {differenceText, spreadText} from './evaluation/cells.ts'
import {fold} from './fold.ts'
import type {Columns} from './listing.ts'
import {tableLines} from './table.ts'

interface StrategyLine {
  readonly name: string
  readonly summary: string
  readonly plugin: string
  readonly version: string
  readonly controlledAt: string
  readonly layer: string
  readonly gatewayIp: string
  readonly sessions: string
  readonly needs: string
  readonly measured: Measured | null
}

export const STRATEGY_COLUMNS: Columns<StrategyLine> = [
  ['strategy', (row) => row.name],
  ['controlled_at', (row) => row.controlledAt],
  ['layer', (row) => row.layer],
  ['gateway_ip', (row) => row.gatewayIp],
  ['sessions', (row) => row.sessions],
  ['plugin', (row) => row.plugin],
  ['version', (row) => row.version],
  ['needs', (row) => row.needs],
  ['switch_ms', ({measured}) => ofForms(measured, ({toFirstMs}) => spreadText(toFirstMs))],
  ['gap_to_control_ms', ({measured}) => ofForms(measured, ({toControlMs}) => differenceText(toControlMs))],
  ['measured', ({measured}) => (measured === null ? 'not measured' : origin(measured))],
]

const HEADINGS = ['STRATEGY', 'CONTROLLED AT', 'LAYER', 'GATEWAY IP', 'SESSIONS', 'FROM']

export const strategiesText = (rows: readonly StrategyLine[], width?: number): string[] => [
  ...tableLines(
    [
      HEADINGS,
      ...rows.map(({name, controlledAt, layer, gatewayIp, sessions, plugin, version}) => [
        ...[name, controlledAt, layer, gatewayIp, sessions],
        `${plugin} ${version}`,
      ]),
    ],
    {width},
  ),
  ...rows.flatMap(({name, summary, needs, measured}) => [
    ...['', `${name}: ${summary}`, `  needs ${needs}`],
    ...measuredLines(measured, width),
  ]),
]

const ofForms = (measured: Measured | null, cell: (form: MeasuredForm) => string): string | undefined =>
  measured?.forms.map((form) => `${form.row} ${cell(form)}`).join('; ')

const origin = ({vm, at, gwswitch, kernel, source}: Measured): string =>
  `${vm === 'qemu' ? 'live migrations of a QEMU guest' : "moves of a namespace's link"}, ${at.slice(0, 10)}, gwswitch ${gwswitch}, Linux ${kernel}, ${source}`

/** Each form with its numbers, and where they come from. */
function measuredLines(measured: Measured | null, width: number | undefined): readonly string[] {
  if (measured === null) return ['  switch time and interruption: not measured']
  const head = ['FORM', 'N', 'FIRST PACKET, MS', 'GAP, MS', 'TO CONTROL, MS', 'LOST', 'SESSIONS']
  const forms = measured.forms.map((form) => [
    ...[form.row, `${form.migrations}`, spreadText(form.toFirstMs), spreadText(form.gapMs)],
    ...[differenceText(form.toControlMs), `${form.lost}`, `${form.alive.n}/${form.alive.of}`],
  ])
  return [
    ...fold(`measured: ${origin(measured)}`, (width ?? Number.POSITIVE_INFINITY) - 2).map((line) => `  ${line}`),
    ...tableLines([head, ...forms], {width, indent: '  '}),
  ]
}
