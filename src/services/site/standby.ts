// What is laid ready so that nothing slow lies between a VM's arrival and the frame that tells it: its plan, which takes
// programs to make, and word of its new gateway. Made in the background, those that are expected first, and thrown away
// where what it was made from is no more.
import type {Gateway, Vm} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import {type Prepared, prepareSwitch} from '../../orders/switch/run-switch.ts'
import type {Registered} from '../../strategies/registry.ts'
import type {Verdict} from '../../strategies/strategy.ts'
import {placeOf} from './place.ts'
import type {Served} from './served.ts'

export interface StandbyStage {
  readonly world: World
  readonly strategies: ReadonlyMap<string, Registered>
  readonly signal: AbortSignal
  readonly interfaceName?: string | undefined
  log(line: string, fields?: Record<string, unknown>): void
}

/** What is known of a gateway, for `status`. */
export interface GatewayState {
  readonly segment: string
  readonly gateway: string
  /** `unknown`: not asked yet, or it cannot be without a VM. */
  readonly state: 'serves' | 'dead' | 'unknown'
  readonly agoS: number | null
  readonly evidence: readonly string[]
}

export interface Laid {
  readonly prepared: Prepared
  /** Its gateway served a moment ago, and it can be told without a question before. */
  readonly atOnce: boolean
}

export interface Standby {
  /** What is ready for a VM; undefined where nothing is. */
  take(vm: Vm): Laid | undefined
  /** Lays it ready next. */
  expect(vm: Vm): void
  /** Another inventory counts. */
  reload(next: Served): void
  readonly gateways: readonly GatewayState[]
  readonly plans: number
  close(): Promise<void>
}

/** Plans that are kept at most: a plan of ARP is some 10 kB. */
const MOST_PLANS = 1000
/** A plan is made again at this age, ms: filters and redirections change without a word. */
const AGE_MS = 60_000
/** And is not used any more at this one. */
const LIMIT_MS = 180_000
/** Making plans takes at most this part of the time. */
const SHARE = 0.1
/** Between two looks at the gateways, ms, and how long what was seen is good for. */
const CHECK_MS = 5000
const CHECKED_MS = 15_000
/** Of the answers that one round of plans shares, ms. */
const ROUND_MS = 1000

interface Plan {
  readonly prepared: Prepared
  readonly madeMs: number
}

interface Checked {
  readonly atMs: number
  readonly verdict: Verdict | null
}

