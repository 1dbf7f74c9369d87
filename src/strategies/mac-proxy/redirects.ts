// Brings the redirections of this host to what they shall be, kernel and record: the record never has less than the kernel.
import {parseProxyRecord, proxyRecordText, withoutVms, withRedirect} from '../../domain/mac-proxy/record.ts'
import {
  chainOf,
  macOf,
  PROXY_TABLE,
  type Redirect,
  redirectRuleset,
  releaseRuleset,
  removeProxyTable,
} from '../../domain/mac-proxy/ruleset.ts'
import type {NftTable} from '../../net/nft/nft-listing.ts'
import {aloneWith} from '../../net/record-store.ts'
import type {Mac} from '../../wire/address.ts'
import type {ProxyWorld} from './proxy-world.ts'

/** What is meant to be redirected here. @throws Failure `runtime` for a record that cannot be read. */
export function meantRedirects(host: ProxyWorld): readonly Redirect[] {
  const text = host.readRecord()
  return text === undefined ? [] : parseProxyRecord(text, host.recordFile())
}

export const proxyTable = (host: ProxyWorld): Promise<NftTable | undefined> => host.readTable('bridge', PROXY_TABLE)

/** Redirects a VM, in place of whatever was. If the kernel does not take it, all is as it was. */
export const redirectVm = (host: ProxyWorld, redirect: Redirect): Promise<void> =>
  aloneWith(host, 'redirections', async () => {
    const before = meantRedirects(host)
    host.writeRecord(proxyRecordText(withRedirect(before, redirect)))
    try {
      await host.loadNft(redirectRuleset(redirect))
    } catch (error) {
      host.writeRecord(proxyRecordText(before))
      throw error
    }
  })

/** Redirects these VMs no more, whether they are or not. `meant`: what is to be put back at the next {@link reapply} all the same. */
export const releaseVms = (host: ProxyWorld, vms: readonly Mac[], meant: Redirect | null = null): Promise<void> =>
  aloneWith(host, 'redirections', async () => {
    await release(host, vms)
    const others = withoutVms(meantRedirects(host), vms)
    host.writeRecord(proxyRecordText(meant === null ? others : withRedirect(others, meant)))
  })

/** All of them, also where the record cannot be read. Nobody else has a chain in that table. */
export const releaseAll = (host: ProxyWorld): Promise<void> =>
  aloneWith(host, 'redirections', async () => {
    if ((await proxyTable(host)) !== undefined) await host.loadNft(removeProxyTable())
    host.writeRecord(undefined)
  })

/** Puts back, in one transaction, what `missing` finds while nobody else changes any. True if anything was loaded. */
export const reapply = (host: ProxyWorld, missing: () => Promise<readonly Redirect[]>): Promise<boolean> =>
  aloneWith(host, 'redirections', async () => {
    const all = await missing()
    if (all.length > 0) await host.loadNft(all.map(redirectRuleset).join(''))
    return all.length > 0
  })

/** The table goes with the last of them. */
async function release(host: ProxyWorld, vms: readonly Mac[]): Promise<void> {
  const table = await proxyTable(host)
  if (table === undefined) return
  const gone = new Set(vms.map(chainOf))
  const isLast = !table.rules.some(({chain}) => macOf(chain) !== undefined && !gone.has(chain))
  await host.loadNft(isLast ? removeProxyTable() : vms.map(releaseRuleset).join(''))
}
