import {ListCommand} from '../cli/list-command.ts'
import type {Columns} from '../render/listing.ts'
import {loadStrategies} from '../strategies/registry.ts'
import type {StrategyTraits} from '../strategies/strategy.ts'

interface StrategiesDocument {
  readonly schema: 'gwswitch.strategies/1'
  readonly strategies: readonly ({
    readonly name: string
    readonly summary: string
    readonly plugin: string
    /** Of the plugin. */
    readonly version: string
  } & StrategyTraits)[]
}

type StrategyRow = StrategiesDocument['strategies'][number]

const COLUMNS: Columns<StrategyRow> = [
  ['strategy', (row) => row.name],
  ['controlled_at', (row) => row.controlledAt],
  ['layer', (row) => row.layer],
  ['gateway_ip', (row) => row.gatewayIp],
  ['sessions', (row) => row.sessions],
  ['plugin', (row) => row.plugin],
  ['version', (row) => row.version],
  ['needs', (row) => row.needs],
]

export default class Strategies extends ListCommand {
  static override summary = 'list the ways to move a gateway, what each touches and what it does to sessions'
  static override description = 'Plugins add strategies by answering the oclif hook gwswitch:strategies.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json']

  async run(): Promise<StrategiesDocument> {
    await this.parse(Strategies)
    const installed = [...(await loadStrategies(this.config)).values()]
    const strategies = await Promise.all(
      installed.map(async ({plugin, load}) => {
        const {name, summary, traits} = await load()
        return {name, summary, plugin, version: this.config.plugins.get(plugin)!.version, ...traits}
      }),
    )
    const {strategiesText} = await import('../render/strategies-text.ts')
    this.list(strategies, COLUMNS, () => strategiesText(strategies, process.stdout.columns))
    return {schema: 'gwswitch.strategies/1', strategies}
  }
}
