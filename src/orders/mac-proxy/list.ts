// The redirections of this host: as they are, and put back as they are meant.

import {allGateways, type Inventory} from '../../domain/inventory/site.ts'
import type {ProxiedGateway} from '../../domain/mac-proxy/ruleset.ts'
import type {ProxyWorld} from '../../strategies/mac-proxy/proxy-world.ts'
import {reapply} from '../../strategies/mac-proxy/redirects.ts'
import {type RedirectState, redirectStates} from '../../strategies/mac-proxy/states.ts'
import type {Mac} from '../../wire/address.ts'
import type {ProxyListDocument, ProxyRow} from './document.ts'

/** Exit code of `mac-proxy list` for what is not as it is meant. */
const DIFFERENT = 10

/** The kernel is as the record. */
const isAsMeant = ({state}: Pick<RedirectState, 'state'>): boolean => state === 'as-meant' || state === 'port-gone'

export async function listRedirects(inventory: Inventory | undefined, host: ProxyWorld): Promise<ProxyListDocument> {
  const redirects = await rowsHere(inventory, host)
  const exitCode = redirects.every(isAsMeant) ? 0 : DIFFERENT
  return {schema: 'gwswitch.mac-proxy-list/2', changed: false, redirects, exitCode}
}

/** What nobody recorded is left as it is. */
export async function applyRedirects(inventory: Inventory | undefined, host: ProxyWorld): Promise<ProxyListDocument> {
  const changed = await reapply(host, async () =>
    (await redirectStates(host)).flatMap((each) => (each.meant && !isAsMeant(each) ? [each.meant] : [])),
  )
  const redirects = await rowsHere(inventory, host)
  const failed = redirects.some((row) => row.state !== 'unrecorded' && !isAsMeant(row))
  return {schema: 'gwswitch.mac-proxy-apply/2', changed, redirects, exitCode: failed ? 1 : 0}
}

export async function rowsHere(inventory: Inventory | undefined, host: ProxyWorld): Promise<readonly ProxyRow[]> {
  return (await redirectStates(host)).map(({vm, meant, standing, state, differences}) => ({
    vm: seenVm(vm, meant?.vm.name, inventory),
    port: meant?.port ?? null,
    from: meant?.from[0] ? bare(meant.from[0]) : gatewayAt(standing!.from, inventory),
    to: meant ? meant.to : gatewayAt(standing!.to, inventory),
    packets: standing?.packets ?? null,
    ...{state, differences},
  }))
}

function seenVm(mac: Mac, recorded: string | undefined, inventory: Inventory | undefined): ProxyRow['vm'] {
  const known = inventory?.vms.find((vm) => vm.mac === mac)
  return {name: recorded ?? known?.name ?? null, ip: known?.ip ?? null, mac, segment: known?.segment ?? null}
}

const bare = ({name, site, mac}: ProxiedGateway): ProxiedGateway => ({name, site, mac})

/** A MAC that is no gateway's has no other name. */
const gatewayAt = (mac: Mac, inventory: Inventory | undefined): ProxiedGateway =>
  bare((inventory ? allGateways(inventory) : []).find((each) => each.mac === mac) ?? {name: mac, site: '', mac})
