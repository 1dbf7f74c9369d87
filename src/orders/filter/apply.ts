// Puts the filter in place, or takes it away; twice is as good as once.
import type {SegmentClass} from '../../domain/filter/classify.ts'
import type {DecidedFilter, FilterIntent} from '../../domain/filter/intent.ts'
import {FILTER_TABLE, NFT_HOOKS, type NftHook, nftFilter, nftRemove} from '../../domain/filter/nft-text.ts'
import {Failure} from '../../errors.ts'
import {type BridgePort, portOf} from '../../net/bridge-ports.ts'
import type {NftTable} from '../../net/nft/nft-listing.ts'
import {checkFilter, type FilterState} from '../../probe/filter/check.ts'
import type {FilterWorld} from '../../probe/filter/filter-world.ts'
import {type DciPorts, dciPorts, type Remembered, remembered} from '../../probe/filter/kept.ts'
import {setUpKept, undoKept} from './keep-inbound.ts'

export interface FilterDocument {
  readonly schema: 'gwswitch.filter-apply/1' | 'gwswitch.filter-check/1'
  readonly hook: NftHook
  readonly ports: readonly string[]
  readonly segments: readonly SegmentClass[]
  readonly dryRun: boolean
  /** Whether anything on this host was (or, in a dry run, would be) changed. */
  readonly changed: boolean
  /** What `apply` refuses but for --force. */
  readonly overridden: readonly string[]
  readonly notes: readonly string[]
  /** What `nft -f` was given. */
  readonly ruleset: string
  readonly state: FilterState['state']
  readonly differences: readonly string[]
  readonly counters: FilterState['counters']
  /** Addresses for which the bridge answers ARP or neighbour solicitations. */
  readonly keptInbound: readonly string[]
  readonly exitCode: number
}

/** What `filter remove` did, or would do. */
export interface FilterRemoveDocument {
  readonly schema: 'gwswitch.filter-remove/1'
  /** The forms in which the filter is there. */
  readonly hooks: readonly NftHook[]
  readonly ports: readonly string[]
  readonly dryRun: boolean
  readonly changed: boolean
  /** What `nft -f` is given. */
  readonly ruleset: string
  /** Addresses for which the bridge answered until then. */
  readonly keptInbound: readonly string[]
  readonly exitCode: number
}

/** Exit code of `filter check` for a filter that is not the one that is meant. */
const DIFFERENT = 10

export interface FilterOptions {
  readonly hook: NftHook
  readonly dryRun: boolean
}

export async function applyFilter(
  {intent, refusals}: DecidedFilter,
  world: FilterWorld,
  {hook, dryRun}: FilterOptions,
): Promise<FilterDocument> {
  const dci = await checkedPorts(intent.ports, intent.kept.length > 0 || hook === 'bridge', world)
  const before = await checkFilter(intent, hook, world)
  const known = await allRemembered(world)
  const done = before.state === 'as-meant' && known.vms.length === intent.kept.flatMap(({ip6}) => [1, ...ip6]).length
  const base = {
    hook,
    ports: intent.ports,
    segments: intent.segments,
    dryRun,
    changed: !done,
    overridden: refusals,
  } as const
  if (done || dryRun) {
    const ruleset = nftFilter(intent, hook, {suppressed: known.suppressed})
    return document('gwswitch.filter-apply/1', base, before, {ruleset, notes: [], exitCode: 0})
  }
  const {notes, ruleset, suppressed} = await install(intent, known, dci, hook, world)
  for (const other of NFT_HOOKS) if (other !== hook) await removeTable(other, world)
  await undoKept(known, {kept: intent.kept, suppressed}, dci, world)
  const after = await checkFilter(intent, hook, world)
  return document('gwswitch.filter-apply/1', base, after, {
    ruleset,
    notes,
    exitCode: after.state === 'as-meant' ? 0 : 1,
  })
}

/** What keeps inbound alive comes first: the filter would cut it in between. If it fails, all is as it was. */
async function install(intent: FilterIntent, known: Remembered, dci: DciPorts, hook: NftHook, world: FilterWorld) {
  try {
    const {suppressed, notes} = await setUpKept(intent.kept, known, dci, world)
    const ruleset = nftFilter(intent, hook, {suppressed})
    await world.loadNft(ruleset)
    return {notes, ruleset, suppressed}
  } catch (error) {
    const begun = intent.kept.flatMap(({ip, ip6, mac}) => [ip, ...ip6].map((each) => ({ip: each, mac})))
    const vms = begun.filter(({ip}) => !known.vms.some((vm) => vm.ip === ip))
    const suppressed = dci.ports.filter(({neighSuppress}) => !neighSuppress).map(({name}) => name)
    if (intent.kept.length > 0) await undoKept({vms, suppressed}, {kept: [], suppressed: []}, dci, world)
    throw nftFailure(error, hook)
  }
}

