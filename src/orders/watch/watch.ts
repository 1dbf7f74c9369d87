// `gwswitch watch`: what is said of movements, and what would be done about an arrival. Switches nothing.
import {type Inventory, neededSite, type Vm} from '../../domain/inventory/site.ts'
import type {Dispute} from '../../domain/movement/arrivals.ts'
import type {Movement} from '../../domain/movement/movement.ts'
import {
  disputeEvent,
  type KnownVm,
  movementEvent,
  summaryOf,
  type WatchEvent,
  type WatchPlan,
  type WatchSummary,
} from '../../domain/movement/watch-event.ts'
import {usage} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import type {Registered} from '../../strategies/registry.ts'
import {prepareSwitch} from '../switch/run-switch.ts'

export interface WatchOrder {
  /** The site of this host; undefined: nobody says what would be done. */
  readonly site: string | undefined
  readonly inventory: Inventory | undefined
}

export interface WatchStage {
  readonly world: World
  readonly strategies: ReadonlyMap<string, Registered>
  onEvent(event: WatchEvent): void
}

export interface WatchTeller {
  moved(movement: Movement): void
  disputed(dispute: Dispute): void
  /** Once all is said. */
  end(): Promise<WatchSummary>
}

/** @throws Failure `usage` for a site that the inventory does not know, or without one. */
export function expectWatchable({site, inventory}: WatchOrder): void {
  if (site === undefined) return
  if (inventory === undefined) throw usage(`site ${site} needs an inventory: give -f FILE`)
  neededSite(inventory, site)
}

/** Of whom the summary keeps track: strangers can make up any number. */
const NAMED = 10_000

/** Says each in the order in which it was told. What would be done is looked at one after the other: nothing is hurried. */
export function watchTeller(order: WatchOrder, stage: WatchStage): WatchTeller {
  const {world} = stage
  const nowMs = (): number => Number(world.now()) / 1e6
  const startedMs = nowMs()
  const counts = {arrived: 0, left: 0, cancelled: 0}
  const here = new Map<string, boolean>()
  let turn = Promise.resolve()
  const tell = (event: WatchEvent): void => {
    if (event.event !== 'two-ports') {
      counts[event.event]++
      const who = event.vm ?? event.mac ?? ''
      if (here.has(who) || here.size < NAMED) here.set(who, event.event === 'arrived')
    }
    stage.onEvent(event)
  }
  const then = (say: () => Promise<void> | void): void => {
    turn = turn.then(say)
  }
  return {
    moved(movement) {
      const vm = vmOf(movement, order.inventory)
      const event = movementEvent(movement, knownVm(movement, vm), null, {nowMs: nowMs()})
      then(async () =>
        tell({...event, plan: movement.kind === 'arrived' ? await planFor(vm, movement, order, stage) : null}),
      )
    },
    disputed(dispute) {
      const vm = order.inventory?.vms.find(({mac}) => mac === dispute.mac)
      const event = disputeEvent(dispute, knownVm(dispute, vm), {nowMs: nowMs()})
      then(() => tell(event))
    },
    async end() {
      await turn
      return summaryOf({...counts, here}, startedMs, {nowMs: nowMs()})
    },
  }
}

/** Names of VMs are those of the inventory, where a source that knows names alone calls them the same. */
function vmOf({mac, vm}: Pick<Movement, 'mac' | 'vm'>, inventory: Inventory | undefined): Vm | undefined {
  const byName = inventory?.vms.find(({name}) => name === vm)
  return byName ?? inventory?.vms.find((each) => each.mac === mac)
}

const knownVm = ({mac, vm: called}: Pick<Movement, 'mac' | 'vm'>, vm: Vm | undefined): KnownVm => ({
  ...{vm: vm?.name ?? called, mac: mac ?? vm?.mac ?? null, ip: vm?.ip ?? null, segment: vm?.segment ?? null},
  lastSite: vm?.site ?? null,
})

/** What `switch` would do. Sends nothing. */
async function planFor(
  vm: Vm | undefined,
  {port}: Movement,
  {site, inventory}: WatchOrder,
  {world, strategies}: WatchStage,
): Promise<WatchPlan | null> {
  if (inventory === undefined || site === undefined || vm === undefined) return null
  try {
    const order = {vm: vm.name, to: site, strategies: [], interfaceName: port ?? undefined}
    const {strategy, switchover, plan} = await prepareSwitch(order, inventory, strategies, world)
    return {strategy: strategy.name, to: switchover.to.name, describe: strategy.describe(plan)}
  } catch (error) {
    return {none: (error as Error).message}
  }
}
