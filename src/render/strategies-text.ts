// What `strategies` says on a terminal.
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
