import {copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import fc from 'fast-check'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {inspectWal} from '../../../src/net/file/sqlite-wal.ts'

const HEADER = 32
const FRAME = 24 + 512
const COMMITS = 12

describe('inspectWal', () => {
  let dir = ''
  let [file, log] = ['', '']
  /** The log of a database with 12 transactions, over the remains of an earlier use of the same file. */
  let bytes: Buffer
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'gwswitch-wal-'))
    const live = join(dir, 'live')
    const database = new DatabaseSync(live)
    database.exec(
      'PRAGMA page_size = 512; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; CREATE TABLE t (n, x)',
    )
    const row = database.prepare('INSERT INTO t VALUES (?, ?)')
    for (let n = 0; n < 40; n++) row.run(-n, 'old'.repeat(50))
    database.exec('DELETE FROM t; PRAGMA wal_checkpoint(RESTART)')
    for (let n = 1; n <= COMMITS; n++) row.run(n, 'new'.repeat(50))
    file = join(dir, 'copy')
    log = `${file}-wal`
    copyFileSync(live, join(dir, 'main'))
    bytes = readFileSync(`${live}-wal`)
    database.close()
  })
  afterAll(() => rmSync(dir, {recursive: true, force: true}))

  const put = (content: Uint8Array): void => {
    copyFileSync(join(dir, 'main'), file)
    writeFileSync(log, content)
  }
  /** How many of the transactions SQLite reads. */
  const readBySqlite = (): number => {
    const database = new DatabaseSync(file)
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
    const {n} = database.prepare('SELECT count(*) AS n FROM t').get() as {n: number}
    database.close()
    return n
  }

  it('finds nothing in no log, and everything in a whole one', () => {
    expect(inspectWal(join(dir, 'none'))).toBeUndefined()
    put(new Uint8Array())
    expect(inspectWal(log)).toBeUndefined()
    put(bytes)
    const found = inspectWal(log)!
    expect(found).toMatchObject({bytes: bytes.length, lost: 0})
    expect(found.wholeBytes).toBeLessThan(bytes.length)
    expect((found.wholeBytes - HEADER) % FRAME).toBe(0)
    expect(readBySqlite()).toBe(COMMITS)
  })

  it('ends where SQLite ends, whatever bit is wrong, and counts what that leaves out', () => {
    put(bytes)
    const {wholeBytes: all} = inspectWal(log)!
    fc.assert(
      fc.property(fc.integer({min: HEADER, max: all - 1}), fc.integer({min: 0, max: 7}), (at, bit) => {
        const damaged = Uint8Array.from(bytes)
        damaged[at]! ^= 1 << bit
        put(damaged)
        const {wholeBytes, lost} = inspectWal(log)!
        expect(wholeBytes).toBeLessThanOrEqual(HEADER + Math.floor((at - HEADER) / FRAME) * FRAME)
        const left = readBySqlite()
        // A bit of what makes a frame the last of its transaction takes one away, or adds one.
        expect(Math.abs(COMMITS - left - lost)).toBeLessThanOrEqual(1)
        put(damaged)
        truncateSync(log, wholeBytes)
        expect(readBySqlite()).toBe(left)
      }),
      {numRuns: 150},
    )
  }, 30_000)

  it('takes a damaged header for damage, unless nothing follows it', () => {
    const damaged = Uint8Array.from(bytes)
    damaged[20]! ^= 4
    put(damaged)
    expect(inspectWal(log)).toMatchObject({wholeBytes: 0, lost: Number.POSITIVE_INFINITY})
    put(damaged.subarray(0, HEADER))
    expect(inspectWal(log)).toMatchObject({wholeBytes: 0, lost: 0})
  })

  it('takes what was not finished for nothing', () => {
    put(bytes)
    const {wholeBytes} = inspectWal(log)!
    put(bytes.subarray(0, wholeBytes - 1))
    const found = inspectWal(log)!
    expect([found.lost, readBySqlite()]).toEqual([0, COMMITS - 1])
  })
})
