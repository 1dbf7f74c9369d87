import {ListCommand} from '../cli/list-command.ts'
import type {Measured} from '../domain/evaluation/measured.ts'
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
    /** Switch time and interruption; null where they were not measured. */
    readonly measured: Measured | null
  } & StrategyTraits)[]
}

export default class Strategies extends ListCommand {
  static override summary =
    'list the ways to move a gateway, what each touches, what it does to sessions, how long it takes'
  static override description =
    'Switch time and interruption are those of a run of `lab run` whose origin is said; "not measured" where there is none. ' +
    'Plugins add strategies by answering the oclif hook gwswitch:strategies.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json']

  async run(): Promise<StrategiesDocument> {
    await this.parse(Strategies)
    const {MEASURED} = await import('../strategies/measured.ts')
    const installed = [...(await loadStrategies(this.config)).values()]
    const strategies = await Promise.all(
      installed.map(async ({plugin, load}) => {
        const {name, summary, traits, measured} = await load()
        // What was measured of our own says nothing of a plugin's, whatever it is called.
        const own = plugin === this.config.name ? MEASURED[name] : undefined
        const {version} = this.config.plugins.get(plugin)!
        return {name, summary, plugin, version, ...traits, measured: measured ?? own ?? null}
      }),
    )
    const {STRATEGY_COLUMNS, strategiesText} = await import('../render/strategies-text.ts')
    this.list(strategies, STRATEGY_COLUMNS, () => strategiesText(strategies, process.stdout.columns))
    return {schema: 'gwswitch.strategies/1', strategies}
  }
}
