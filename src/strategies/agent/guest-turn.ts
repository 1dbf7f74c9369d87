// The phases, events and actions of a switch in a guest without an agent of ours, and how one step is written down.
import type {CommandResult} from '../../net/process/command.ts'
import type {GuestInterface} from '../../net/stream/qga.ts'
import type {Ipv4} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {AgentTarget, GatewayPair, NotifyTiming, Standing, SwitchOrder} from './conversation.ts'
import type {Change, Why} from './guest-choice.ts'
import type {Argv} from './guest-command.ts'

/** What was asked of the guest, and what it is asked for. `at` counts families, changes. */
export type GuestPhase =
  /** Nothing was ordered yet, or it is over. */
  | {readonly kind: 'idle'}
  | {readonly kind: 'finding_nic'}
  /** Of the family that `changes` says nothing of yet. */
  | {readonly kind: 'reading_route'; readonly nics: readonly GuestInterface[]; readonly changes: readonly Change[]}
  /** An echo makes the guest ask for the gateway's MAC; that it answers echoes is not wanted. */
  | {readonly kind: 'asking_gateway'; readonly changes: readonly Change[]; readonly at: number}
  | {readonly kind: 'reading_neighbour'; readonly changes: readonly Change[]; readonly at: number}
  /** On disk in the guest, and running there, before anything is changed. */
  | {readonly kind: 'saving'; readonly changes: readonly Change[]}
  | {readonly kind: 'arming'; readonly changes: readonly Change[]}
  | {readonly kind: 'applying'; readonly changes: readonly Change[]; readonly at: number}
  /** `probes`: the one under way and those of its family that are left. */
  | {
      readonly kind: 'probing'
      readonly used: GatewayPair
      readonly at: number
      readonly probes: readonly (Ipv4 | Ipv6)[]
    }
  | {readonly kind: 'disarming'}
  | {readonly kind: 'reading_saved'; readonly why: Why | undefined}
  /** `lines`: the one under way and those that are left. */
  | {readonly kind: 'running_saved'; readonly lines: readonly string[]; readonly why: Why | undefined}
  | {readonly kind: 'dropping_saved'; readonly why: Why | undefined}
  /** Nothing was saved: the old gateway goes into what is there now. */
  | {readonly kind: 'reading_new_route'; readonly at: number; readonly why: Why | undefined}
  | {readonly kind: 'writing_old_gateway'; readonly at: number; readonly why: Why | undefined}
  /** Those in use, family by family. */
  | {readonly kind: 'reading_gateways'; readonly used: GatewayPair; readonly at: number; readonly purpose: Purpose}

/** What the gateways in use are to tell: whether the order is obeyed, holds, is taken back; or just how it stands. */
export type Purpose =
  | {readonly kind: 'prove'}
  | {readonly kind: 'confirm'; readonly disarmed: boolean}
  | {readonly kind: 'roll_back'}
  | {readonly kind: 'report'; readonly state: Standing['state']; readonly why: Why | undefined}

export interface GuestSwitch {
  readonly target: AgentTarget
  readonly order: SwitchOrder
  readonly phase: GuestPhase
  /** Programs run, all told. */
  readonly commands: number
  readonly timing: NotifyTiming
}

export const guestSwitch = (target: AgentTarget, order: SwitchOrder): GuestSwitch => ({
  target,
  order,
  phase: {kind: 'idle'},
  commands: 0,
  timing: {receivedMs: null, appliedMs: null, confirmedMs: null, agentApplyMs: null, agentConfirmMs: null},
})

/** What is ordered: see `Conversation`. */
export type GuestOrder = 'begin' | 'confirm' | 'roll_back'

export type GuestEvent =
  | {readonly kind: GuestOrder}
  /** The guest's agent answers. */
  | {readonly kind: 'opened'}
  | {readonly kind: 'interfaces'; readonly nics: readonly GuestInterface[]}
  | {readonly kind: 'ran'; readonly argv: Argv; readonly result: CommandResult}
  | {readonly kind: 'started'}
  /** The guest's agent says nothing more, or does not run programs: whatever was asked has no answer. */
  | {readonly kind: 'failed'; readonly state: 'silent' | 'refused'; readonly detail: string}

/** To a question. */
export type Answer = Extract<GuestEvent, {kind: 'interfaces' | 'ran' | 'started'}>

/** A question, whose answer is the next event: `interfaces`, `ran`, `started`; or `failed`. */
export type GuestAsk =
  | {readonly kind: 'interfaces'}
  | {readonly kind: 'run'; readonly argv: Argv}
  /** It goes on in the guest. */
  | {readonly kind: 'start'; readonly argv: Argv}

export type GuestAction =
  | GuestAsk
  | {readonly kind: 'say'; readonly text: string}
  /** How it stands: what was ordered is over. */
  | {readonly kind: 'done'; readonly standing: Standing}

/** A step under way. */
export interface Turn {
  readonly nowMs: number
  state: GuestSwitch
  readonly actions: GuestAction[]
}

function put(turn: Turn, over: Partial<GuestSwitch>): void {
  turn.state = {...turn.state, ...over}
}

export function say({actions}: Turn, text: string): void {
  actions.push({kind: 'say', text})
}

export function ask(turn: Turn, phase: GuestPhase, question: GuestAsk): void {
  put(turn, {phase})
  turn.actions.push(question)
}

export function run(turn: Turn, phase: GuestPhase, argv: Argv): void {
  put(turn, {commands: turn.state.commands + 1})
  ask(turn, phase, {kind: 'run', argv})
}

export function time(turn: Turn, what: 'receivedMs' | 'appliedMs' | 'confirmedMs'): void {
  put(turn, {timing: {...turn.state.timing, [what]: turn.nowMs}})
}

export function done(turn: Turn, standing: Omit<Standing, 'timing'>): void {
  put(turn, {phase: {kind: 'idle'}})
  turn.actions.push({kind: 'done', standing: {...standing, timing: turn.state.timing}})
}
