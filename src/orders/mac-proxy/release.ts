// Takes redirections away: one VM's, or all of this host's.
import {findVm, type Inventory} from '../../domain/inventory/site.ts'
import {hint} from '../../domain/suggest.ts'
import {usage} from '../../errors.ts'
import type {ProxyWorld} from '../../strategies/mac-proxy/proxy-world.ts'
import {releaseAll, releaseVms} from '../../strategies/mac-proxy/redirects.ts'
import {type Mac, readMac} from '../../wire/address.ts'
import type {ProxyReleaseDocument, ProxyRow} from './document.ts'
import {rowsHere} from './list.ts'

export interface ReleaseOrder {
  readonly vm: string | undefined
  readonly all: boolean
  readonly dryRun: boolean
}

/** @throws Failure `usage` for a VM that neither record nor inventory knows. */
export async function releaseRedirects(
  {vm, all, dryRun}: ReleaseOrder,
  inventory: Inventory | undefined,
  host: ProxyWorld,
): Promise<ProxyReleaseDocument> {
  if (all === (vm !== undefined)) throw usage('say whose redirection: a VM, or --all')
  const document = (released: readonly ProxyRow[]): ProxyReleaseDocument => ({
    schema: 'gwswitch.mac-proxy-release/2',
    ...{dryRun, changed: released.length > 0, released, asked: vm ?? null, exitCode: 0},
  })
  const rows = await rowsHere(inventory, host)
  const mac = vm === undefined ? undefined : macOfVm(vm, rows, inventory)
  const mine = rows.filter((row) => mac === undefined || row.vm.mac === mac)
  if (!dryRun) await (mac === undefined ? releaseAll(host) : releaseVms(host, [mac]))
  return document(mine)
}

function macOfVm(vm: string, rows: readonly ProxyRow[], inventory: Inventory | undefined): Mac {
  const known =
    readMac(vm) ?? rows.find((row) => row.vm.name === vm)?.vm.mac ?? (inventory && findVm(inventory, vm)?.mac)
  if (known !== undefined) return known
  const names = rows.flatMap((row) => row.vm.name ?? [])
  throw usage(
    `${vm} is no MAC, no VM of the inventory, and none that is redirected here (${names.join(', ') || 'nobody'})${hint(vm, names)}`,
  )
}
