// The contract between gwswitch and a way to move a VM's gateway. Plugins implement it.
import type {Measured} from '../domain/evaluation/measured.ts'
import type {Switchover} from '../domain/inventory/switchover.ts'
import type {NamedGateway} from '../domain/proof/gateway.ts'
import type {ProofCode} from '../domain/proof/proof.ts'
import type {World} from '../net/world.ts'
import type {Ipv4} from '../wire/address.ts'

/** The version of this contract. A strategy of another one is refused: gwswitch would misread its verdicts. */
export const CONTRACT = 1

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
  /** The destination beyond the gateway by which the switch is proved; default: what the inventory knows. */
  readonly verifyTo?: Ipv4 | undefined
  /** Whether an L2 strategy makes the VM known to whoever routes to it, in its name; default: yes. */
  readonly announce?: boolean | undefined
  /** What cannot be proved from here is left in place: a strategy whose peer goes back by itself confirms it then too. */
  readonly acceptUnverified?: boolean | undefined
  /** A VM that is seen at another site than its new gateway is not left alone. */
  readonly otherSite?: boolean | undefined
}

/** Codes that `acceptUnverified` is about: nothing speaks against the switch, or not all. */
export const ACCEPTABLE: readonly ProofCode[] = ['unverified', 'partial']

/** Options that not every strategy takes; those that it does not declare are never passed over in silence. */
export type OptionName = 'guardMs' | 'arrivalMs' | 'vlanId' | 'verifyTo'

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
  /** The VM is as it should be: served by the new gateway, or after a rollback by what it used before. */
  readonly ok: boolean
  readonly code: ProofCode
  /** The gateway that the VM was seen to use; null: it was not seen, or it is none of the segment's. */
  readonly uses: NamedGateway | null
  /** One line a piece, for people. */
  readonly evidence: readonly string[]
}

/** How things stand before anything is done. */
export interface Before<Plan> {
  /** The plan with what was observed in it: what `rollback` goes back to. */
  readonly plan: Plan
  /** The gateway that the VM was seen to use; null: not seen. */
  readonly uses: NamedGateway | null
  /** Why there is nothing to do, or nothing can be done; null: go on. `already` is `ok`. */
  readonly ends: Verdict | null
}

/** The outside while a VM that has just arrived is asked and told. */
export interface AtOnceStage<Plan> extends Stage {
  /** Resolves when the way back by this plan is safe, and all is written down. Nothing may be changed before. */
  arm(plan: Plan): Promise<void>
  /** What was before, as soon as it was seen: `rollback` goes back to that. After `arm`. */
  amend(before: Pick<Before<Plan>, 'plan' | 'uses'>): void
}

/** How a VM is switched with nothing between its arrival and the frame that tells it. */
export interface Standby<Plan, Seen = unknown> {
  /**
   * The part of `look` that needs no VM, asked ahead and again and again: null where nothing speaks against the new
   * gateway. It holds for all VMs of the segment that go there.
   */
  check(plan: Plan, stage: Stage): Promise<Verdict | null>
  /**
   * In place of `look` and `execute`, for a VM that is here now: sends the questions of the look, which change nothing, waits
   * for `arm`, tells the VM, and gives what the answers say of before to `amend`. `verify` sees also whether it is here.
   */
  atOnce(plan: Plan, stage: AtOnceStage<Plan>): Promise<Seen>
}

/** A plan is JSON: it is printed, stored, and read back by a process that did not make it. */
export type Json = string | number | boolean | null | readonly Json[] | {readonly [key: string]: Json}

/**
 * One way to make a VM use its new gateway.
 *
 * `plan` looks at this host and never touches or sends; what it returns is what --dry-run prints. It throws Failure
 * `usage` for a switchover that this strategy cannot make, saying why and what could. `look` asks the network, changing
 * nothing, which gateway the VM uses now and whether the new one serves. `execute` does the plan and nothing else; what it
 * returns is handed to `verify`. `verify` asks the network, not the plan: is the VM served? `hold` keeps a verified VM
 * where it is, for as long as was asked; nothing that happens in it undoes the switch. `rollback` gets the plan with what
 * was observed before, also after an `execute` that was cut short, also in another process, and may be run twice; its
 * verdict says whether the VM is as it was. The forms for many do the same for several plans in one go.
 */
export interface Strategy<Plan = unknown, Seen = unknown> {
  readonly contract: typeof CONTRACT
  readonly name: string
  readonly summary: string
  readonly traits: StrategyTraits
  /** Its switch time and interruption by a run of `lab run`, where whoever brings the strategy has one. */
  readonly measured?: Measured | undefined
  /** The options that it heeds. */
  readonly takes: readonly OptionName[]
  plan(switchover: Switchover, options: StrategyOptions, world: World): Promise<Plan>
  look(plan: Plan, stage: Stage): Promise<Before<Plan>>
  execute(plan: Plan, stage: Stage): Promise<Seen>
  verify(plan: Plan, stage: Stage, seen: Seen | undefined): Promise<Verdict>
  hold?(plan: Plan, stage: Stage, verified: Verdict): Promise<Verdict>
  rollback(plan: Plan, stage: Stage): Promise<Verdict>
  readonly standby?: Standby<Plan, Seen>
  /** One line per step, for people. */
  describe(plan: Plan): readonly string[]
  planMany?(switchovers: readonly Switchover[], options: StrategyOptions, world: World): Promise<readonly Plan[]>
  executeMany?(plans: readonly Plan[], stage: Stage): Promise<readonly Seen[]>
  verifyMany?(plans: readonly Plan[], stage: Stage, seen: readonly (Seen | undefined)[]): Promise<readonly Verdict[]>
  rollbackMany?(plans: readonly Plan[], stage: Stage): Promise<readonly Verdict[]>
}
