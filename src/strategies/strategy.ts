// The contract between gwswitch and a way to move a VM's gateway. Plugins implement it.
import type {Switchover} from '../domain/inventory/switchover.ts'
import type {World} from '../net/world.ts'

/** What a strategy is like, for `gwswitch strategies` and for whoever has to choose. */
export interface StrategyTraits {
  /** Where the change is made. */
  readonly controlledAt: string
  readonly layer: 'L2' | 'L3'
  /** Whether the VM's gateway IP stays the same. */
  readonly gatewayIp: 'stays' | 'changes'
  /** What happens to open sessions. */
  readonly sessions: string
  /** What must be there for it to work. */
  readonly needs: string
}

/** What the user may say about how to carry it out. */
export interface StrategyOptions {
  /** Interface to act through, where the strategy sends frames. */
  readonly interfaceName?: string | undefined
  /** 802.1Q VLAN ID of the segment on that interface. */
  readonly vlanId?: number | undefined
  /** How long to hold the VM on its new gateway after it was verified, ms, where others could move it back. */
  readonly guardMs?: number | undefined
  /** The VM does not run at its new site yet: wait for it at most this long, ms, with everything laid ready. */
  readonly arrivalMs?: number | undefined
}

/** Something that happened, for the timeline. */
export interface StrategyEvent {
  /** CLOCK_REALTIME, ns. */
  readonly atNs: bigint
  readonly text: string
  /** The frame, where it was one. */
  readonly frame?: EventFrame | undefined
}

/** A frame as reports carry it. */
export interface EventFrame {
  readonly direction: 'out' | 'in'
  readonly kind: string
  readonly hex: string
}

/** The outside as a strategy gets it while it acts. */
export interface Stage {
  readonly world: World
  readonly signal: AbortSignal
  observe(event: StrategyEvent): void
}

/** What the network says. */
export interface Verdict {
  readonly ok: boolean
  /** One line a piece, for people. */
  readonly evidence: readonly string[]
}

/** A plan is JSON: it is printed, stored, and read back by a process that did not make it. */
export type Json = string | number | boolean | null | readonly Json[] | {readonly [key: string]: Json}

/**
 * One way to make a VM use its new gateway.
 *
 * `plan` looks and never touches; what it returns is what --dry-run prints. It throws Failure `usage` for a switchover
 * that this strategy cannot make, saying why and what could. `execute` does the plan and nothing else. `verify` asks the
 * network, not the plan. `rollback` gets the same plan, also after an `execute` that was cut short, and may be run twice;
 * its verdict says whether the VM uses the old gateway again.
 */
export interface Strategy<Plan = unknown> {
  readonly name: string
  readonly summary: string
  readonly traits: StrategyTraits
  plan(switchover: Switchover, options: StrategyOptions, world: World): Promise<Plan>
  execute(plan: Plan, stage: Stage): Promise<void>
  verify(plan: Plan, stage: Stage): Promise<Verdict>
  rollback(plan: Plan, stage: Stage): Promise<Verdict>
  /** One line per step, for people. */
  describe(plan: Plan): readonly string[]
}
