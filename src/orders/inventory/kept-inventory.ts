// The inventory of a command. What does not change from start to start is loaded alone, without the reader of YAML.
import type {Include} from '../../domain/inventory/inventory.ts'
import type {Inventory} from '../../domain/inventory/site.ts'
import {type InventoryPlace, readIncluded, readInventoryFile} from '../../net/file/inventory-file.ts'
import {keptReading, usualReadings} from '../../net/file/kept-reading.ts'

/** The inventory, if there is one; a file that was named must exist. @throws Failure `usage` for one that is wrong. */
export async function keptInventory(place: InventoryPlace, readOnly: boolean): Promise<Inventory | undefined> {
  const file = readInventoryFile(place)
  if (!file) return undefined
  const drawn = (draws: readonly Include[]) => readIncluded(file.path, draws, place.cwd)
  const read = async () => {
    const {includesOf, parseInventory} = await import('../../domain/inventory/inventory.ts')
    const draws = includesOf(file.text, file.path)
    const texts = drawn(draws)
    return {value: parseInventory(file.text, file.path, texts), draws, texts}
  }
  return keptReading(file, read, drawn, {...usualReadings(), readOnly})
}
