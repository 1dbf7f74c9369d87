// Where strategies come from: every oclif plugin, ours included, answers one hook.
import {hint} from '../domain/suggest.ts'
import {Failure} from '../errors.ts'
import {CONTRACT, type Strategy} from './strategy.ts'

/** The hook's name. A plugin's package.json: `"oclif": {"hooks": {"gwswitch:strategies": "./dist/strategies.js"}}`. */
export const STRATEGIES_HOOK = 'gwswitch:strategies'

/** The part of oclif's Config that is needed here. */
export interface HookRunner {
  runHook(
    event: string,
    options: Record<string, unknown>,
  ): Promise<{
    successes: {plugin: {name: string}; result: unknown}[]
    failures: {plugin: {name: string}; error: Error}[]
  }>
}

/** A strategy that is loaded when it is chosen: what a plugin may answer in its place. */
export interface LazyStrategy {
  readonly contract: typeof CONTRACT
  readonly name: string
  load(): Promise<Strategy>
}

/** A strategy and the plugin it comes from. */
export interface Registered {
  readonly name: string
  readonly plugin: string
  load(): Promise<Strategy>
}

/**
 * Every strategy by name, in the order of the plugins.
 * @throws Failure `runtime` for a plugin that fails, brings none, or brings a name that is taken: oclif would be silent.
 */
export async function loadStrategies(runner: HookRunner): Promise<ReadonlyMap<string, Registered>> {
  const {successes, failures} = await runner.runHook(STRATEGIES_HOOK, {})
  const failed = failures[0]
  if (failed) {
    throw new Failure('runtime', `the plugin ${failed.plugin.name} gives no strategies: ${failed.error.message}`, {
      cause: failed.error,
    })
  }
  const found = new Map<string, Registered>()
  for (const {plugin, result} of successes) {
    if (!Array.isArray(result))
      throw new Failure('runtime', `the plugin ${plugin.name} answers ${STRATEGIES_HOOK} with no list`)
    for (const strategy of result as (Strategy | LazyStrategy)[]) {
      if (strategy.contract !== CONTRACT) {
        const theirs = strategy.contract === undefined ? 'none' : String(strategy.contract)
        throw new Failure(
          'runtime',
          `the plugin ${plugin.name} brings ${strategy.name} for version ${theirs} of the strategy contract, and this gwswitch speaks ${CONTRACT}: update the plugin`,
        )
      }
      const taken = found.get(strategy.name)
      if (taken)
        throw new Failure('runtime', `both ${taken.plugin} and ${plugin.name} bring a strategy called ${strategy.name}`)
      const load = 'load' in strategy ? () => strategy.load() : async () => strategy
      found.set(strategy.name, {name: strategy.name, plugin: plugin.name, load})
    }
  }
  return found
}

/**
 * The strategies to try, in order: those asked for, else those the VM names, else all.
 * @throws Failure `usage` if one that was asked for is not installed, or none that the VM names is.
 */
export function chooseStrategies(
  installed: ReadonlyMap<string, Registered>,
  asked: readonly string[],
  ofVm: readonly string[],
): readonly Registered[] {
  const known = [...installed.keys()].join(', ')
  const missing = asked.find((name) => !installed.has(name))
  if (missing !== undefined)
    throw new Failure('usage', `no strategy ${missing} is installed${hint(missing, [...installed.keys()])}`)
  const names =
    asked.length > 0 ? asked : ofVm.length > 0 ? ofVm.filter((name) => installed.has(name)) : [...installed.keys()]
  if (names.length === 0) {
    throw new Failure('usage', `the VM takes ${ofVm.join(', ')}, none of which is installed; there are: ${known}`)
  }
  return names.map((name) => installed.get(name)!)
}
