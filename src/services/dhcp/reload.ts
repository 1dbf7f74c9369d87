// SIGHUP: the server goes on with the inventory that there is now.

import type {ServerFacts} from '../../domain/dhcp/scope.ts'
import {type OwnAddress, type ServeRequest, serverFacts} from '../../domain/dhcp/serve-request.ts'
import type {Inventory} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import {tryCommand} from '../../net/process/command.ts'
import {programPath} from '../../net/process/program.ts'
import {prefixText} from '../../wire/address.ts'

/**
 * What is to be served by the inventory as it is now, read by a program of its own, as the user that the server is.
 * @throws Failure for an inventory that cannot be read or served, and for a change that sockets do not take.
 */
export async function readAgain(
  request: ServeRequest,
  file: string,
  own: readonly OwnAddress[],
  before: ServerFacts,
): Promise<ServerFacts> {
  const {code, stdout, stderr} = await tryCommand(process.execPath, [programPath('services/dhcp/inventory-main'), file])
  if (code !== 0) throw new Failure('usage', stderr.trim().split('\n').at(-1) || `reading it ended with ${code}`)
  const facts = serverFacts(request, JSON.parse(stdout) as Inventory, own)
  if (placeOf(facts) !== placeOf(before))
    throw new Failure('usage', `another segment or prefix on the interface (${placeOf(facts)}) is taken at a restart`)
  return facts
}

const placeOf = ({local, scopes, serverIdentifier}: ServerFacts): string =>
  `${local} ${prefixText(scopes.get(local)!.prefix)} by ${serverIdentifier}`
