import {BaseCommand} from '../cli/base-command.ts'
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

export default class Strategies extends BaseCommand {
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
    const {table} = await import('../render/table.ts')
    const head = ['STRATEGY', 'CONTROLLED AT', 'LAYER', 'GATEWAY IP', 'SESSIONS', 'FROM']
    this.page(
      table([
        head,
        ...strategies.map((row) => [
          row.name,
          row.controlledAt,
          row.layer,
          row.gatewayIp,
          row.sessions,
          `${row.plugin} ${row.version}`,
        ]),
      ]),
    )
    for (const {name, summary, needs} of strategies) this.page(`\n${name}: ${summary}\n  needs ${needs}`)
    return {schema: 'gwswitch.strategies/1', strategies}
  }
}
