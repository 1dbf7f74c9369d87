// Leases on disk: one row an address, and what operators said about VMs. A commit is durable when it returns.
import type {Directive, Lease, LeaseState} from '../../domain/dhcp/lease.ts'
import {Failure} from '../../errors.ts'
import {fileSync} from '../../net/file/file-sync.ts'
import {openDatabase, type StatementSync, writeTrouble} from '../../net/file/sqlite.ts'

export interface LeaseStore {
  leases(): Lease[]
  directives(): Directive[]
  /**
   * Writes all in one transaction, on disk when it returns.
   * @throws Failure `runtime` if it cannot; then none of it is written.
   */
  commit(leases: Iterable<Lease>, directives?: Iterable<Directive>): void
  close(): Promise<void>
}

/** "GWdl". */
const APPLICATION_ID = 0x4757646c
const SCHEMA = `
  CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), opened INTEGER NOT NULL) STRICT;
  INSERT INTO meta VALUES (1, 0);
  CREATE TABLE lease (
    segment TEXT, ip TEXT, client TEXT NOT NULL, mac TEXT NOT NULL, state TEXT NOT NULL, expiresAtMs INTEGER NOT NULL,
    xid INTEGER NOT NULL, lastSeenMs INTEGER NOT NULL, capable145 INTEGER NOT NULL, nonce TEXT NOT NULL,
    replay INTEGER NOT NULL, router TEXT NOT NULL, hostName TEXT NOT NULL, t1S INTEGER NOT NULL, kind TEXT NOT NULL,
    PRIMARY KEY (segment, ip)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE directive (
    segment TEXT, mac TEXT, site TEXT, nak INTEGER NOT NULL, inventorySite TEXT, sequence INTEGER, origin TEXT,
    receivedSite TEXT, PRIMARY KEY (segment, mac)
  ) STRICT, WITHOUT ROWID
`

const UPGRADES = {
  // Nobody wrote down which T1 the client was given. It asks before its lease ends, as far as is known.
  1: `
  ALTER TABLE lease ADD COLUMN t1S INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE lease ADD COLUMN kind TEXT NOT NULL DEFAULT '';
  UPDATE lease SET t1S = max(0, expiresAtMs - lastSeenMs) / 1000 WHERE state = 'bound'
`,
  2: 'ALTER TABLE directive ADD COLUMN inventorySite TEXT',
  3: `
  ALTER TABLE directive ADD COLUMN sequence INTEGER;
  ALTER TABLE directive ADD COLUMN origin TEXT;
  ALTER TABLE directive ADD COLUMN receivedSite TEXT
`,
}

type Row = Readonly<Record<string, string | bigint | null>>

/**
 * Commits between two syncs in the background, where commits themselves do not sync. A checkpoint first writes out what the
 * log holds, and stops the server for it: 80 ms if all of its 64 MB are still to be written, 10 ms if they are not.
 */
const SYNC_EVERY = 32

/** @throws Failure `runtime` as `openDatabase` does: corrupt, read-only, in use. */
export async function openLeaseStore(
  file: string,
  sync: 'full' | 'normal' = 'full',
  warn: (line: string) => void = () => {},
): Promise<LeaseStore> {
  const database = await openDatabase(file, {
    applicationId: APPLICATION_ID,
    version: 4,
    schema: SCHEMA,
    upgrades: UPGRADES,
    sync,
    // While one sync is under way, the commits of another round go on.
    mayTear: sync === 'full' ? 1 : 2 * SYNC_EVERY,
    what: 'lease store',
    warn,
  })
  const read = (table: string): Row[] => {
    const statement = database.prepare(`SELECT * FROM ${table}`)
    statement.setReadBigInts(true)
    return statement.all() as Row[]
  }
  const lease = database.prepare('INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const directive = database.prepare('INSERT OR REPLACE INTO directive VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
  const [begin, commit, rollback] = ['BEGIN IMMEDIATE', 'COMMIT', 'ROLLBACK'].map((sql) => database.prepare(sql)) as [
    StatementSync,
    StatementSync,
    StatementSync,
  ]
  // The log is there: opening the store has written to it.
  const ahead = sync === 'normal' ? fileSync(`${file}-wal`) : undefined
  let commits = 0
  return {
    leases: () => read('lease').map(leaseReader()),
    directives: () => read('directive').map(directiveOf),
    commit(leases, directives = []) {
      try {
        begin.run()
        for (const each of leases) writeLease(lease, each)
        for (const each of directives) writeDirective(directive, each)
        commit.run()
      } catch (error) {
        if (database.isTransaction) rollback.run()
        const why = writeTrouble(error, file)
        throw new Failure('runtime', `${file}: cannot store leases, so that nobody gets one: ${why}`)
      }
      if (++commits % SYNC_EVERY === 0) ahead?.begin()
    },
    async close() {
      await ahead?.close()
      database.close()
    },
  }
}

function writeLease(statement: StatementSync, lease: Lease): void {
  const {segment, ip, client, mac, state, expiresAtMs, xid, lastSeenMs, capable145, nonce, replay, router, hostName} =
    lease
  const capable = capable145 ? 1 : 0
  const start = [segment, ip, client, mac, state, expiresAtMs, xid, lastSeenMs, capable] as const
  statement.run(...start, nonce, replay, router, hostName, lease.t1S, lease.kind)
}

function writeDirective(statement: StatementSync, directive: Directive): void {
  const {segment, mac, site = null, nak, inventorySite = null, version, receivedSite = null} = directive
  const {sequence = null, origin = null} = version ?? {}
  statement.run(segment, mac, site, nak ? 1 : 0, inventorySite, sequence, origin, receivedSite)
}

/** A reader of rows. The few texts that many leases share are kept once, as they are where leases are made. */
function leaseReader(): (row: Row) => Lease {
  const texts = new Map<unknown, string>()
  const shared = (value: Row[string]): string => {
    const text = texts.get(value) ?? String(value)
    texts.set(text, text)
    return text
  }
  return (row) => ({
    segment: shared(row.segment!),
    ip: String(row.ip),
    client: String(row.client),
    mac: String(row.mac),
    state: shared(row.state!) as LeaseState,
    expiresAtMs: Number(row.expiresAtMs),
    xid: Number(row.xid),
    lastSeenMs: Number(row.lastSeenMs),
    capable145: row.capable145 === 1n,
    nonce: String(row.nonce),
    replay: row.replay as bigint,
    router: shared(row.router!),
    hostName: String(row.hostName),
    t1S: Number(row.t1S),
    kind: shared(row.kind!) as Lease['kind'],
  })
}

const directiveOf = (row: Row): Directive => ({
  segment: String(row.segment),
  mac: String(row.mac),
  site: textOf(row.site),
  nak: row.nak === 1n,
  inventorySite: textOf(row.inventorySite),
  ...(row.sequence !== null && {version: {sequence: Number(row.sequence), origin: String(row.origin)}}),
  receivedSite: textOf(row.receivedSite),
})

const textOf = (value: Row[string] | undefined): string | undefined => (value === null ? undefined : String(value))
