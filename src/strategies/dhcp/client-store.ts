// What is remembered of DHCP clients between two runs: the last transaction, the nonce, the replay value, the last ACK.
import {mkdirSync} from 'node:fs'
import {dirname} from 'node:path'
import type {DhcpClientKind} from '../../domain/segment-dhcp.ts'
import {Failure} from '../../errors.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {ClientSighting} from './client-watch.ts'

export const DEFAULT_STATE = '/var/lib/gwswitch/dhcp-clients.db'

/** One client as it was last seen. Times are CLOCK_REALTIME ns. */
export interface ClientRecord {
  readonly mac: Mac
  readonly ip: Ipv4 | undefined
  /** Of its last REQUEST. */
  readonly xid: number | undefined
  readonly nonce: Uint8Array | undefined
  readonly canListen: boolean | undefined
  readonly kind: DhcpClientKind | undefined
  readonly serverId: Ipv4 | undefined
  /** What its last ACK said. */
  readonly router: Ipv4 | undefined
  readonly ackedNs: bigint | undefined
  readonly leaseS: number | undefined
  readonly renewS: number | undefined
  /** The address it was last heard asking the segment for, and when. */
  readonly askedFor: Ipv4 | undefined
  readonly askedNs: bigint | undefined
}

/** What a DHCPv6 server's Reply told of a client. */
export interface Client6Record {
  readonly mac: Mac
  /** Its link-local address. */
  readonly ip: string
  readonly clientDuid: Uint8Array
  readonly serverDuid: Uint8Array
  /** Its reconfigure key, 16 bytes. */
  readonly key: Uint8Array | undefined
}

