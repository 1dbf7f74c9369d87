// What is remembered of DHCP clients between two runs: the last transaction, the nonce, the replay value, the last ACK.
import type {DhcpClientKind} from '../../domain/inventory/segment-dhcp.ts'
import {
  copySharedDatabase,
  type DatabaseSync,
  openSharedDatabase,
  readSharedDatabase,
  type StatementSync,
} from '../../net/file/sqlite.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {verifyReconfigure} from '../../wire/dhcp-auth.ts'
import {verifyDhcpv6Reconfigure} from '../../wire/dhcpv6-reconfigure.ts'
import type {ClientSighting} from './client-watch.ts'
import {highestReplay, replayAfter, replayColumn, replayIn} from './replay.ts'

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
}

/** What was seen of a client since a switch of it began: what was seen before proves nothing about the switch. */
export interface SwitchEvidence {
  /** What its last ACK said, and when. */
  readonly router: Ipv4 | undefined
  readonly ackedNs: bigint | undefined
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

/** A Reconfigure of whatever server, to a client. */
export interface Reconfigure6Sighting {
  readonly mac: Mac
  readonly replay: bigint
  readonly message: Uint8Array
}

export interface ClientStore {
  read(mac: Mac): ClientRecord | undefined
  all(): readonly ClientRecord[]
  /** Writes down what a frame told. */
  learn(sighting: ClientSighting): void
  /** Writes down an ACK of which only the server told, and the router in it if it told that. */
  learnTold(client: {readonly mac: Mac; readonly ip: Ipv4}, router: Ipv4 | undefined, atNs: bigint): void
  /** A switch of the client begins: forgets the evidence of earlier ones, and collects what is seen from `nowNs` on. */
  beginSwitch(mac: Mac, nowNs: bigint): void
  /** What was seen since; undefined if no switch of the client was begun. */
  evidence(mac: Mac): SwitchEvidence | undefined
  read6(mac: Mac): Client6Record | undefined
  /** `replay`: that of the Reply that gave the key. */
  learn6(record: Client6Record, replay?: bigint): void
  learnReconfigure6(seen: Reconfigure6Sighting): void
  /**
   * A replay value above every earlier one for this client, ours or seen on the wire, on disk before it is returned. The
   * clock makes it so, also after the file was lost; where the clock steps back, and where the server counts in larger
   * units, the last value plus one does. @throws Failure `runtime` at the end of 64 bits.
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
    ackedNs INTEGER, leaseS INTEGER, renewS INTEGER, replay INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS evidence (
    mac TEXT PRIMARY KEY, sinceNs INTEGER NOT NULL, router TEXT, ackedNs INTEGER, askedFor TEXT, askedNs INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS client6 (
    mac TEXT PRIMARY KEY, ip TEXT NOT NULL, clientDuid BLOB NOT NULL, serverDuid BLOB NOT NULL, key BLOB
  ) STRICT, WITHOUT ROWID;
`

interface Row {
  readonly [column: string]: string | bigint | Uint8Array | null
}

/** Opens or creates the file. @throws Failure `runtime` if it cannot be, or is no such file. */
export const openClientStore = (file: string): Promise<ClientStore> =>
  openSharedDatabase(
    file,
    {purpose: 'keep what DHCP clients said', remedy: 'run as root, or give --state FILE'},
    storeOn,
  )

/** A copy of what the file holds, if there is one: a dry run learns nothing for good. @throws as {@link openClientStore} */
export const copyClientStore = (file: string): Promise<ClientStore> =>
  copySharedDatabase(file, 'read what DHCP clients said', ['client', 'evidence', 'client6'], storeOn)

/**
 * What an existing file knows of a client. Touches nothing.
 * @throws Failure `runtime` for a file that cannot be read, or is no such file.
 */
export const readClient = (file: string, mac: Mac): Promise<ClientRecord | undefined> =>
  readSharedDatabase(file, 'read what DHCP clients said', (database) => {
    const statement = database.prepare('SELECT * FROM client WHERE mac = ?')
    statement.setReadBigInts(true)
    return recordOf(statement.get(mac) as Row | undefined)
  })

function storeOn(database: DatabaseSync): ClientStore {
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
    ip = coalesce(?2, ip), xid = ?3, canListen = ?4, kind = ?5`)
  const ack = prepare(`
    INSERT INTO client (mac, ip, xid, nonce, serverId, router, ackedNs, leaseS, renewS) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (mac) DO UPDATE SET ip = ?2, xid = ?3, nonce = coalesce(?4, nonce), serverId = coalesce(?5, serverId),
    router = ?6, ackedNs = ?7, leaseS = ?8, renewS = ?9`)
  const told = prepare(`
    INSERT INTO client (mac, ip, router, ackedNs) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (mac) DO UPDATE SET ip = ?2, router = ?3, ackedNs = ?4`)
  const {acked, asked, ...evidence} = evidenceIn(prepare)
  const replays = replaysIn(database, prepare)
  const {read6, write6} = clients6In(prepare)
  return {
    ...evidence,
    read: (mac) => recordOf(one.get(mac) as Row | undefined),
    all: () => (every.all() as unknown as Row[]).map((row) => recordOf(row)!),
    learn(seen) {
      if (seen.kind === 'request') {
        request.run(seen.mac, seen.ip ?? null, seen.xid, seen.traits.canListen ? 1 : 0, seen.traits.kind ?? null)
      } else if (seen.kind === 'ack') {
        const {mac, ip, xid, nonce, serverId, router, atNs, leaseS, renewS, replay} = seen
        ack.run(mac, ip, xid, nonce ?? null, serverId ?? null, router ?? null, atNs, leaseS ?? null, renewS ?? null)
        acked(mac, router, atNs)
        if (replay !== undefined) replays.raise(mac, replay)
      } else if (seen.kind === 'arp-request') asked(seen.mac, seen.target, seen.atNs)
      else if (seen.kind === 'forcerenew') {
        // The client takes none but those signed with its nonce; no other raises what it compares with.
        const nonce = recordOf(one.get(seen.mac) as Row | undefined)?.nonce
        if (nonce && verifyReconfigure(seen.message, nonce)) replays.raise(seen.mac, seen.replay)
      }
    },
    learnTold({mac, ip}, router, atNs) {
      told.run(mac, ip, router ?? null, atNs)
      if (router !== undefined) acked(mac, router, atNs)
    },
    read6,
    learn6(record, replay) {
      write6(record)
      if (replay !== undefined) replays.raise(record.mac, replay)
    },
    learnReconfigure6({mac, message, replay}) {
      const key = read6(mac)?.key
      if (key && verifyDhcpv6Reconfigure(message, key)) replays.raise(mac, replay)
    },
    nextReplay: replays.next,
    close: () => database.close(),
  }
}

type Prepare = (sql: string) => StatementSync

/**
 * Evidence of a switch stands in a table of its own, emptied when the switch begins: times alone would let in what was
 * seen when the clock was ahead. The time keeps out what another process saw before and writes down late. It is in the
 * file since a rollback may be another process's.
 */
function evidenceIn(prepare: Prepare) {
  const begin = prepare('INSERT OR REPLACE INTO evidence (mac, sinceNs) VALUES (?, ?)')
  const read = prepare('SELECT * FROM evidence WHERE mac = ?')
  const acked = prepare('UPDATE evidence SET router = ?2, ackedNs = ?3 WHERE mac = ?1 AND sinceNs <= ?3')
  const asked = prepare('UPDATE evidence SET askedFor = ?2, askedNs = ?3 WHERE mac = ?1 AND sinceNs <= ?3')
  return {
    beginSwitch: (mac: Mac, nowNs: bigint): void => void begin.run(mac, nowNs),
    evidence(mac: Mac): SwitchEvidence | undefined {
      const row = read.get(mac) as Row | undefined
      if (!row) return undefined
      const {text, ns} = columnsOf(row)
      return {router: text('router'), ackedNs: ns('ackedNs'), askedFor: text('askedFor'), askedNs: ns('askedNs')}
    },
    acked: (mac: Mac, router: Ipv4 | undefined, atNs: bigint): void => void acked.run(mac, router ?? null, atNs),
    asked: (mac: Mac, target: Ipv4, atNs: bigint): void => void asked.run(mac, target, atNs),
  }
}

function replaysIn(database: DatabaseSync, prepare: Prepare) {
  const read = prepare('SELECT replay FROM client WHERE mac = ?')
  const write = prepare(
    'INSERT INTO client (mac, replay) VALUES (?1, ?2) ON CONFLICT (mac) DO UPDATE SET replay = ?2 RETURNING replay',
  )
  /** Reads and writes as one: other processes count too. */
  function change(mac: Mac, next: (last: bigint) => bigint): bigint {
    database.exec('BEGIN IMMEDIATE')
    try {
      const row = read.get(mac) as Row | undefined
      const last = row ? replayIn(row.replay as bigint) : 0n
      const value = next(last)
      if (value !== last) write.get(mac, replayColumn(value))
      database.exec('COMMIT')
      return value
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      throw error
    }
  }
  return {
    raise: (mac: Mac, seen: bigint): void => void change(mac, (last) => highestReplay(last, seen)),
    next(mac: Mac, nowNs: bigint): bigint {
      // What was seen may be lost in a power cut; a replay value may not be used twice.
      database.exec('PRAGMA synchronous = FULL')
      try {
        return change(mac, (last) => replayAfter(mac, last, nowNs))
      } finally {
        database.exec('PRAGMA synchronous = NORMAL')
      }
    },
  }
}

function clients6In(prepare: Prepare) {
  const one = prepare('SELECT * FROM client6 WHERE mac = ?')
  const reply = prepare(`
    INSERT INTO client6 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (mac) DO UPDATE SET
    ip = ?2, clientDuid = ?3, serverDuid = ?4, key = coalesce(?5, key)`)
  return {
    read6(mac: Mac): Client6Record | undefined {
      const row = one.get(mac) as Row | undefined
      if (!row) return undefined
      const bytes = (column: string): Uint8Array => Uint8Array.from(row[column] as Uint8Array)
      return {
        mac,
        ip: row.ip as string,
        clientDuid: bytes('clientDuid'),
        serverDuid: bytes('serverDuid'),
        key: row.key === null ? undefined : bytes('key'),
      }
    },
    write6: ({mac, ip, clientDuid, serverDuid, key}: Client6Record): void =>
      void reply.run(mac, ip, clientDuid, serverDuid, key ?? null),
  }
}

const columnsOf = (row: Row) => ({
  text: (column: string): string | undefined => (row[column] as string | null) ?? undefined,
  ns: (column: string): bigint | undefined => (row[column] as bigint | null) ?? undefined,
  number: (column: string): number | undefined => (row[column] === null ? undefined : Number(row[column])),
})

function recordOf(row: Row | undefined): ClientRecord | undefined {
  if (!row) return undefined
  const {text, ns, number} = columnsOf(row)
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
  }
}
