// A bridge of this host may hand what a VM sends to another gateway than it is for (gwswitch mac-proxy): whoever judges by
// what the VM sends, or moves it by other means, has to know.
import {PROXY_TABLE, redirectsIn, type StandingRedirect} from '../domain/mac-proxy/ruleset.ts'
import type {World} from '../net/world.ts'
import type {Mac} from '../wire/address.ts'

/** The redirections that stand here; undefined where nobody may look: without nft, or the right to ask. */
export async function redirectsHere({
  nftTable,
}: Pick<World, 'nftTable'>): Promise<readonly StandingRedirect[] | undefined> {
  try {
    return nftTable && redirectsIn((await nftTable('bridge', PROXY_TABLE))?.rules)
  } catch {
    return undefined
  }
}

/** Undefined: none was seen. */
export const redirectOf = async (vm: Mac, world: Pick<World, 'nftTable'>): Promise<StandingRedirect | undefined> =>
  (await redirectsHere(world))?.find((each) => each.vm === vm)

/** What an operator should hear where a VM is judged at its bridge port, before the bridge, and nobody may look. */
export const unseenRedirects = async (vm: string, port: string, world: Pick<World, 'nftTable'>): Promise<string[]> =>
  (await redirectsHere(world)) === undefined
    ? [
        `whether the bridge here redirects what ${vm} sends (mac-proxy) is not known: that takes nft and CAP_NET_ADMIN; what is seen at ${port} may leave for another gateway`,
      ]
    : []

interface Known {
  readonly mac: Mac
  readonly name?: string | null | undefined
}

/** What it does and how it is lifted, in a line. */
export function redirectText(
  {from, to}: StandingRedirect,
  vm: Known,
  gateways: readonly Known[],
): {readonly says: string; readonly lift: string} {
  const named = (mac: Mac): string => {
    const name = gateways.find((each) => each.mac === mac)?.name
    return name ? `${name} (${mac})` : mac
  }
  const who = vm.name ?? vm.mac
  return {
    says: `the bridge here redirects what ${who} sends to ${named(from)} to ${named(to)} (mac-proxy)`,
    lift: `gwswitch mac-proxy release ${who}`,
  }
}
