// What the filter needs of the machine it runs on. Tests put one in memory in its place.
import * as bridge from '../../net/bridge-ports.ts'
import {compileNftTable, loadNft, type NftTable, readNftTable} from '../../net/nft/nft.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'

export interface FilterWorld {
  loadNft(ruleset: string): Promise<void>
  /** Undefined if there is no such table. */
  readTable(family: string, name: string): Promise<NftTable | undefined>
  /** What the kernel makes of a ruleset, away from everything. */
  compileTable(ruleset: string, family: string, name: string, devices: readonly string[]): Promise<NftTable>
  bridgePorts(): Promise<bridge.BridgePort[]>
  vlanAwareBridges(): Promise<string[]>
  bridgeFdb(bridge: string): Promise<bridge.FdbEntry[]>
  fixFdb(mac: Mac, port: string): Promise<void>
  forgetFdb(mac: Mac, port: string): Promise<void>
  setNeighSuppress(port: string, on: boolean): Promise<void>
  setNeighbour(ip: Ipv4 | Ipv6, mac: Mac, device: string): Promise<void>
  deleteNeighbour(ip: Ipv4 | Ipv6, device: string): Promise<void>
  permanentNeighbours(device: string): Promise<string[]>
}

/** This machine, as far as the network namespace goes that this process is in. */
export const systemFilterWorld: FilterWorld = {
  loadNft,
  readTable: readNftTable,
  compileTable: compileNftTable,
  bridgePorts: bridge.bridgePorts,
  vlanAwareBridges: bridge.vlanAwareBridges,
  bridgeFdb: bridge.bridgeFdb,
  fixFdb: bridge.fixFdb,
  forgetFdb: bridge.forgetFdb,
  setNeighSuppress: bridge.setNeighSuppress,
  setNeighbour: bridge.setNeighbour,
  deleteNeighbour: bridge.deleteNeighbour,
  permanentNeighbours: bridge.permanentNeighbours,
}
