// A VM whose routes are a model of what the agent and the owner make of them, with an agent that may be killed and started
// again, for the property test of a switchover.
import fc from 'fast-check'
import {expect} from 'vitest'
import type {RouteChange} from '../../../src/domain/agent/memory.ts'
import type {SwitchAction, SwitchResult} from '../../../src/domain/agent/switchover-state.ts'
import type {SwitchMode} from '../../../src/wire/agent-message.ts'
import {FAMILIES, Guest, surroundings, switchTask} from './switching-guest.ts'

type Long = Extract<SwitchAction, {readonly kind: 'try' | 'apply' | 'prove' | 'undo' | 'end_drain' | 'reset'}>
const LONG: readonly string[] = ['try', 'apply', 'prove', 'undo', 'end_drain', 'reset']
const isLong = (action: SwitchAction): action is Long => LONG.includes(action.kind)

/** How ends what is under way: well, badly, or by an exception. */
export type End = 'well' | 'badly' | 'throws'
export type Happening =
  | {readonly kind: 'end'; readonly end: End}
  | {readonly kind: 'switch'; readonly confirm_s: number; readonly mode: SwitchMode; readonly to: string}
  | {readonly kind: 'rollback' | 'died' | 'reset'}
  | {readonly kind: 'confirm' | 'killed' | 'stop' | 'left'}
  /** Their owner makes another of the routes, or takes it away, or makes it what it was. */
  | {readonly kind: 'owner'; readonly gateway: string | undefined}
  | {readonly kind: 'wait'; readonly seconds: number}
  | {readonly kind: 'disk'; readonly full: boolean}

