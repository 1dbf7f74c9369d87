// Are the redirections that are meant the ones that the VMs' frames meet?
import {
  chainOf,
  macOf,
  PROXY_TABLE,
  type Redirect,
  redirectRuleset,
  redirectsIn,
  type StandingRedirect,
} from '../../domain/mac-proxy/ruleset.ts'
import type {NftTable} from '../../net/nft/nft-listing.ts'
import {compareTables} from '../../probe/filter/compare.ts'
import type {Mac} from '../../wire/address.ts'
import type {ProxyWorld} from './proxy-world.ts'
import {meantRedirects, proxyTable} from './redirects.ts'

/**
 * `port-gone`: the rules are as meant, and the VM's port is not here now. `unrecorded`: in the kernel, and in no record:
 * version 0.1.0 wrote none.
 */
export interface RedirectState {
  readonly vm: Mac
  /** Undefined where it is unrecorded. */
  readonly meant: Redirect | undefined
  /** Undefined where it is missing. */
  readonly standing: StandingRedirect | undefined
  readonly state: 'as-meant' | 'port-gone' | 'different' | 'missing' | 'unrecorded'
  readonly differences: readonly string[]
}

/** Reads what is there and what is meant; changes nothing. */
export async function redirectStates(host: ProxyWorld): Promise<readonly RedirectState[]> {
  const meant = meantRedirects(host)
  const [found, ports] = await Promise.all([proxyTable(host), host.bridgePorts()])
  const standing = redirectsIn(found?.rules)
  const isThere = meant.some(({vm}) => standing.some((each) => each.vm === vm.mac))
  const compiled = isThere
    ? (await host.compileTables(meant.map(redirectRuleset).join(''), 'bridge')).get(PROXY_TABLE)
    : undefined
  const stateOf = (redirect: Redirect): RedirectState => {
    const {mac} = redirect.vm
    const fixed = {vm: mac, meant: redirect, standing: standing.find(({vm}) => vm === mac)}
    if (fixed.standing === undefined) return {...fixed, state: 'missing', differences: []}
    const differences = compareTables(partOf(compiled!, mac), partOf(found!, mac))
    if (differences.length > 0) return {...fixed, state: 'different', differences}
    return {...fixed, state: ports.some(({name}) => name === redirect.port) ? 'as-meant' : 'port-gone', differences}
  }
  const unrecorded = standing.filter(({vm}) => !meant.some((each) => each.vm.mac === vm))
  return [
    ...meant.map(stateOf),
    ...unrecorded.map(
      (each): RedirectState => ({vm: each.vm, meant: undefined, standing: each, state: 'unrecorded', differences: []}),
    ),
  ]
}

/** The table without what is other VMs' alone. */
function partOf({declarations, sets, rules, ...rest}: NftTable, vm: Mac): NftTable {
  const isOthers = (chain: string): boolean => macOf(chain) !== undefined && chain !== chainOf(vm)
  const chainsIn = (text: string): string[] => text.match(/\bvm_[0-9a-f]{12}\b/g) ?? []
  return {
    ...rest,
    declarations: declarations.filter((text) => !chainsIn(text).some(isOthers)),
    sets: new Map(
      [...sets].map(([name, elements]) => [name, elements.filter((each) => !chainsIn(each).some(isOthers))]),
    ),
    rules: rules.filter(({chain}) => !isOthers(chain)),
  }
}
