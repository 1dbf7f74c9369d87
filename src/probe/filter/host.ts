// What there is on this host: the record, the tables, the bridges.
import {type BridgeFacts, presentOf} from '../../domain/filter/kept.ts'
import {isFilterTable, NFT_HOOKS, type NftHook, OLD_TABLE} from '../../domain/filter/nft-text.ts'
import {type FilterRecord, type Made, madeOf, NO_RECORD, NOTHING_MADE, parseRecord} from '../../domain/filter/record.ts'
import type {HostLink} from '../../net/bridge-host.ts'
import type {NftTable} from '../../net/nft/nft-listing.ts'
import type {FilterWorld} from './filter-world.ts'

/** A table of ours in the kernel. */
export interface FoundTable {
  readonly hook: NftHook
  readonly name: string
  readonly ports: readonly string[]
  readonly table: NftTable
}

export interface FilterHost {
  readonly record: FilterRecord
  readonly links: readonly HostLink[]
  readonly tables: readonly FoundTable[]
  /** The one table of version 0.1.0, in whatever form. */
  readonly old: FoundTable | undefined
}

export function readFilterRecord(world: FilterWorld): FilterRecord {
  const text = world.readRecord()
  return text === undefined ? NO_RECORD : parseRecord(text, world.recordFile())
}

export async function filterHost(world: FilterWorld): Promise<FilterHost> {
  const record = readFilterRecord(world)
  const [links, ...families] = await Promise.all([world.links(), ...NFT_HOOKS.map((hook) => world.readTables(hook))])
  const all = families.flatMap((tables, i) =>
    [...tables].map(([name, table]) => ({hook: NFT_HOOKS[i]!, name, ports: portsOf(table), table})),
  )
  const old = all.find(({name}) => name === OLD_TABLE)
  return {record, links, tables: all.filter(({name}) => isFilterTable(name)), old}
}

/** The ports that a table filters, whatever its form. */
function portsOf({elements, devices}: NftTable): string[] {
  return [...new Set([...(elements.get('dci') ?? []), ...(elements.get('untagged') ?? []), ...devices])].sort()
}

/** What the table of version 0.1.0 remembers of what was done for VMs that had left. */
export function keptInOld({old, links}: FilterHost): Made {
  if (old === undefined) return NOTHING_MADE
  const bridges = links.flatMap(({name, bridge}) => (old.ports.includes(name) && bridge !== undefined ? [bridge] : []))
  const elements = (name: string): readonly string[] => old.table.elements.get(name) ?? []
  const vms = [...elements('kept4'), ...elements('kept6')].map((element) => {
    const [ip = '', mac = ''] = element.split(' . ')
    return {ip, mac}
  })
  const neighbours = bridges.flatMap((bridge) => vms.map((vm) => ({bridge, ...vm})))
  return madeOf({neighbours, places: neighbours, suppressed: elements('suppressed')})
}

/** The bridges of these ports, and those that something was made on. */
export async function bridgeFacts(
  ports: readonly string[],
  made: Made,
  links: readonly HostLink[],
  world: FilterWorld,
): Promise<BridgeFacts> {
  const all = links.flatMap(({name, bridge, neighSuppress}) =>
    bridge === undefined ? [] : {name, bridge, neighSuppress},
  )
  const wanted = [
    ...all.filter(({name}) => ports.includes(name)).map(({bridge}) => bridge),
    ...made.neighbours.map(({bridge}) => bridge),
    ...made.places.map(({bridge}) => bridge),
  ]
  const bridges = [...new Set(wanted)].filter((name) => links.some((link) => link.name === name))
  const [forwarding, neighbours] = await Promise.all([
    Promise.all(bridges.map((bridge) => world.bridgeFdb(bridge))),
    Promise.all(bridges.map((bridge) => world.neighbours(bridge))),
  ])
  return {
    ports: all,
    vlanAware: links.filter(({vlanAware}) => vlanAware).map(({name}) => name),
    forwarding: new Map(bridges.map((bridge, i) => [bridge, forwarding[i]!])),
    neighbours: new Map(bridges.map((bridge, i) => [bridge, neighbours[i]!])),
  }
}

/** Takes away what was made, as far as it is there. Safe twice. */
export async function unmake(made: Made, facts: BridgeFacts, world: FilterWorld): Promise<void> {
  const {neighbours, places, suppressed} = presentOf(made, facts)
  await world.deleteNeighbours(neighbours)
  await world.forgetMacs(places)
  await world.suppressNeighbours(suppressed, false)
}