export function standby(first: Served, stage: StandbyStage): Standby {
  const {world, signal, log} = stage
  const nowMs = (): number => performance.now()
  const plans = new Map<string, Plan>()
  const checked = new Map<string, Checked>()
  let served = first
  let expected: Vm[] = []
  /** Interfaces that plans act through, where they were chosen here. */
  const places = new Set<string>(stage.interfaceName === undefined ? [] : [stage.interfaceName])
  /** Rises with everything that plans are made from. */
  let epoch = 0
  let planning = roundWorld(world)
  const ending = new AbortController()
  const end = AbortSignal.any([signal, ending.signal])
  let wake = new AbortController()

  const forget = (): void => {
    epoch++
    planning = roundWorld(world)
    plans.clear()
  }

  async function lay(vm: Vm): Promise<void> {
    const to = served.gateways.get(vm.segment)
    if (to === undefined) return
    const mine = epoch
    try {
      const interfaceName = await interfaceFor(vm, to)
      if (interfaceName !== undefined) places.add(interfaceName)
      const order = {vm: vm.name, to: to.name, strategies: [], interfaceName}
      const prepared = await prepareSwitch(order, served.inventory, stage.strategies, planning)
      if (mine === epoch && (plans.has(vm.name) || plans.size < MOST_PLANS))
        plans.set(vm.name, {prepared, madeMs: nowMs()})
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      // Why is said when it comes: until then it may be possible.
      plans.delete(vm.name)
    }
  }
  const interfaceFor = (vm: Vm, to: Gateway): Promise<string | undefined> =>
    stage.interfaceName === undefined
      ? placeOf(served.inventory, vm, to, planning)
      : Promise.resolve(stage.interfaceName)

  async function keepPlans(): Promise<void> {
    let turn = 0
    while (!end.aborted) {
      const beganMs = nowMs()
      const next = expected.shift() ?? dueVm(turn++)
      if (next) await lay(next)
      const tookMs = nowMs() - beganMs
      wake = new AbortController()
      const pauseMs = expected.length > 0 ? 0 : next ? tookMs / SHARE : ROUND_MS
      await world.sleep(pauseMs, AbortSignal.any([end, wake.signal])).catch(() => {})
    }
  }
  /** The next VM, in turn, that has no plan, or an old one. */
  function dueVm(turn: number): Vm | undefined {
    const {vms} = served.inventory
    if (vms.length === 0) return undefined
    for (let i = 0; i < vms.length; i++) {
      const vm = vms[(turn + i) % vms.length]!
      const plan = plans.get(vm.name)
      const isDue = plan === undefined ? plans.size < MOST_PLANS : nowMs() - plan.madeMs >= AGE_MS
      if (isDue && served.gateways.has(vm.segment)) return vm
    }
    return undefined
  }

  async function keepChecking(): Promise<void> {
    while (!end.aborted) {
      for (const [segment, gateway] of served.gateways) {
        if (end.aborted) break
        const plan = [...plans.values()].find(
          ({prepared}) => prepared.switchover.segment.name === segment && prepared.strategy.standby,
        )
        if (plan) await check(segment, gateway, plan.prepared)
      }
      await world.sleep(CHECK_MS, end).catch(() => {})
    }
  }
  async function check(segment: string, gateway: Gateway, {strategy, plan}: Prepared): Promise<void> {
    const before = checked.get(segment)
    let verdict: Verdict | null
    try {
      verdict = await strategy.standby!.check(plan, {world, signal: end, observe: () => {}})
    } catch (error) {
      if (end.aborted) return
      verdict = {ok: false, code: 'unverified', uses: null, evidence: [(error as Error).message]}
    }
    checked.set(segment, {atMs: nowMs(), verdict})
    if (before !== undefined && (before.verdict === null) === (verdict === null)) return
    const says = verdict === null ? 'serves' : `does not serve: ${verdict.evidence.join('; ')}`
    if (before !== undefined || verdict !== null)
      log(`${gateway.name} of ${segment} ${says}`, {
        event: 'gateway',
        gateway: gateway.name,
        segment,
        serves: verdict === null,
      })
  }

  /** A VM's port that comes changes no plan: what plans act through, and this host's own addresses and gateways, do. */
  async function links(): Promise<string> {
    const macs = served.inventory.segments.flatMap(({gateways}) => gateways.map(({mac}) => mac))
    const all = await world.interfaces()
    return JSON.stringify(
      all.filter(({name, mac, addresses}) => addresses.length > 0 || macs.includes(mac) || places.has(name)),
    )
  }
  let lastLinks = links()
  const watching = world.linkChanges?.(() => {
    const before = lastLinks
    lastLinks = links()
    void Promise.all([before, lastLinks]).then(
      ([was, is]) => {
        if (was === is) return
        forget()
        wake.abort()
      },
      () => forget(),
    )
  })
  const work = Promise.all([keepPlans(), keepChecking()])
  return {
    take(vm) {
      const plan = plans.get(vm.name)
      if (plan === undefined || nowMs() - plan.madeMs > LIMIT_MS) return undefined
      const seen = checked.get(vm.segment)
      const serves = seen !== undefined && seen.verdict === null && nowMs() - seen.atMs <= CHECKED_MS
      return {prepared: plan.prepared, atOnce: serves && plan.prepared.strategy.standby !== undefined}
    },
    expect(vm) {
      expected = [...expected.filter(({name}) => name !== vm.name), vm]
      wake.abort()
    },
    reload(next) {
      served = next
      forget()
      checked.clear()
      wake.abort()
    },
    get gateways() {
      return [...served.gateways].map(([segment, {name}]): GatewayState => {
        const seen = checked.get(segment)
        const state = seen === undefined ? 'unknown' : seen.verdict === null ? 'serves' : 'dead'
        const agoS = seen === undefined ? null : Math.round((nowMs() - seen.atMs) / 100) / 10
        return {segment, gateway: name, state, agoS, evidence: seen?.verdict?.evidence ?? []}
      })
    },
    get plans() {
      return plans.size
    },
    async close() {
      ending.abort()
      await work
      await (await watching)?.close()
    },
  }
}

/** Asks once a round what starts programs: the plans of a round share the answers. */
function roundWorld(world: World): World {
  const shared = <A extends readonly unknown[], T>(ask: ((...args: A) => Promise<T>) | undefined) => {
    const known = new Map<string, {readonly atMs: number; readonly answer: Promise<T>}>()
    return (
      ask &&
      ((...args: A): Promise<T> => {
        const key = JSON.stringify(args)
        const last = known.get(key)
        if (last !== undefined && performance.now() - last.atMs < ROUND_MS) return last.answer
        const answer = ask(...args)
        answer.catch(() => known.delete(key))
        known.set(key, {atMs: performance.now(), answer})
        return answer
      })
    )
  }
  return {
    ...world,
    interfaces: shared(world.interfaces)!,
    bridgeOf: shared(world.bridgeOf),
    learned: shared(world.learned),
    hostLinks: shared(world.hostLinks),
    nftTables: shared(world.nftTables),
    nftTable: shared(world.nftTable),
  } as World
}
