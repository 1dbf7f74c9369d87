// What a test asks of the filter, on a host that has the ports it names.
import {
  type DecidedFilters,
  decideFilters,
  type FilterIntent,
  type FilterOrder,
} from '../../src/domain/filter/intent.ts'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import type {Inventory} from '../../src/domain/inventory/site.ts'

export const ORDER: FilterOrder = {
  ports: ['vx0'],
  segments: [],
  inboundMoves: false,
  gatewayMacs: false,
  keepInbound: [],
  force: false,
}

export const decided = (inventory: Inventory, order: Partial<FilterOrder> = {}): DecidedFilters => {
  const whole = {...ORDER, ...order}
  return decideFilters(whole, inventory, {ports: whole.ports.map((name) => ({name}))})
}

/** The filter of the one segment that is chosen. */
export function intentOf(inventory: Inventory | string, order: Partial<FilterOrder> = {}): FilterIntent {
  const known = typeof inventory === 'string' ? parseInventory(inventory, 'gwswitch.yaml') : inventory
  const {intents} = decided(known, order)
  if (intents.length !== 1) throw new Error(`${intents.length} segments are chosen, one is wanted`)
  return intents[0]!
}