export interface ClientStore {
  read(mac: Mac): ClientRecord | undefined
  all(): readonly ClientRecord[]
  /** Writes down what a frame told. */
  learn(sighting: ClientSighting): void
  /** Writes down an ACK of which only the server told. */
  learnTold(client: {readonly mac: Mac; readonly ip: Ipv4}, router: Ipv4, atNs: bigint): void
  read6(mac: Mac): Client6Record | undefined
  learn6(record: Client6Record): void
  /**
   * A replay value above every earlier one for this client, on disk before it is returned. The clock makes it so, also
   * after the file was lost; where the clock steps back, the last value plus one does.
   */
  nextReplay(mac: Mac, nowNs: bigint): bigint
  close(): void
}

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS client (
    mac TEXT PRIMARY KEY, ip TEXT, xid INTEGER, nonce BLOB, canListen INTEGER, kind TEXT, serverId TEXT, router TEXT,
    ackedNs INTEGER, leaseS INTEGER, renewS INTEGER, askedFor TEXT, askedNs INTEGER, replay INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS client6 (
    mac TEXT PRIMARY KEY, ip TEXT NOT NULL, clientDuid BLOB NOT NULL, serverDuid BLOB NOT NULL, key BLOB
  ) STRICT, WITHOUT ROWID;
`

interface Row {
  readonly [column: string]: string | bigint | Uint8Array | null
}

/** Opens or creates the file. @throws Failure `runtime` if it cannot be, or is no such file. */
export async function openClientStore(file: string): Promise<ClientStore> {
  const {DatabaseSync} = await import('node:sqlite')
  try {
    mkdirSync(dirname(file), {recursive: true, mode: 0o700})
    const before = process.umask(0o077)
    try {
      return storeOn(new DatabaseSync(file))
    } finally {
      process.umask(before)
    }
  } catch (error) {
    const {code, message} = error as NodeJS.ErrnoException
    if (code === 'EACCES' || (process.geteuid?.() !== 0 && /unable to open|readonly/.test(message))) {
      throw new Failure('privilege', `${file}: is not ours to write: run as root, or give --state FILE`)
    }
    throw new Failure('runtime', `${file}: cannot keep what DHCP clients said: ${message}`)
  }
}

function storeOn(database: import('node:sqlite').DatabaseSync): ClientStore {
  database.exec(SCHEMA)
  const prepare = (sql: string) => {
    const statement = database.prepare(sql)
    statement.setReadBigInts(true)
    return statement
  }
  const one = prepare('SELECT * FROM client WHERE mac = ?')
  const every = prepare('SELECT * FROM client ORDER BY mac')
  const request = prepare(`
    INSERT INTO client (mac, ip, xid, canListen, kind) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (mac) DO UPDATE SET
    ip = coalesce(?2, ip), xid = ?3, canListen = ?4, kind = coalesce(?5, kind)`)
  const ack = prepare(`
    INSERT INTO client (mac, ip, xid, nonce, serverId, router, ackedNs, leaseS, renewS) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (mac) DO UPDATE SET ip = ?2, xid = ?3, nonce = coalesce(?4, nonce), serverId = coalesce(?5, serverId),
    router = ?6, ackedNs = ?7, leaseS = ?8, renewS = ?9`)
  const told = prepare(`
    INSERT INTO client (mac, ip, router, ackedNs) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (mac) DO UPDATE SET ip = ?2, router = ?3, ackedNs = ?4`)
  const asked = prepare(`
    INSERT INTO client (mac, askedFor, askedNs) VALUES (?1, ?2, ?3) ON CONFLICT (mac) DO UPDATE SET askedFor = ?2, askedNs = ?3`)
  const replay = prepare(`
    INSERT INTO client (mac, replay) VALUES (?1, ?2) ON CONFLICT (mac) DO UPDATE SET replay = max(replay + 1, ?2) RETURNING replay`)
  const one6 = prepare('SELECT * FROM client6 WHERE mac = ?')
  const reply6 = prepare(`
    INSERT INTO client6 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (mac) DO UPDATE SET
    ip = ?2, clientDuid = ?3, serverDuid = ?4, key = coalesce(?5, key)`)
  return {
    read: (mac) => recordOf(one.get(mac) as Row | undefined),
    all: () => (every.all() as unknown as Row[]).map((row) => recordOf(row)!),
    learn(seen) {
      if (seen.kind === 'request') {
        request.run(seen.mac, seen.ip ?? null, seen.xid, seen.traits.canListen ? 1 : 0, seen.traits.kind ?? null)
      } else if (seen.kind === 'ack') {
        const {mac, ip, xid, nonce, serverId, router, atNs, leaseS, renewS} = seen
        ack.run(mac, ip, xid, nonce ?? null, serverId ?? null, router ?? null, atNs, leaseS ?? null, renewS ?? null)
      } else if (seen.kind === 'arp-request') asked.run(seen.mac, seen.target, seen.atNs)
    },
    read6(mac) {
      const row = one6.get(mac) as Row | undefined
      const bytes = (column: string): Uint8Array => Uint8Array.from(row![column] as Uint8Array)
      if (!row) return undefined
      return {
        mac,
        ip: row.ip as string,
        clientDuid: bytes('clientDuid'),
        serverDuid: bytes('serverDuid'),
        key: row.key === null ? undefined : bytes('key'),
      }
    },
    learn6: ({mac, ip, clientDuid, serverDuid, key}) => void reply6.run(mac, ip, clientDuid, serverDuid, key ?? null),
    learnTold: ({mac, ip}, router, atNs) => void told.run(mac, ip, router, atNs),
    nextReplay(mac, nowNs) {
      // What was seen may be lost in a power cut; a replay value may not be used twice.
      database.exec('PRAGMA synchronous = FULL')
      const {replay: value} = replay.get(mac, nowNs) as Row
      database.exec('PRAGMA synchronous = NORMAL')
      return value as bigint
    },
    close: () => database.close(),
  }
}

function recordOf(row: Row | undefined): ClientRecord | undefined {
  if (!row) return undefined
  const text = (column: string): string | undefined => (row[column] as string | null) ?? undefined
  const ns = (column: string): bigint | undefined => (row[column] as bigint | null) ?? undefined
  const number = (column: string): number | undefined => (row[column] === null ? undefined : Number(row[column]))
  return {
    mac: text('mac')!,
    ip: text('ip'),
    xid: number('xid'),
    nonce: row.nonce === null ? undefined : Uint8Array.from(row.nonce as Uint8Array),
    canListen: row.canListen === null ? undefined : row.canListen === 1n,
    kind: text('kind') as DhcpClientKind | undefined,
    serverId: text('serverId'),
    router: text('router'),
    ackedNs: ns('ackedNs'),
    leaseS: number('leaseS'),
    renewS: number('renewS'),
    askedFor: text('askedFor'),
    askedNs: ns('askedNs'),
  }
}
