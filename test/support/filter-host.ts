// What the filter commands call, in a namespace of a test, without a process a call.
import type {FilterOrder} from '../../src/domain/filter/intent.ts'
import type {NftHook} from '../../src/domain/filter/nft-text.ts'
import type {Inventory} from '../../src/domain/inventory/site.ts'
import {systemWorld} from '../../src/net/system-world.ts'
import {keepVm} from '../../src/orders/filter/keep.ts'
import {removeFilters} from '../../src/orders/filter/remove.ts'
import {type FilterCall, runApply, runCheck} from '../../src/orders/filter/run-filter.ts'
import {filterHostIn, type TestBridge} from './bridge.ts'
import {ORDER} from './filter-order.ts'

export function filterOn({namespace}: TestBridge, inventory: Inventory, host = filterHostIn(namespace)) {
  const call = (hook: NftHook, order: Partial<FilterOrder>): FilterCall => ({
    ...{order: {...ORDER, ...order}, hook, observeS: undefined},
    ...{world: systemWorld(() => {}), signal: new AbortController().signal},
  })
  return {
    host,
    apply: (hook: NftHook = 'bridge', order: Partial<FilterOrder> = {}, of: Inventory = inventory) =>
      runApply(call(hook, order), of, {dryRun: false, recorded: false}, host),
    restore: () => runApply(call('bridge', {ports: []}), undefined, {dryRun: false, recorded: true}, host),
    check: (hook: NftHook = 'bridge', order: Partial<FilterOrder> = {}, of: Inventory | undefined = inventory) =>
      runCheck(call(hook, order), of, host),
    recorded: () => runCheck(call('bridge', {ports: []}), undefined, host),
    keep: (action: 'add' | 'remove', vm: string) => keepVm(action, vm, inventory, host),
    remove: (ports: readonly string[] = [], segments: readonly string[] = []) =>
      removeFilters({ports, segments, dryRun: false}, host),
  }
}
