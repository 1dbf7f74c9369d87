// The tables of a journal: records that are added at one end, chained, and dropped at the other.
import {
  CHAIN_START,
  type ChainCheck,
  type ChainPlace,
  type ChainRecord,
  chainHash,
  checkChain,
} from '../../domain/journal/chain.ts'
import type {DatabaseSync} from '../../net/file/sqlite.ts'
import type {SwitchName, SwitchState} from './journal.ts'

/** `record`: never changed once it is chained; `head`: the last one that is. `half`: the switches that were begun and have not ended. */
export const SCHEMA = `
  CREATE TABLE head (seq INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
  INSERT INTO head VALUES (${CHAIN_START.seq}, '${CHAIN_START.hash}');
  CREATE TABLE record (
    seq INTEGER PRIMARY KEY, run TEXT NOT NULL, n INTEGER NOT NULL, atMs INTEGER NOT NULL, kind TEXT NOT NULL,
    vm TEXT, mac TEXT, body TEXT NOT NULL, hash TEXT NOT NULL
  ) STRICT;
  CREATE INDEX record_run ON record (run, n, seq);
  CREATE INDEX record_planned ON record (run, n) WHERE kind = 'planned';
  CREATE INDEX record_vm ON record (vm, run, n) WHERE kind = 'planned';
  CREATE INDEX record_mac ON record (mac, run, n) WHERE kind = 'planned';
  CREATE INDEX record_age ON record (seq, atMs) WHERE kind = 'planned';
  CREATE TABLE half (run TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (run, n)) STRICT, WITHOUT ROWID;
`

export interface Retention {
  /** Switches that are kept, the newest. */
  readonly switches: number
  /** Also of fewer, none that is older, ms. */
  readonly ageMs: number
  /** None that is younger goes, however many there are, ms: it may be under way. */
  readonly youngMs: number
}

const DAY_MS = 86_400_000
const RETENTION: Retention = {switches: 10_000, ageMs: 365 * DAY_MS, youngMs: DAY_MS}

/** How many records are written before it is looked whether some are to go. */
const PRUNE_EVERY = 256

/** States of a switch that somebody has to see to the end. */
const BEGUN: readonly string[] = ['executing', 'verified', 'guarding', 'rolling-back'] satisfies SwitchState[]

export type Draft = Pick<ChainRecord, 'n' | 'kind'> & {
  readonly vm?: string
  readonly mac?: string
  readonly body: unknown
}

/** Which switches; of several conditions all. `vm` is a name or a MAC. */
export interface Choice {
  readonly vm?: string | undefined
  readonly mac?: string | undefined
  readonly run?: string | undefined
}

export interface JournalRows {
  /** Records of a run: on disk when it returns, all of them or none, and chained. */
  append(run: string, drafts: readonly Draft[], atMs: number): void
  /**
   * Begins a run, and has the first records of it: on disk when it returns. They are chained with what comes next. The id
   * that it was given.
   */
  begin(body: unknown, drafts: readonly Draft[], atMs: number): string
  /** The last switches that were chosen, oldest first. */
  last(choice: Choice, limit: number): readonly SwitchName[]
  half(): readonly SwitchName[]
  /** The records of a switch, the one that it was planned by first. */
  of(name: SwitchName): readonly ChainRecord[]
  /** What is known of a run; undefined: there is none. */
  run(id: string): ChainRecord | undefined
  /** How many switches a run has. */
  size(run: string): number
  head(): ChainPlace
  check(): ChainCheck
}

export function journalRows(database: DatabaseSync, retention: Retention = RETENTION): JournalRows {
  const reading = readingIn(database)
  const writing = writingIn(database, reading)
  let checked = 0
  return {
    ...reading,
    append(run, drafts, atMs) {
      transaction(database, 'IMMEDIATE', () => {
        for (const draft of drafts) writing.add(run, draft, atMs)
        writing.chain()
      })
      const {seq} = reading.head()
      if (Math.floor(seq / PRUNE_EVERY) === checked) return
      checked = Math.floor(seq / PRUNE_EVERY)
      transaction(database, 'IMMEDIATE', () => writing.prune(retention, atMs))
    },
    begin: (body, drafts, atMs) =>
      transaction(database, 'IMMEDIATE', () => {
        const run = runId(reading.lastRun(), atMs)
        for (const draft of [{n: 0, kind: 'begun', body}, ...drafts]) writing.add(run, draft, atMs)
        return run
      }),
  }
}

/** The time, ms in base 36: eight characters until 2059. Above every earlier one, whatever the clock says. */
const runId = (last: string | undefined, nowMs: number): string =>
  Math.max(nowMs, last === undefined ? 0 : Number.parseInt(last, 36) + 1).toString(36)

