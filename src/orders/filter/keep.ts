// One VM more, or less, for which the bridge answers: from hooks of migrations, several at a time.
import {isDeepStrictEqual} from 'node:util'
import {byName, keptVm} from '../../domain/filter/intent.ts'
import {type FilterRecord, NOTHING_MADE} from '../../domain/filter/record.ts'
import {findVm, type Inventory, neededVm} from '../../domain/inventory/site.ts'
import {usage} from '../../errors.ts'
import type {FilterWorld} from '../../probe/filter/filter-world.ts'
import {readFilterRecord} from '../../probe/filter/host.ts'
import {aloneWithFilters, converge} from './converge.ts'
import type {FilterKeepDocument} from './filter-document.ts'

/** @throws Failure `usage` for a VM that is not known, and where its segment has no filter. */
export const keepVm = (
  action: 'add' | 'remove',
  vm: string,
  inventory: Inventory | undefined,
  world: FilterWorld,
): Promise<FilterKeepDocument> => aloneWithFilters(world, () => kept(action, vm, inventory, world))

async function kept(
  action: 'add' | 'remove',
  name: string,
  inventory: Inventory | undefined,
  world: FilterWorld,
): Promise<FilterKeepDocument> {
  const host = {record: readFilterRecord(world), links: await world.links()}
  const {vm, segment} = action === 'add' ? fromInventory(name, inventory) : fromRecord(name, inventory, host.record)
  const mine = host.record.filters.filter(({intent}) => intent.segment.segment === segment)
  if (mine.length === 0 && action === 'add')
    throw usage(`segment ${segment} has no filter here: gwswitch filter apply --segment ${segment} -i PORT`)
  const filters = host.record.filters.map((filter) => {
    if (!mine.includes(filter)) return filter
    const others = filter.intent.kept.filter((each) => each.name !== vm.name)
    return {...filter, intent: {...filter.intent, kept: action === 'add' ? byName([...others, vm]) : others}}
  })
  const changed = !isDeepStrictEqual(filters, host.record.filters)
  // Also where nothing changes: what another tool took away is put back.
  const notes = mine.length === 0 ? [] : await converge({filters, ruleset: '', inherited: NOTHING_MADE}, host, world)
  const now = filters.filter(({intent}) => intent.segment.segment === segment)
  return {
    schema: 'gwswitch.filter-keep/1',
    ...{vm: vm.name, segment, changed},
    kept: [...new Set(now.flatMap(({intent}) => intent.kept.map((each) => each.name)))],
    notes: notes.filter((note) => note.startsWith(`${vm.name} `)),
    exitCode: 0,
  }
}

function fromInventory(name: string, inventory: Inventory | undefined) {
  if (inventory === undefined)
    throw usage('no inventory: give -f FILE, or write ./gwswitch.yaml (see README, "Inventory")')
  const vm = neededVm(inventory, name)
  return {vm: keptVm(vm), segment: vm.segment}
}

/** Who is kept is known by the record, also when the inventory has forgotten it. */
function fromRecord(name: string, inventory: Inventory | undefined, {filters}: FilterRecord) {
  for (const {intent} of filters) {
    const vm = intent.kept.find((each) => each.name === name || each.ip === name)
    if (vm) return {vm, segment: intent.segment.segment}
  }
  const known = inventory && findVm(inventory, name)
  if (known) return {vm: keptVm(known), segment: known.segment}
  const names = [...new Set(filters.flatMap(({intent}) => intent.kept.map((each) => each.name)))]
  throw usage(`inbound is not kept for "${name}" here (for: ${names.join(', ') || 'nobody'})`)
}
