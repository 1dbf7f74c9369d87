// What the filter needs of the machine it runs on. Tests put one in memory in its place.
import {dirname} from 'node:path'
import * as host from '../../net/bridge-host.ts'
import {bridgeFdb, type FdbEntry} from '../../net/bridge-ports.ts'
import {type FileLock, tryLock} from '../../net/file/file-lock.ts'
import {replaceFile} from '../../net/file/replace-file.ts'
import {makeFolderOf, readText, removeFile, removeIfEmpty} from '../../net/file/text-file.ts'
import {namespaceFile} from '../../net/namespace-file.ts'
import {compileNft, loadNft, type NftTable, readNftTables} from '../../net/nft/nft.ts'

export interface FilterWorld {
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
  /** Where the record of this network namespace lies. */
  recordFile(): string
  /** Undefined if there is none. */
  readRecord(): string | undefined
  /** On the disk when it returns; undefined: there shall be none. */
  writeRecord(text: string | undefined): void
  /** Undefined while another process changes filters. */
  lock(): FileLock | undefined
}

const recordFile = (): string => namespaceFile('filter.json')

/** The folder of a namespace that has no record goes when the lock does. */
function lockBeside(file: string): FileLock | undefined {
  makeFolderOf(file, 0o755)
  try {
    const lock = tryLock(`${file}.lock`)
    return (
      lock && {
        release: () => {
          lock.release()
          removeIfEmpty(dirname(file))
        },
      }
    )
  } catch (error) {
    // Somebody who was done took the folder away in between: not yet, then.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
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
  recordFile,
  readRecord: () => readText(recordFile()),
  writeRecord: (text) => {
    if (text === undefined) return removeFile(recordFile())
    makeFolderOf(recordFile(), 0o755)
    replaceFile(recordFile(), text)
  },
  lock: () => lockBeside(recordFile()),
}