function transaction<T>(database: DatabaseSync, kind: 'IMMEDIATE' | 'DEFERRED', work: () => T): T {
  database.exec(`BEGIN ${kind}`)
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function readingIn(database: DatabaseSync) {
  const chained = database.prepare('SELECT * FROM record WHERE seq <= ? ORDER BY seq')
  const ofOne = database.prepare('SELECT * FROM record WHERE run = ? AND n = ? ORDER BY seq')
  const heads = database.prepare('SELECT seq, hash FROM head')
  const halves = database.prepare('SELECT run, n FROM half ORDER BY run, n')
  const runs = database.prepare("SELECT max(run) AS run FROM record WHERE kind = 'begun'")
  const begun = database.prepare("SELECT * FROM record WHERE run = ? AND n = 0 AND kind = 'begun'")
  const pruned = database.prepare("SELECT body FROM record WHERE run = '' AND n = 0 ORDER BY seq DESC LIMIT 1")
  const sizes = database.prepare("SELECT count(*) AS n FROM record WHERE run = ? AND kind = 'planned'")
  const head = (): ChainPlace => heads.get() as unknown as ChainPlace
  return {
    head,
    of: ({run, n}: SwitchName) => ofOne.all(run, n) as unknown as ChainRecord[],
    size: (run: string) => (sizes.get(run) as {n: number}).n,
    half: () => halves.all() as unknown as SwitchName[],
    run: (id: string) => begun.get(id) as ChainRecord | undefined,
    lastRun: () => (runs.get() as {run: string | null}).run ?? undefined,
    last({vm, mac, run}: Choice, limit: number) {
      const chosen = [
        ...(vm === undefined ? [] : [['(vm = ?1 OR mac = ?1)', vm]]),
        ...(run === undefined ? [] : [['run = ?2', run]]),
        ...(mac === undefined ? [] : [['mac = ?4', mac]]),
      ] as const
      const where = ["kind = 'planned'", ...chosen.map(([sql]) => sql)].join(' AND ')
      const sql = `SELECT run, n FROM record WHERE ${where} ORDER BY run DESC, n DESC LIMIT ?3`
      return (
        database.prepare(sql).all({
          ...(vm !== undefined && {'?1': vm}),
          ...(run !== undefined && {'?2': run}),
          ...(mac !== undefined && {'?4': mac}),
          '?3': limit,
        }) as unknown as SwitchName[]
      ).reverse()
    },
    check: () =>
      transaction(database, 'DEFERRED', () => {
        const last = pruned.get() as {body: string} | undefined
        const start = last === undefined ? CHAIN_START : (JSON.parse(last.body) as ChainPlace)
        const {seq, hash} = head()
        return checkChain(chained.iterate(seq) as Iterable<unknown> as Iterable<ChainRecord>, start, {seq, hash})
      }),
  }
}

function writingIn(database: DatabaseSync, {head}: {head(): ChainPlace}) {
  // Above what is chained also where somebody took the last records away.
  const insert = database.prepare(`INSERT INTO record
    SELECT max((SELECT seq FROM head), coalesce((SELECT max(seq) FROM record), 0)) + 1, ?, ?, ?, ?, ?, ?, ?, ''`)
  const setHash = database.prepare('UPDATE record SET hash = ? WHERE seq = ?')
  const unchained = database.prepare('SELECT * FROM record WHERE seq > ? ORDER BY seq')
  const setHead = database.prepare('UPDATE head SET seq = ?, hash = ?')
  const begin = database.prepare('INSERT OR IGNORE INTO half VALUES (?, ?)')
  const end = database.prepare('DELETE FROM half WHERE run = ? AND n = ?')
  const select = (where: string) => database.prepare(`SELECT * FROM record WHERE ${where} ORDER BY seq`)
  const [atCut, ofHalf, ofRuns] = [
    select('seq = ?'),
    select('seq <= ? AND n > 0 AND (run, n) IN (SELECT run, n FROM half)'),
    select(`seq <= ?1 AND kind = 'begun' AND (run IN (SELECT run FROM half)
      OR run IN (SELECT run FROM record WHERE kind = 'planned' AND seq > ?1))`),
  ]
  const cuts = database.prepare(`SELECT max(
    (SELECT coalesce(max(seq), 0) FROM record WHERE kind = 'planned' AND atMs < ?1),
    min(
      coalesce((SELECT seq FROM record WHERE kind = 'planned' ORDER BY seq DESC LIMIT 1 OFFSET ?2), 0),
      (SELECT coalesce(max(seq), 0) FROM record WHERE kind = 'planned' AND atMs < ?3)
    )) AS seq`)
  const drop = database.prepare('DELETE FROM record WHERE seq <= ?')

  function insertRecord({run, n, atMs, kind, vm, mac, body}: Omit<ChainRecord, 'seq' | 'hash'>): void {
    insert.run(run, n, atMs, kind, vm, mac, body)
    if (kind === 'ended') end.run(run, n)
    else if (BEGUN.includes(kind)) begin.run(run, n)
  }
  const add = (run: string, {n, kind, body, vm, mac}: Draft, atMs: number): void =>
    insertRecord({run, n, atMs, kind, vm: vm ?? null, mac: mac ?? null, body: JSON.stringify(body)})
  /** Chains what is not yet. */
  function chain(): void {
    let {seq, hash} = head()
    for (const record of unchained.all(seq) as unknown as ChainRecord[]) {
      hash = chainHash(hash, record)
      seq = record.seq
      setHash.run(hash, seq)
    }
    setHead.run(seq, hash)
  }
  /** What is unfinished is written once more, behind all others: only whole beginnings of the chain can go. */
  function prune({switches, ageMs, youngMs}: Retention, nowMs: number): void {
    chain()
    const {seq} = cuts.get(nowMs - ageMs, switches, nowMs - youngMs) as {seq: number}
    const cut = atCut.get(seq) as ChainRecord | undefined
    if (cut === undefined) return
    for (const kept of [...ofRuns.all(seq), ...ofHalf.all(seq)] as unknown as ChainRecord[]) insertRecord(kept)
    add('', {n: 0, kind: 'pruned', body: {seq, hash: cut.hash}}, nowMs)
    chain()
    drop.run(seq)
  }
  return {add, chain, prune}
}
