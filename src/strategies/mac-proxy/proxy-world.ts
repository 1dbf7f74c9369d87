// What the redirection needs of the hypervisor it runs on. Tests put one in memory in its place.
import {type BridgePort, bridgeFdb, bridgePorts, type FdbEntry} from '../../net/bridge-ports.ts'
import {loadNft, type NftTable, readNftTable} from '../../net/nft/nft.ts'

export interface ProxyWorld {
  loadNft(ruleset: string): Promise<void>
  /** Undefined if there is no such table. */
  readTable(family: string, name: string): Promise<NftTable | undefined>
  bridgePorts(): Promise<BridgePort[]>
  bridgeFdb(bridge: string): Promise<FdbEntry[]>
}

/** This machine, as far as the network namespace goes that this process is in. */
export const systemProxyWorld: ProxyWorld = {loadNft, readTable: readNftTable, bridgePorts, bridgeFdb}
