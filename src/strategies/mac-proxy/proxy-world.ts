// What the redirection needs of the hypervisor it runs on. Tests put one in memory in its place.
import {type BridgePort, bridgeFdb, bridgePorts, type FdbEntry} from '../../net/bridge-ports.ts'
import {compileNft, loadNft, type NftTable, readNftTable} from '../../net/nft/nft.ts'
import {type RecordStore, recordStore} from '../../net/record-store.ts'

export interface ProxyWorld extends RecordStore {
  loadNft(ruleset: string): Promise<void>
  /** Undefined if there is no such table. */
  readTable(family: string, name: string): Promise<NftTable | undefined>
  /** What the kernel makes of a ruleset, away from everything. */
  compileTables(ruleset: string, family: string): Promise<ReadonlyMap<string, NftTable>>
  bridgePorts(): Promise<BridgePort[]>
  bridgeFdb(bridge: string): Promise<FdbEntry[]>
}

/** This machine, as far as the network namespace goes that this process is in. */
export const systemProxyWorld: ProxyWorld = {
  ...{loadNft, readTable: readNftTable, compileTables: compileNft, bridgePorts, bridgeFdb},
  ...recordStore('mac-proxy.json'),
}