/** Compares, and changes nothing. */
export async function inspectFilter(
  {intent, refusals}: DecidedFilter,
  world: FilterWorld,
  hook: NftHook,
): Promise<FilterDocument> {
  const state = await checkFilter(intent, hook, world)
  // Where the bridge answers for VMs, the filter was not applied blindly.
  const risks = state.kept.vms.length > 0 ? [] : refusals
  const base = {
    hook,
    ports: intent.ports,
    segments: intent.segments,
    dryRun: false,
    changed: false,
    overridden: risks,
  } as const
  const exitCode = state.state === 'as-meant' ? 0 : DIFFERENT
  return document('gwswitch.filter-check/1', base, state, {ruleset: nftFilter(intent, hook), notes: [], exitCode})
}

/**
 * Takes the filter away, in whatever form, and puts back what was done for VMs that had left.
 * @throws Failure `usage` if it covers ports beside `expected`, unless that is empty.
 */
export async function removeFilter(
  world: FilterWorld,
  expected: readonly string[],
  dryRun: boolean,
): Promise<FilterRemoveDocument> {
  const tables = await Promise.all(NFT_HOOKS.map((hook) => world.readTable(hook, FILTER_TABLE)))
  const known = await allRemembered(world)
  const covered = [...new Set(tables.flatMap((table) => (table ? portsOf(table) : [])))].sort()
  const others = covered.filter((port) => expected.length > 0 && !expected.includes(port))
  if (others.length > 0) {
    throw new Failure(
      'usage',
      `the filter covers ${others.join(', ')} too: it is one for all ports, so name them all or none`,
    )
  }
  const present = NFT_HOOKS.filter((_, i) => tables[i] !== undefined)
  if (!dryRun && present.length > 0) {
    // The filter first: without it the old gateway finds the VM by itself.
    for (const hook of present) await removeTable(hook, world)
    const all = await world.bridgePorts()
    await undoKept(
      known,
      {kept: [], suppressed: []},
      dciPorts(
        all.map(({name}) => name),
        all,
      ),
      world,
    )
  }
  return {
    schema: 'gwswitch.filter-remove/1',
    hooks: present,
    ports: covered,
    dryRun,
    changed: present.length > 0,
    ruleset: present.map(nftRemove).join(''),
    keptInbound: known.vms.map(({ip}) => ip),
    exitCode: 0,
  }
}

function document(
  schema: FilterDocument['schema'],
  base: Pick<FilterDocument, 'hook' | 'ports' | 'segments' | 'dryRun' | 'changed' | 'overridden'>,
  {state, differences, counters, kept}: FilterState,
  rest: Pick<FilterDocument, 'ruleset' | 'notes' | 'exitCode'>,
): FilterDocument {
  return {schema, ...base, ...rest, state, differences, counters, keptInbound: kept.vms.map(({ip}) => ip)}
}

async function checkedPorts(names: readonly string[], mustBePorts: boolean, world: FilterWorld): Promise<DciPorts> {
  const all: readonly BridgePort[] = await world.bridgePorts()
  if (mustBePorts) for (const name of names) portOf(name, all)
  return dciPorts(names, all)
}

async function allRemembered(world: FilterWorld): Promise<Remembered> {
  const each = await Promise.all(NFT_HOOKS.map(async (hook) => remembered(await world.readTable(hook, FILTER_TABLE))))
  return {vms: each.flatMap(({vms}) => vms), suppressed: [...new Set(each.flatMap(({suppressed}) => suppressed))]}
}

/** The ports that a table filters, whatever its form. */
const portsOf = ({elements, devices}: NftTable): string[] => [...(elements.get('dci') ?? []), ...devices]

async function removeTable(hook: NftHook, world: FilterWorld): Promise<void> {
  if ((await world.readTable(hook, FILTER_TABLE)) !== undefined) await world.loadNft(nftRemove(hook))
}

/** A kernel that lacks the egress hook says no more than "not supported". */
function nftFailure(error: unknown, hook: NftHook): unknown {
  if (hook !== 'netdev' || !(error instanceof Failure) || !/not supported|No such/.test(error.message)) return error
  return new Failure(
    'runtime',
    `${error.message} (the netdev form needs existing ports and a kernel with NETFILTER_EGRESS; --hook bridge does not)`,
  )
}
