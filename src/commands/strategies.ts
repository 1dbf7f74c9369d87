import {ListCommand} from '../cli/list-command.ts'
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
    const {STRATEGY_COLUMNS, strategiesText} = await import('../render/strategies-text.ts')
    this.list(strategies, STRATEGY_COLUMNS, () => strategiesText(strategies, process.stdout.columns))
    return {schema: 'gwswitch.strategies/1', strategies}
  }
}
