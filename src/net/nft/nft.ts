// nft(8): loading rules, and reading back what the kernel really holds.
//
// What `nft list` prints is no proof of what was loaded: it leaves out tests that it takes for implied (`meta protocol
// arp`), and a listing that is loaded again is another ruleset. Here tables are read as the kernel's own instructions,
// which `nft --debug=netlink` shows, and what is meant is put through a kernel too, in a namespace of its own.
import {Failure} from '../../errors.ts'
import {type CommandResult, commandFailure, tryCommand} from '../process/command.ts'
import {NFT_LISTINGS, type NftTable, parseNftTables} from './nft-listing.ts'
import {nftTableNames} from './table-names.ts'

export type {NftRule, NftTable} from './nft-listing.ts'

/** Loads a ruleset, all of it or nothing. @throws Failure `privilege` without CAP_NET_ADMIN, `runtime` with what nft says. */
export async function loadNft(ruleset: string): Promise<void> {
  const result = await tryCommand('nft', ['-f', '-'], {input: ruleset})
  if (result.code !== 0) throw nftFailure('nft', result)
}

/** A table of this network namespace; undefined if there is none. */
export async function readNftTable(family: string, name: string): Promise<NftTable | undefined> {
  if (nftTableNames(family)?.includes(name) === false) return undefined
  return (await listed(['table', family, name])).get(name)
}

/** The tables of a family in this network namespace. Of others' rules in it no more is read than nft lists. */
export async function readNftTables(family: string): Promise<ReadonlyMap<string, NftTable>> {
  if (nftTableNames(family)?.length === 0) return new Map()
  return listed(['ruleset', family])
}

async function listed(what: readonly string[]): Promise<ReadonlyMap<string, NftTable>> {
  const results = await Promise.all(NFT_LISTINGS.map((listing) => tryCommand('nft', [...listing, ...what])))
  if (results.some(({stderr}) => /No such file or directory/.test(stderr))) return new Map()
  const failed = results.find(({code}) => code !== 0)
  if (failed) throw nftFailure(`nft list ${what.join(' ')}`, failed)
  return parseNftTables(results.map(({stdout}) => stdout).join(''))
}

/** How a scratch network namespace is made (unshare(1)): by root, and by whoever may make a user namespace around it. */
const APART = [['--net'], ['--user', '--keep-caps', '--net']] as const

/**
 * What the kernel makes of a ruleset of one family. It is loaded in a network namespace that nobody else sees and that ends
 * with the command; `devices` exist there, for rules that hook into them.
 *
 * @throws Failure `privilege` without CAP_SYS_ADMIN where this user may make no user namespace either.
 */
export async function compileNft(
  ruleset: string,
  family: string,
  devices: readonly string[] = [],
): Promise<ReadonlyMap<string, NftTable>> {
  const lists = NFT_LISTINGS.map((listing) => `nft ${listing.join(' ')} ruleset "$family"`)
  const script =
    'family=$1; shift; for device; do echo "link add $device type bridge"; done | ip -batch - && ' +
    ['nft -f -', ...lists].join(' && ')
  // What nft reads is standard input, which the pipe to ip(8) must not take.
  const args = ['sh', '-c', `exec 3<&0; ${script.replace('nft -f -', 'nft -f - <&3')}`, 'sh', family, ...devices]
  for (const apart of APART) {
    const result = await tryCommand('unshare', [...apart, ...args], {input: ruleset})
    if (result.code === 0) return parseNftTables(result.stdout)
    if (!/unshare failed/.test(result.stderr)) throw nftFailure('nft in a scratch namespace', result)
  }
  throw new Failure(
    'privilege',
    'comparing with what is meant needs a scratch network namespace and so CAP_SYS_ADMIN, or user namespaces: run as root',
  )
}

const nftFailure = (what: string, result: CommandResult): Failure =>
  /Operation not permitted/.test(result.stderr)
    ? new Failure('privilege', 'reading and loading nftables rules needs CAP_NET_ADMIN: run as root')
    : commandFailure(what, result)