const record = fc.record
export const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 8,
    arbitrary: record({kind: fc.constant('end'), end: fc.constantFrom<End>('well', 'well', 'badly', 'throws')}),
  },
  {
    weight: 4,
    arbitrary: record({
      kind: fc.constant('switch'),
      confirm_s: fc.constantFrom(0, 20),
      mode: fc.constantFrom<SwitchMode>('replace', 'rule', 'drain'),
      to: fc.constantFrom('10.0.0.2', '10.0.0.2', '10.0.0.1', '10.0.0.4'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.oneof(
      record({kind: fc.constantFrom('rollback', 'died', 'reset')}),
      record({kind: fc.constantFrom('confirm', 'confirm', 'killed', 'killed', 'stop', 'left')}),
    ),
  },
  {
    weight: 3,
    arbitrary: record({
      kind: fc.constant('owner'),
      gateway: fc.constantFrom(undefined, '10.0.0.1', '10.0.0.1', '10.0.0.3'),
    }),
  },
  {weight: 2, arbitrary: record({kind: fc.constant('wait'), seconds: fc.constantFrom(0.3, 6, 21, 70, 301)})},
  {weight: 1, arbitrary: record({kind: fc.constant('disk'), full: fc.boolean()})},
)

export class AnyVm {
  guest = new Guest()
  /** The default route of the main table, and the overlay over it. */
  main: string | undefined = '10.0.0.1'
  overlay: string | undefined
  /** Whether something beyond the new gateway has answered since the last change to it. */
  proved = false
  /** The gateways of which that was so at some time. */
  readonly everProved = new Set<string>()
  ordered = 0
  over = 0
  private underway: Long | undefined
  /** What is under way ends soon, and has found nothing. */
  private abandoned = false
  private readonly used = new Set<string>()
  private seq = 0
  private full = false

  constructor() {
    this.start(this.guest)
  }

  get inUse(): string | undefined {
    return this.overlay ?? this.main
  }

  private start(guest: Guest): void {
    this.guest = guest
    guest.full = this.full
    this.ordered = 0
    this.over = 0
    this.underway = undefined
    guest.onAction = (action) => this.act(action)
    this.order(() => guest.task({kind: 'recover'}))
    this.look()
  }

  private order(give: () => void): void {
    this.ordered++
    give()
  }

  /** As the agent does it when something has changed. */
  private look(): void {
    this.guest.take({kind: 'routes_changed', facts: this.facts()})
    this.guest.take({kind: 'looked', facts: this.facts()})
  }

  private facts() {
    const [route] = FAMILIES[4].routes
    const overlay = this.overlay === undefined ? undefined : {gateway: this.overlay, interfaceIndex: 2}
    return surroundings(this.inUse, {overlay, routes: this.main === undefined ? [] : [{...route!, gateway: this.main}]})
  }

  private act(action: SwitchAction): void {
    const {disk, state} = this.guest
    if (action.kind === 'over') this.over++
    if (action.kind === 'save' && action.uses) this.used.add(action.uses.run)
    // Nothing is confirmed that is not so, or was not proved.
    if (action.kind === 'save' && action.record.state === 'confirmed')
      expect([this.inUse, this.proved]).toEqual([action.record.changes[0]!.to, true])
    if (action.kind === 'hold') {
      // Never over a route that it was not meant for.
      expect(this.main).toBe(action.changes[0]!.overlay!.route.gateway)
      this.overlay = action.changes[0]!.overlay!.after!
    }
    if (action.kind === 'withdraw') this.overlay = undefined
    if (action.kind === 'abandon') this.abandoned = true
    if (!isLong(action)) return
    // One at a time.
    expect(this.underway).toBeUndefined()
    this.underway = action
    this.abandoned = false
    if (action.kind === 'try') {
      expect(disk?.phase).toBe('probing')
      expect(this.used).toContain(disk!.run)
    }
    // The way back, and its deadline, before anything is changed.
    if (action.kind === 'apply')
      expect(disk).toMatchObject({phase: 'applying', changes: action.changes, deadline: {bootId: 'boot-1'}})
    // Made, and written down as made, before it is proved.
    if (action.kind === 'prove') expect(disk?.phase).toBe('applied')
    if (action.kind === 'undo') expect(state.record?.phase).toBe(action.keepDrain ? 'done' : 'rolling_back')
  }

  /** What is under way ends. What ends badly has done nothing, or all of it. */
  end(asked: End): void {
    const {underway} = this
    if (underway === undefined) return
    const end = this.abandoned && asked === 'well' ? 'badly' : asked
    this.underway = undefined
    if (end !== 'badly' || underway.kind === 'apply') this.carryOut(underway)
    this.guest.take(end === 'throws' ? {kind: 'failed', detail: 'EPERM'} : this.resultOf(underway, end))
  }

  private carryOut(action: Long): void {
    if (action.kind === 'apply') {
      this.proved = false
      for (const {route, overlay} of action.changes) {
        if (overlay) this.overlay = overlay.after ?? undefined
        else if (this.main === route!.before.gateway) this.main = route!.after.gateway
      }
    }
    if (action.kind === 'undo' || action.kind === 'reset') this.undo(action.changes)
    if (action.kind === 'reset') this.overlay = undefined
    if (action.kind === 'prove' && action.probes.length > 0) this.prove(action.changes[0]!.to)
  }

  private prove(to: string): void {
    this.proved = this.inUse === to
    if (this.proved) this.everProved.add(to)
  }

  private undo(changes: readonly RouteChange[]): void {
    for (const {route, overlay} of changes) {
      if (overlay) this.overlay = overlay.before ?? undefined
      else if (this.main === undefined || this.main === route!.after.gateway) this.main = route!.before.gateway
    }
  }

  private resultOf(action: Long, end: 'well' | 'badly'): SwitchResult {
    const bad = end === 'badly'
    switch (action.kind) {
      case 'try':
        return bad
          ? {kind: 'tried', wrong: {reason: 'gateway_silent', detail: ''}}
          : {kind: 'tried', families: this.facts().families}
      case 'apply':
        return bad ? {kind: 'failed', detail: 'ENETDOWN'} : {kind: 'applied'}
      case 'prove': {
        const change = action.changes[0]!
        if (this.inUse !== change.to)
          return {kind: 'proved', silent: undefined, wrong: {reason: 'mode', detail: `${this.inUse}`}}
        return {kind: 'proved', silent: bad ? change.to : undefined}
      }
      case 'undo':
        return {kind: 'undone', trouble: bad ? 'Network is down' : undefined, gone: [], left: bad ? action.changes : []}
      case 'end_drain':
        return bad ? {kind: 'failed', detail: 'nft'} : {kind: 'drain_ended'}
      case 'reset':
        return {kind: 'reset', left: bad ? 'IPv4 rules: EPERM' : undefined}
    }
  }

  owner(gateway: string | undefined): void {
    this.main = gateway
    this.look()
    this.look()
  }

  happen(what: Happening): void {
    const {guest} = this
    switch (what.kind) {
      case 'end':
        this.end(what.end)
        break
      case 'wait':
        guest.wait(what.seconds)
        break
      case 'disk':
        this.full = what.full
        guest.full = what.full
        break
      case 'owner':
        this.owner(what.gateway)
        break
      case 'killed':
        this.start(this.guest.restarted())
        break
      case 'stop':
      case 'left':
        this.order(() => guest.take({kind: 'stop', leaving: what.kind === 'left'}))
        break
      case 'confirm':
        // The policy accepts none before that.
        if (guest.state.record?.phase === 'applied') this.order(() => guest.task({kind: 'confirm'}))
        break
      default: {
        const task = this.taskOf(what)
        if (task !== undefined) this.order(() => guest.task(task))
      }
    }
  }

  private taskOf(what: Extract<Happening, {kind: 'switch' | 'rollback' | 'died' | 'reset'}>) {
    switch (what.kind) {
      case 'switch': {
        const {main, overlay} = this
        // What the policy does not accept, or finds nothing to do for, does not come here.
        if (main === undefined || this.inUse === what.to || (overlay !== undefined && what.mode === 'replace')) return
        return switchTask(++this.seq, {confirm_s: what.confirm_s, mode: what.mode, to: what.to, main, overlay})
      }
      case 'rollback':
        return {kind: 'rollback', reason: 'requested', detail: ''} as const
      case 'died': {
        const {run, seq} = this.guest.state.record ?? {run: '', seq: 0}
        return {kind: 'gateway_died', run, seq, families: [4], detail: ''} as const
      }
      case 'reset':
        return {kind: 'reset'} as const
    }
  }

  /** All that is under way ends well. */
  finish(): void {
    while (this.underway) this.end('well')
  }

  /** All is well again, and time goes on. */
  settle(): void {
    this.full = false
    this.start(this.guest.restarted())
    for (let i = 0; i < 20; i++) {
      this.finish()
      this.guest.wait(400)
    }
    this.owner(this.main ?? '10.0.0.1')
    this.finish()
  }
}
