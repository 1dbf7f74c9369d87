// What `strategies` says on a terminal.
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
  ...rows.flatMap(({name, summary, needs}) => ['', `${name}: ${summary}`, `  needs ${needs}`]),
]
