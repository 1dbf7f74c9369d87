// nft(8): loading rules, and reading back what the kernel really holds.
//
// What `nft list` prints is no proof of what was loaded: it leaves out tests that it takes for implied (`meta protocol
// arp`), and a listing that is loaded again is another ruleset. Here tables are read as the kernel's own instructions,
// which `nft --debug=netlink` shows, and what is meant is put through a kernel too, in a namespace of its own.
import {Failure} from '../../errors.ts'
import {type CommandResult, commandFailure, tryCommand} from '../process/command.ts'
import {NFT_LISTINGS, type NftTable, parseNftTable} from './nft-listing.ts'
import {nftTableExists} from './table-exists.ts'

export type {NftRule, NftTable} from './nft-listing.ts'

/** Loads a ruleset, all of it or nothing. @throws Failure `privilege` without CAP_NET_ADMIN, `runtime` with what nft says. */
export async function loadNft(ruleset: string): Promise<void> {
  const result = await tryCommand('nft', ['-f', '-'], {input: ruleset})
  if (result.code !== 0) throw nftFailure('nft', result)
}

/** A table of this network namespace; undefined if there is none. */
export async function readNftTable(family: string, name: string): Promise<NftTable | undefined> {
  if (nftTableExists(family, name) === false) return undefined
  const results = await Promise.all(NFT_LISTINGS.map((listing) => tryCommand('nft', [...listing, family, name])))
  if (results.some(({stderr}) => /No such file or directory/.test(stderr))) return undefined
  const failed = results.find(({code}) => code !== 0)
  if (failed) throw nftFailure(`nft list table ${family} ${name}`, failed)
  return parseNftTable(results.map(({stdout}) => stdout).join(''))
}

/**
 * What the kernel makes of a ruleset's table. It is loaded in a network namespace that nobody else sees and that ends
 * with the command; `devices` exist there, for rules that hook into them.
 *
 * @throws Failure `privilege` without CAP_SYS_ADMIN.
 */
export async function compileNftTable(
  ruleset: string,
  family: string,
  name: string,
  devices: readonly string[] = [],
): Promise<NftTable> {
  const lists = NFT_LISTINGS.map((listing) => `nft ${listing.join(' ')} "$family" "$name"`)
  const script =
    'family=$1 name=$2; shift 2; for device; do ip link add "$device" type bridge || exit; done; ' +
    ['nft -f -', ...lists].join(' && ')
  const args = ['--net', 'sh', '-c', script, 'sh', family, name, ...devices]
  const result = await tryCommand('unshare', args, {input: ruleset})
  if (result.code === 0) return parseNftTable(result.stdout)
  if (/unshare failed/.test(result.stderr)) {
    throw new Failure(
      'privilege',
      'comparing with what is meant needs a scratch network namespace and so CAP_SYS_ADMIN: run as root',
    )
  }
  throw nftFailure('nft in a scratch namespace', result)
}

const nftFailure = (what: string, result: CommandResult): Failure =>
  /Operation not permitted/.test(result.stderr)
    ? new Failure('privilege', 'reading and loading nftables rules needs CAP_NET_ADMIN: run as root')
    : commandFailure(what, result)
