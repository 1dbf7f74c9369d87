// The inventory that a server was started with, as it is now.
import {type Inventory, includesOf, parseInventory} from '../../domain/inventory/inventory.ts'
import {Failure} from '../../errors.ts'
import {readIncluded, readInventoryFile} from '../../net/file/inventory-file.ts'

/** @throws Failure for one that is missing, cannot be read, or is wrong. */
export function readNamedInventory(path: string | undefined): Inventory {
  const place = {flag: path, env: undefined, cwd: process.cwd()}
  const file = readInventoryFile(place)
  if (!file) throw new Failure('usage', 'no inventory is named')
  const included = readIncluded(file.path, includesOf(file.text, file.path), place.cwd)
  return parseInventory(file.text, file.path, included)
}
