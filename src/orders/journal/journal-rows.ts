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

/** `record`: never changed. `half`: the switches that were begun and have not ended. */
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
export const RETENTION: Retention = {switches: 10_000, ageMs: 365 * DAY_MS, youngMs: DAY_MS}

/** How many records are written before it is looked whether some are to go. */
const PRUNE_EVERY = 256

/** States of a switch that somebody has to see to the end. */
const BEGUN: readonly string[] = ['executing', 'verified', 'guarding', 'rolling-back'] satisfies SwitchState[]

export type Draft = Pick<ChainRecord, 'run' | 'n' | 'kind'> & {
  readonly vm?: string
  readonly mac?: string
  readonly body: unknown
}

/** Which switches; of several conditions all. `vm` is a name or a MAC. */
export interface Choice {
  readonly vm?: string | undefined
  readonly run?: string | undefined
}

export interface JournalRows {
  /** On disk when it returns, all of them or none. */
  append(drafts: readonly Draft[], atMs: number): void
  /** Begins a run: on disk with what is appended next. The id that it was given. */
  begin(body: unknown, atMs: number): string
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
    append(drafts, atMs) {
      transaction(database, 'IMMEDIATE', () => {
        for (const draft of drafts) writing.add({vm: null, mac: null, ...draft, atMs, body: JSON.stringify(draft.body)})
      })
      const {seq} = reading.head()
      if (Math.floor(seq / PRUNE_EVERY) === checked) return
      checked = Math.floor(seq / PRUNE_EVERY)
      transaction(database, 'IMMEDIATE', () => writing.prune(retention, atMs))
    },
    begin(body, atMs) {
      // A run of which nothing is planned need not outlive a power cut.
      database.exec('PRAGMA synchronous = NORMAL')
      try {
        return transaction(database, 'IMMEDIATE', () => {
          const run = runId(reading.lastRun(), atMs)
          writing.add({run, n: 0, kind: 'begun', vm: null, mac: null, atMs, body: JSON.stringify(body)})
          return run
        })
      } finally {
        database.exec('PRAGMA synchronous = FULL')
      }
    },
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
  const all = database.prepare('SELECT * FROM record ORDER BY seq')
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
    last({vm, run}: Choice, limit: number) {
      const chosen = [
        ...(vm === undefined ? [] : [['(vm = ?1 OR mac = ?1)', vm]]),
        ...(run === undefined ? [] : [['run = ?2', run]]),
      ] as const
      const where = ["kind = 'planned'", ...chosen.map(([sql]) => sql)].join(' AND ')
      const sql = `SELECT run, n FROM record WHERE ${where} ORDER BY run DESC, n DESC LIMIT ?3`
      return (
        database.prepare(sql).all({
          ...(vm !== undefined && {'?1': vm}),
          ...(run !== undefined && {'?2': run}),
          '?3': limit,
        }) as unknown as SwitchName[]
      ).reverse()
    },
    check: () =>
      transaction(database, 'DEFERRED', () => {
        const last = pruned.get() as {body: string} | undefined
        const start = last === undefined ? CHAIN_START : (JSON.parse(last.body) as ChainPlace)
        return checkChain(all.iterate() as Iterable<unknown> as Iterable<ChainRecord>, start, head())
      }),
  }
}

function writingIn(database: DatabaseSync, {head}: {head(): ChainPlace}) {
  const insert = database.prepare('INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
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

  function add(draft: Omit<ChainRecord, 'seq' | 'hash'>): void {
    const last = head()
    const record = {...draft, seq: last.seq + 1}
    const {seq, run, n, atMs, kind, vm, mac, body} = record
    const hash = chainHash(last.hash, record)
    insert.run(seq, run, n, atMs, kind, vm, mac, body, hash)
    setHead.run(seq, hash)
    if (kind === 'ended') end.run(run, n)
    else if (BEGUN.includes(kind)) begin.run(run, n)
  }
  /** What is unfinished is written once more, behind all others: only whole beginnings of the chain can go. */
  function prune({switches, ageMs, youngMs}: Retention, nowMs: number): void {
    const {seq} = cuts.get(nowMs - ageMs, switches, nowMs - youngMs) as {seq: number}
    const cut = atCut.get(seq) as ChainRecord | undefined
    if (cut === undefined) return
    for (const kept of [...ofRuns.all(seq), ...ofHalf.all(seq)] as unknown as ChainRecord[]) add(kept)
    const body = JSON.stringify({seq, hash: cut.hash})
    add({run: '', n: 0, kind: 'pruned', vm: null, mac: null, atMs: nowMs, body})
    drop.run(seq)
  }
  return {add, prune}
}
