// SIGHUP: the server goes on with the inventory that there is now.

import type {ServerFacts} from '../../domain/dhcp/scope.ts'
import {type OwnAddress, type ServeRequest, serverFacts} from '../../domain/dhcp/serve-request.ts'
import type {Inventory} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import {isForAll} from '../../net/file/text-file.ts'
import {tryCommand} from '../../net/process/command.ts'
import {programCommand, programFiles} from '../../net/process/program.ts'
import {prefixText} from '../../wire/address.ts'

/** Reads an inventory. @throws Failure */
export type Reader = (file: string) => Promise<Inventory>

/**
 * For a server that is about to become another user: a program of its own, so that YAML and the schema are in no
 * server's memory. Where not everybody can start that (a clone in root's home), it is loaded before.
 */
export async function openReader(): Promise<Reader> {
  const module = 'services/dhcp/inventory-main'
  if (programFiles(module).every(isForAll))
    return async (file) => {
      const [program, ...args] = programCommand(module, [file])
      const {code, stdout, stderr} = await tryCommand(program, args)
      if (code !== 0) throw new Failure('usage', stderr.trim().split('\n').at(-1) || `reading it ended with ${code}`)
      return JSON.parse(stdout) as Inventory
    }
  const {readNamedInventory} = await import('./read-inventory.ts')
  return async (file) => readNamedInventory(file)
}

/**
 * What is to be served by the inventory as it is now.
 * @throws Failure for an inventory that cannot be read or served, and for a change that sockets do not take.
 */
export async function readAgain(
  read: Reader,
  request: ServeRequest,
  file: string,
  own: readonly OwnAddress[],
  before: ServerFacts,
): Promise<ServerFacts> {
  const facts = serverFacts(request, await read(file), own)
  if (placeOf(facts) !== placeOf(before))
    throw new Failure('usage', `another segment or prefix on the interface (${placeOf(facts)}) is taken at a restart`)
  return facts
}

const placeOf = ({local, scopes, serverIdentifier}: ServerFacts): string =>
  `${local} ${prefixText(scopes.get(local)!.prefix)} by ${serverIdentifier}`
