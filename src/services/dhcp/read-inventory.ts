// The inventory that a server was started with, as it is now.
import {type Inventory, parseInventory} from '../../domain/inventory/inventory.ts'
import {Failure} from '../../errors.ts'
import {readInventoryFile} from '../../net/file/inventory-file.ts'

/** @throws Failure for one that is missing, cannot be read, or is wrong. */
export function readNamedInventory(path: string | undefined): Inventory {
  const file = readInventoryFile({flag: path, env: undefined, cwd: process.cwd()})
  if (!file) throw new Failure('usage', 'no inventory is named')
  return parseInventory(file.text, file.path)
}
