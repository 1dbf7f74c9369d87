// Whatever happens to a switchover, in whatever order, at whatever time: the disk knows of everything before it is done, turns
// never mingle, and in the end the VM is on the old gateway or on one that was proved, and takes the next command.
import fc from 'fast-check'
import {expect, it} from 'vitest'
import type {SwitchRecord} from '../../../src/domain/agent/memory.ts'
import type {SwitchAction, SwitchResult} from '../../../src/domain/agent/switchover-state.ts'
import {FAMILIES, Guest, switchTask} from './switching-guest.ts'

type Long = Extract<SwitchAction, {readonly kind: 'try' | 'apply' | 'prove' | 'undo' | 'end_drain'}>
const LONG: readonly string[] = ['try', 'apply', 'prove', 'undo', 'end_drain']
const isLong = (action: SwitchAction): action is Long => LONG.includes(action.kind)

/** How ends what is under way: well, badly, or by an exception. */
type End = 'well' | 'badly' | 'throws'
type Happening =
  | {readonly kind: 'end'; readonly end: End}
  | {readonly kind: 'switch'; readonly confirm_s: number; readonly drain: boolean}
  | {readonly kind: 'rollback' | 'died'}
  | {readonly kind: 'confirm' | 'changed' | 'killed' | 'stop'}
  | {readonly kind: 'wait'; readonly seconds: number}
  | {readonly kind: 'disk'; readonly full: boolean}

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({kind: fc.constant('end'), end: fc.constantFrom<End>('well', 'well', 'badly', 'throws')}),
  },
  {
    weight: 4,
    arbitrary: fc.record({kind: fc.constant('switch'), confirm_s: fc.constantFrom(0, 20), drain: fc.boolean()}),
  },
  {
    weight: 4,
    arbitrary: fc.oneof(
      fc.record({kind: fc.constantFrom('rollback', 'died')}),
      fc.record({kind: fc.constantFrom('confirm', 'confirm', 'changed', 'killed', 'killed', 'stop')}),
    ),
  },
  {weight: 2, arbitrary: fc.record({kind: fc.constant('wait'), seconds: fc.constantFrom(0.3, 6, 21, 301)})},
  {weight: 1, arbitrary: fc.record({kind: fc.constant('disk'), full: fc.boolean()})},
)

/** A VM with an agent that may be killed and started again. */
class Machine {
  guest = new Guest()
  /** Whether the routes are, in part at least, those of this switch; and whether the gateway was proved since. */
  changedBy: string | undefined
  proved = false
  underway: Long | undefined
  ordered = 0
  over = 0
  used = new Set<string>()
  /** What was undone while the disk was full is not known to the agent that comes after a kill. */
  forgot = false
  private seq = 0
  full = false

  constructor() {
    this.start(this.guest)
  }

  private start(guest: Guest): void {
    this.guest = guest
    guest.full = this.full
    this.ordered = 0
    this.over = 0
    this.underway = undefined
    guest.onAction = (action) => this.act(action)
    this.order(() => guest.task({kind: 'recover'}))
  }

  private restart(): void {
    this.forgot ||= this.guest.disk !== this.guest.state.record
    this.start(this.guest.restarted())
  }

  private order(give: () => void): void {
    this.ordered++
    give()
  }

  private act(action: SwitchAction): void {
    const {disk} = this.guest
    if (action.kind === 'over') this.over++
    if (action.kind === 'save' && action.uses) this.used.add(action.uses.run)
    if (!isLong(action)) return
    // One at a time.
    expect(this.underway).toBeUndefined()
    this.underway = action
    if (action.kind === 'try') {
      expect(disk?.phase).toBe('probing')
      expect(this.used).toContain(disk!.run)
    }
    // The way back, and its deadline, before anything is changed.
    if (action.kind === 'apply') {
      expect(disk).toMatchObject({phase: 'applying', changes: action.changes, deadline: {bootId: 'boot-1'}})
      this.changedBy = disk!.run
      this.proved = false
    }
    // Made, and written down as made, before it is proved.
    if (action.kind === 'prove') expect(disk?.phase).toBe('applied')
    if (action.kind === 'undo') expect(this.guest.state.record?.phase).toBe('rolling_back')
  }

