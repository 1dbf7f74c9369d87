// Entry point: inventory-main FILE. Reads an inventory and prints it as JSON, for a server that has neither YAML nor the
// schema in its memory.
import {EXIT, Failure} from '../../errors.ts'
import {printJson, say} from '../../net/process/say.ts'
import {readNamedInventory} from './read-inventory.ts'

try {
  printJson(readNamedInventory(process.argv[2]))
} catch (error) {
  say((error as Error).message)
  process.exitCode = error instanceof Failure ? EXIT[error.kind] : EXIT.runtime
}
