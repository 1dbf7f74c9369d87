// A guest in memory for the step of a switchover: what it is told to do comes out as words, in order; what it did is told back
// when the test says so. Its disk may be full, and it may be killed.

import type {FamilyFacts, PolicyFacts, SwitchPlan} from '../../../src/domain/agent/facts.ts'
import type {RouteChange, SavedRoute, SwitchRecord} from '../../../src/domain/agent/memory.ts'
import {step} from '../../../src/domain/agent/switchover.ts'
import {
  dueMs,
  type Proof,
  type Surroundings,
  type SwitchAction,
  type SwitchEvent,
  type Switchover,
  switchoverOf,
  type Task,
  turnWanted,
} from '../../../src/domain/agent/switchover-state.ts'
import type {AgentCommand, SwitchMode} from '../../../src/wire/agent-message.ts'

const route: SavedRoute = {
  ...{family: 4, table: 254, protocol: 3, metric: 0, gateway: '10.0.0.1', interfaceIndex: 2},
  ...{onlink: false, compound: false, raw: 'AAAA'},
}
const nic = {index: 2, name: 'eth0', mac: '02:00:00:00:00:10', up: true, prefixes: []}

export const FAMILIES: PolicyFacts['families'] = {
  4: {routes: [route], overlay: undefined},
  6: {routes: [], overlay: undefined},
}
/** The gateway in use, by the kernel; the owner's route stays as it is. */
export const surroundings = (gateway: string | undefined, over: Partial<FamilyFacts> = {}): Surroundings => ({
  nics: [nic],
  families: {
    ...{6: FAMILIES[6]},
    4: {
      ...{routes: [route], overlay: undefined},
      inUse: gateway === undefined ? undefined : {gateway, interfaceIndex: 2},
      ...over,
    },
  },
})

interface TaskOptions {
  readonly mode?: SwitchMode
  readonly confirm_s?: number
  readonly probes?: readonly string[]
  readonly to?: string
  /** The owner's gateway, and that of the overlay over it. */
  readonly main?: string
  readonly overlay?: string | undefined
}

export function switchTask(seq = 1, over: TaskOptions = {}) {
  const {mode = 'replace', confirm_s = 0, probes = ['203.0.113.10'], to = '10.0.0.2', main = '10.0.0.1', overlay} = over
  const command: AgentCommand = {
    ...{v: 1, op: 'switch', vm: 'web-07', run: `r${seq}`, seq, iat: 0, exp: 60},
    ...{nonce: String(seq).padStart(16, '0'), gw4: to},
    ...(confirm_s === 0 ? {} : {confirm_s}),
  }
  const owners = {...route, gateway: main}
  const common = {family: 4, from: overlay ?? main, to} as const
  const plan: SwitchPlan = {
    ...{mode, probes, owner: undefined},
    families: [{...common, nic, route: owners, overlay}],
  }
  const change: RouteChange = {
    ...{...common, mode, interfaceIndex: 2, interfaceName: 'eth0', mac: nic.mac},
    ...(mode === 'replace'
      ? {route: {before: owners, after: {...owners, gateway: to}}}
      : {overlay: {before: overlay ?? null, after: to === main ? null : to, route: owners}}),
  }
  return {kind: 'switch', kid: 'site-y', command, plan, changes: [change], receivedMs: 0} as const satisfies Task
}

/** In which phase and state the record is, and why. */
export const inWords = (record: SwitchRecord | undefined): string =>
  record === undefined ? 'none' : [record.phase, record.state, ...(record.reason ? [record.reason] : [])].join(' ')

function actionInWords(action: SwitchAction): string {
  if (action.kind === 'save' || action.kind === 'keep') return `${action.kind} ${inWords(action.record)}`
  if (action.kind === 'over')
    return ['over', action.task.kind, ...(action.declined ? [action.declined.reason] : [])].join(' ')
  return action.kind === 'log' ? `log ${action.text}` : action.kind
}

export class Guest {
  state: Switchover
  uptimeMs = 1_000_000
  bootId: string
  full = false
  actions: SwitchAction[] = []
  disk: SwitchRecord | undefined
  /** Called with each action when it is its turn. */
  onAction: (action: SwitchAction) => void = () => {}

  constructor(disk?: SwitchRecord, bootId = 'boot-1') {
    this.disk = disk
    this.bootId = bootId
    this.state = switchoverOf(disk)
  }

  /** What it is told to do, in words and in order, when this happens. */
  take(event: SwitchEvent): string[] {
    const before = this.actions.length
    this.happen(event)
    while (turnWanted(this.state)) this.happen({kind: 'turn'})
    return this.actions.slice(before).map(actionInWords)
  }

  task(task: Exclude<Task, {readonly kind: 'stop'}>): string[] {
    return this.take({kind: 'task', task})
  }

  /** Time goes on; ticks come when they are due. */
  wait(seconds: number): string[] {
    const before = this.actions.length
    const end = this.uptimeMs + seconds * 1000
    for (let ticks = 0; ; ticks++) {
      const due = dueMs(this.state, this.bootId)
      if (due === undefined || due > end) break
      if (ticks > 10_000) throw new Error('it ticks and nothing comes of it')
      this.uptimeMs = Math.max(this.uptimeMs, due)
      this.take({kind: 'tick'})
    }
    this.uptimeMs = end
    return this.actions.slice(before).map(actionInWords)
  }

  /** The agent is killed, and another one started. */
  restarted(bootId = this.bootId): Guest {
    const later = new Guest(this.disk, bootId)
    later.uptimeMs = this.uptimeMs
    return later
  }

  private happen(event: SwitchEvent): void {
    const {uptimeMs, bootId} = this
    const windows = {confirmS: 10, drainS: 300, guardS: 60}
    const now = {uptimeMs, bootId, wallMs: 1_790_000_000_000 + uptimeMs, clockMs: uptimeMs, windows}
    const {state, actions} = step(this.state, event, now)
    if (actions.some(({kind}, i) => kind === 'save' && i > 0)) throw new Error('a save that is not the first action')
    if (actions[0]?.kind === 'save' && this.full) {
      this.happen({kind: 'not_saved', detail: 'ENOSPC'})
      return
    }
    this.state = state
    for (const action of actions) {
      if (action.kind === 'save' || (action.kind === 'keep' && !this.full)) this.disk = action.record
      this.actions.push(action)
      this.onAction(action)
    }
  }
}

export const TRIED: SwitchEvent = {kind: 'tried', families: FAMILIES}
export const APPLIED: SwitchEvent = {kind: 'applied'}
export const PROVED: Proof = {kind: 'proved', silent: undefined}
export const UNDONE: SwitchEvent = {kind: 'undone', trouble: undefined, gone: []}
export const STUCK: SwitchEvent = {kind: 'undone', trouble: 'Network is down', gone: []}
