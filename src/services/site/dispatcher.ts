// Carries out what the step machine (domain/movement/dispatch) decides, whoever wants it: notes, movements, the socket.
import type {Vm} from '../../domain/inventory/site.ts'
import {
  type Dispatch,
  type DispatchAction,
  type DispatchEvent,
  type DispatchLimits,
  isNewHere,
  NEW_DISPATCH,
  type Offered,
  step,
  waitMs,
} from '../../domain/movement/dispatch.ts'
import {failedOf} from '../../domain/movement/fuse.ts'
import type {Journal} from '../../orders/journal/journal.ts'
import {endedAs, type SwitchRecord, type Wish} from './switch-one.ts'

export interface DispatcherStage {
  /** On a clock that never goes back, ms. */
  nowMs(): number
  /** ms since the epoch: that of the journal. */
  realMs(): number
  /** Does the switch; never rejects. */
  run(wish: Wish, askFirst: boolean): Promise<SwitchRecord>
  /** It ended: in the order in which they end. */
  onEnded(record: SwitchRecord): void
  /** The service is being stopped. */
  stopped(): boolean
  /** Calls it later, unless the service ends before. */
  later(ms: number, work: () => void): void
  readonly site: string
  readonly journal?: Journal | undefined
  log(line: string, fields?: Record<string, unknown>): void
}

export interface FuseState {
  readonly blown: boolean
  /** VMs whose last switch failed its proof, and how many of how many blow it; null: nothing does. */
  readonly failed: number
  readonly limits: {readonly failures: number; readonly of: number} | null
}

export interface Dispatcher {
  /** What is `queued` begins by itself. */
  offer(wish: Wish, why: Extract<DispatchEvent, {kind: 'wanted'}>['why']): Offered
  expect(vm: Vm, forMs: number): void
  /** It left, or does not come. Whether a switch of it was waiting, or is under way. */
  gone(vm: Vm): 'taken-back' | 'under-way' | 'nothing'
  /** How the switch of a VM that runs or waits ends; undefined: there is none, or it was taken back. */
  ending(vm: Vm): Promise<SwitchRecord | undefined>
  waitMs(vm: Vm): number
  resetFuse(): void
  readonly fuse: FuseState
  readonly running: readonly string[]
  readonly waiting: readonly string[]
  /** Nothing that waits begins any more; resolves when what runs has ended. */
  close(): Promise<void>
}

export function dispatcher(limits: DispatchLimits, stage: DispatcherStage): Dispatcher {
  const {site, journal, log} = stage
  let state: Dispatch = NEW_DISPATCH
  const wishes = new Map<string, Wish>()
  const endings = new Map<string, PromiseWithResolvers<SwitchRecord | undefined>>()
  const running = new Map<string, Promise<void>>()
  /** Proved here while this runs, on the steady clock. */
  const proved = new Map<string, number>()

  function happen(event: DispatchEvent): Offered | undefined {
    const {state: next, actions, offered} = step(state, event, limits, stage.nowMs())
    state = next
    for (const action of actions) act(action)
    return offered
  }

  function act(action: DispatchAction): void {
    if (action.kind === 'begin') {
      begin(action.vm, action.askFirst)
      return
    }
    if (action.kind === 'blown') {
      log(
        `fuse: the switches of ${failedOf(state.fuse)} of the last ${state.fuse.outcomes.length} VMs failed their proof; nothing is switched until "reset" comes by the control socket, or a restart`,
        {event: 'fuse', blown: true},
      )
      return
    }
    if (action.kind === 'retry') {
      const {vm, inMs, nth} = action
      log(`${vm} is tried again in ${inMs / 1000} s (${nth} of ${limits.retries}), unless it leaves`, {
        ...{event: 'retry', vm, inMs, nth},
      })
      stage.later(inMs, () => void happen({kind: 'due', vm}))
      return
    }
    if (action.kind === 'left-alone') {
      log(
        `${action.vm} is left as it is: it was tried ${limits.retries + 1} times; "switch ${action.vm}" tries it now`,
        {
          ...{event: 'left-alone', vm: action.vm},
        },
      )
      return
    }
    settle(action.vm, undefined)
    log(`${action.vm} is not switched any more: ${DROPPED[action.why]}`, {
      event: 'dropped',
      vm: action.vm,
      why: action.why,
    })
  }

  function begin(vm: string, askFirst: boolean): void {
    const wish = wishes.get(vm)!
    const work = stage.run(wish, askFirst).then((record) => {
      running.delete(vm)
      const how = endedAs(record, stage.stopped())
      if (how === 'proved' && record.outcome === 'switched') proved.set(vm, stage.nowMs())
      else proved.delete(vm)
      stage.onEnded(record)
      settle(vm, record)
      happen({kind: 'ended', vm, how})
    })
    running.set(vm, work)
  }
  function settle(vm: string, record: SwitchRecord | undefined): void {
    endings.get(vm)?.resolve(record)
    endings.delete(vm)
  }

  /** Since it was proved here, ms; by this process, or by what the journal has. Elsewhere since: not at all. */
  function provedFor(vm: Vm): {provedMs?: number; likelyHere?: boolean} {
    // A journal is read in a millisecond.
    if (isNewHere(state, vm.name, stage.nowMs())) return {}
    const atMs = proved.get(vm.name)
    if (journal === undefined && atMs !== undefined) return {provedMs: stage.nowMs() - atMs}
    // It knows also of what another process has taken back since.
    const last = journal?.lastProved(vm.mac)
    if (last === undefined) return {likelyHere: vm.site === site}
    return last.site === site ? {provedMs: Math.max(0, stage.realMs() - last.atMs)} : {}
  }

  return {
    offer(wish, why) {
      const {name} = wish.vm
      // What runs or waits keeps the wish by which it was begun.
      if (!running.has(name) && !state.waiting.includes(name)) wishes.set(name, wish)
      return happen({kind: 'wanted', vm: name, why, ...provedFor(wish.vm)})!
    },
    expect: ({name}, forMs) => void happen({kind: 'expected', vm: name, forMs}),
    gone({name}) {
      const was = running.has(name) ? 'under-way' : state.waiting.includes(name) ? 'taken-back' : 'nothing'
      happen({kind: 'gone', vm: name})
      if (was !== 'under-way') proved.delete(name)
      return was
    },
    ending({name}) {
      if (!running.has(name) && !state.waiting.includes(name)) return Promise.resolve(undefined)
      const known = endings.get(name) ?? Promise.withResolvers<SwitchRecord | undefined>()
      endings.set(name, known)
      return known.promise
    },
    waitMs: ({name}) => waitMs(state, name, stage.nowMs()),
    resetFuse: () => void happen({kind: 'reset'}),
    get fuse() {
      return {blown: state.fuse.blown, failed: failedOf(state.fuse), limits: limits.fuse ?? null}
    },
    get running() {
      return [...running.keys()]
    },
    get waiting() {
      return state.waiting
    },
    async close() {
      happen({kind: 'close'})
      await Promise.all(running.values())
    },
  }
}

const DROPPED = {
  gone: 'it left, or does not come',
  fuse: 'the fuse is blown',
  closed: 'the service is being stopped',
} as const
