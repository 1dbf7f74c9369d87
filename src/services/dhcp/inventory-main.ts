// Entry point: inventory-main FILE. Reads an inventory and prints it as JSON, for a server that has neither YAML nor the
// schema in its memory.
import {parseInventory} from '../../domain/inventory/inventory.ts'
import {EXIT, Failure} from '../../errors.ts'
import {readInventoryFile} from '../../net/file/inventory-file.ts'
import {printJson, say} from '../../net/process/say.ts'

try {
  const file = readInventoryFile({flag: process.argv[2], env: undefined, cwd: process.cwd()})
  if (!file) throw new Failure('usage', 'no inventory is named')
  printJson(parseInventory(file.text, file.path))
} catch (error) {
  say((error as Error).message)
  process.exitCode = error instanceof Failure ? EXIT[error.kind] : EXIT.runtime
}
