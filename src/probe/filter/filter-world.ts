// What the filter needs of the machine it runs on. Tests put one in memory in its place.
import * as host from '../../net/bridge-host.ts'
import {bridgeFdb, type FdbEntry} from '../../net/bridge-ports.ts'
import {compileNft, loadNft, type NftTable, readNftTables} from '../../net/nft/nft.ts'
import {type RecordStore, recordStore} from '../../net/record-store.ts'

export interface FilterWorld extends RecordStore {
  loadNft(ruleset: string): Promise<void>
  readTables(family: string): Promise<ReadonlyMap<string, NftTable>>
  /** What the kernel makes of a ruleset, away from everything. */
  compileTables(ruleset: string, family: string, devices: readonly string[]): Promise<ReadonlyMap<string, NftTable>>
  links(): Promise<host.HostLink[]>
  bridgeFdb(bridge: string): Promise<FdbEntry[]>
  neighbours(device: string): Promise<host.HostNeighbour[]>
  setNeighbours(all: readonly host.BridgeNeighbour[]): Promise<void>
  deleteNeighbours(all: readonly host.BridgeNeighbour[]): Promise<void>
  fixMacs(all: readonly host.FixedMac[]): Promise<void>
  forgetMacs(all: readonly host.FixedMac[]): Promise<void>
  suppressNeighbours(ports: readonly string[], on: boolean): Promise<void>
}

/** This machine, as far as the network namespace goes that this process is in. */
export const systemFilterWorld: FilterWorld = {
  loadNft,
  readTables: readNftTables,
  compileTables: compileNft,
  links: host.hostLinks,
  bridgeFdb,
  neighbours: host.neighboursOf,
  setNeighbours: host.setNeighbours,
  deleteNeighbours: host.deleteNeighbours,
  fixMacs: host.fixMacs,
  forgetMacs: host.forgetMacs,
  suppressNeighbours: host.suppressNeighbours,
  ...recordStore('filter.json'),
}
