// What oclif plugins that bring strategies may import from gwswitch.
export type {Measured, MeasuredForm} from './domain/evaluation/measured.ts'
export type {Gateway, Segment, Vm} from './domain/inventory/site.ts'
export type {Switchover} from './domain/inventory/switchover.ts'
export {type GatewaySeen, gatewayText, isDead, type NamedGateway} from './domain/proof/gateway.ts'
export {
  type EgressSeen,
  judgeAfter,
  judgeBefore,
  type Observation,
  PROOF_CODES,
  type Proof,
  type ProofCode,
  type ProofSubject,
} from './domain/proof/proof.ts'
export {Failure, type FailureKind} from './errors.ts'
export {anyOf, etherType, type Test} from './net/packet/bpf.ts'
export type {Link, LinkOptions, ReceivedFrame} from './net/packet/link.ts'
export type {World} from './net/world.ts'
export {askEgress, type Egress, type EgressQuestion} from './probe/egress.ts'
export {askGateways, type GatewayQuestion} from './probe/gateways.ts'
export {type LazyStrategy, STRATEGIES_HOOK} from './strategies/registry.ts'
export {askAbout, look, type Scene, sceneOf, subjectOf} from './strategies/scene.ts'
export {lookBefore, proveServed, putBack, type Standing, type WayBack} from './strategies/standing.ts'
export {
  ACCEPTABLE,
  type Before,
  CONTRACT,
  type Json,
  type OptionName,
  type Stage,
  type Strategy,
  type StrategyEvent,
  type StrategyOptions,
  type StrategyTraits,
  type Verdict,
} from './strategies/strategy.ts'