  end(end: End): void {
    const {underway} = this
    if (underway === undefined) return
    this.underway = undefined
    if (end === 'well' && underway.kind === 'undo') this.changedBy = undefined
    if (end === 'well' && underway.kind === 'prove') this.proved = true
    this.guest.take(end === 'throws' ? {kind: 'failed', detail: 'EPERM'} : resultOf(underway, end))
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
      case 'changed':
        guest.take({kind: 'routes_changed'})
        break
      case 'killed':
        this.restart()
        break
      case 'stop':
        this.order(() => guest.take({kind: 'stop'}))
        break
      case 'confirm':
        // The policy accepts none before that; whoever gives it has proved the gateway.
        if (guest.state.record?.phase !== 'applied') break
        this.proved = true
        this.order(() => guest.task({kind: 'confirm'}))
        break
      default:
        this.order(() => guest.task(this.taskOf(what)))
    }
  }

  private taskOf(what: Extract<Happening, {kind: 'switch' | 'rollback' | 'died'}>) {
    switch (what.kind) {
      case 'switch': {
        const over = {confirm_s: what.confirm_s, mode: what.drain ? 'drain' : 'replace'} as const
        return switchTask(++this.seq, over)
      }
      case 'rollback':
        return {kind: 'rollback', reason: 'requested', detail: ''} as const
      case 'died': {
        const {run, seq} = this.guest.state.record ?? {run: '', seq: 0}
        return {kind: 'gateway_died', run, seq, detail: ''} as const
      }
    }
  }

  /** All is well again, and time goes on. */
  settle(): void {
    this.full = false
    this.restart()
    for (let i = 0; i < 20; i++) {
      while (this.underway) this.end('well')
      this.guest.wait(400)
    }
  }
}

function resultOf({kind}: Long, end: 'well' | 'badly'): SwitchResult {
  const bad = end === 'badly'
  switch (kind) {
    case 'try':
      return bad ? {kind: 'tried', wrong: {reason: 'gateway_silent', detail: ''}} : {kind: 'tried', families: FAMILIES}
    case 'apply':
      return bad ? {kind: 'failed', detail: 'ENETDOWN'} : {kind: 'applied'}
    case 'prove':
      return {kind: 'proved', silent: bad ? '10.0.0.2' : undefined}
    case 'undo':
      return {kind: 'undone', trouble: bad ? 'Network is down' : undefined, gone: []}
    case 'end_drain':
      return bad ? {kind: 'failed', detail: 'nft'} : {kind: 'drain_ended'}
  }
}

const summary = (record: SwitchRecord | undefined) => ({phase: record?.phase, state: record?.state})

it('leaves the VM on the old gateway or a proved one, and takes the next command', () => {
  fc.assert(
    fc.property(fc.array(happening, {maxLength: 60}), (all) => {
      const machine = new Machine()
      for (const each of all) machine.happen(each)
      machine.settle()
      const {guest} = machine
      const {record} = guest.state
      expect(record?.phase ?? 'done').toBe('done')
      if (record?.state === 'confirmed' && !machine.forgot) {
        expect(machine.changedBy).toBe(record.run)
        expect(machine.proved).toBe(true)
      } else if (record !== undefined && record.state !== 'confirmed') expect(machine.changedBy).not.toBe(record.run)
      // Nothing is left to wait for, and every task had its turn.
      expect(guest.state.tasks).toEqual([])
      expect(guest.wait(86_400)).toEqual([])
      expect(machine.over).toBeGreaterThanOrEqual(machine.ordered)
      const task = switchTask(10_000)
      expect(guest.task(task)).toEqual(['save probing received', 'leave', 'try'])
      while (machine.underway) machine.end('well')
      expect(summary(guest.disk)).toEqual({phase: 'done', state: 'confirmed'})
    }),
    {numRuns: 500},
  )
})
