// What oclif plugins that bring strategies may import from gwswitch.
export type {Gateway, Segment, Vm} from './domain/inventory/site.ts'
export type {Switchover} from './domain/inventory/switchover.ts'
export {Failure, type FailureKind} from './errors.ts'
export type {Link, LinkOptions, ReceivedFrame} from './net/packet/link.ts'
export type {World} from './net/world.ts'
export {STRATEGIES_HOOK} from './strategies/registry.ts'
export type {
  Json,
  Stage,
  Strategy,
  StrategyEvent,
  StrategyOptions,
  StrategyTraits,
  Verdict,
} from './strategies/strategy.ts'
