import {readFileSync, statSync, writeFileSync} from 'node:fs'
import {DatabaseSync} from 'node:sqlite'
import {describe, expect, it} from 'vitest'
import {openJournal, readJournal} from '../../../src/orders/journal/journal-file.ts'
import {endedFor, preparedFor, withJournalFile} from '../../support/journal.ts'

const ORDER = {by: 'switch', asked: 'gwswitch switch web-07 --to y'} as const
const change = (file: string, sql: string): void => {
  const database = new DatabaseSync(file)
  database.exec(sql)
  database.close()
}

/** Writes down `count` switches that ended well, each as a run of its own. */
async function switches(file: string, count: number, retention?: Parameters<typeof openJournal>[1]): Promise<string[]> {
  const journal = await openJournal(file, retention)
  const prepared = preparedFor()
  const runs = Array.from({length: count}, () => {
    const run = journal.begin(ORDER)
    const [n] = run.plan([prepared])
    run.mark([{n: n!, state: 'executing', plan: {seen: 'rx'}}])
    run.mark([{n: n!, state: 'ended', document: endedFor(prepared)}])
    return run.id
  })
  journal.close()
  return runs
}

describe('the journal', () => {
  it('tells another process what was written, in order, and what is half done', async () => {
    await withJournalFile(async (file) => {
      const journal = await openJournal(file)
      const run = journal.begin({...ORDER, options: {verifyTo: null}})
      const prepared = [preparedFor('web-07'), preparedFor('db-03')]
      expect(run.plan(prepared)).toEqual([1, 2])
      expect(run.plan([preparedFor('db-03', 'x')])).toEqual([3])
      run.mark([{n: 1, state: 'executing', plan: {seen: 'rx'}, guard: process.pid}])
      run.mark([
        {n: 1, state: 'ended', document: endedFor(prepared[0]!)},
        {n: 2, state: 'executing', plan: {seen: 'bx'}},
      ])
      await readJournal(file, (read) => {
        expect(read.run(run.id)).toMatchObject({...ORDER, options: {verifyTo: null}, process: {pid: process.pid}})
        const [web, db, back] = read.entries({}, 10)
        expect(web).toMatchObject({run: run.id, n: 1, state: 'ended', plan: {seen: 'rx'}, wasBegun: true})
        expect(web!.processes.map(({pid}) => pid)).toEqual([process.pid, process.pid])
        expect(web!.document).toMatchObject({end: 'switched', vm: {name: 'web-07'}})
        expect(db).toMatchObject({n: 2, state: 'executing', plan: {seen: 'bx'}, document: undefined})
        expect(back).toMatchObject({n: 3, state: 'planned', plan: {by: 's'}, wasBegun: false})
        expect(read.half()).toEqual([db])
        expect(read.entries({vm: 'db-03'}, 1)).toEqual([back])
        expect(read.entries({vm: '02:00:00:00:00:10'}, 5)).toEqual([web])
        expect(read.entries({vm: 'db-03', run: 'none'}, 5)).toEqual([])
        expect(read.lastProved(prepared[0]!.switchover.vm.mac)).toMatchObject({site: 'y', gateway: 'ry'})
        expect(read.lastProved(prepared[1]!.switchover.vm.mac)).toBeUndefined()
        expect(read.check()).toEqual({records: 7, fault: undefined})
      })
      journal.close()
    })
  })

  it('is for nobody else to read, and a reader leaves no trace', async () => {
    await withJournalFile(async (file) => {
      await switches(file, 1)
      const before = readFileSync(file)
      expect(statSync(file).mode & 0o777).toBe(0o600)
      await readJournal(file, (read) => read.entries({}, 1))
      expect(readFileSync(file)).toEqual(before)
      expect(statSync(`${file}-wal`, {throwIfNoEntry: false})).toBeUndefined()
    })
  })

  it('gives runs ids that sort by time, whatever the clock says', async () => {
    await withJournalFile(async (file) => {
      const runs = await switches(file, 20)
      expect(runs.toSorted()).toEqual(runs)
      expect(new Set(runs).size).toBe(20)
      expect(runs[0]).toMatch(/^[0-9a-z]{8}$/)
    })
  })

  it.each([
    ['a body', `UPDATE record SET body = replace(body, 'rx', 'ry') WHERE seq = 7`, 7],
    ['a time', 'UPDATE record SET atMs = atMs + 1 WHERE seq = 4', 4],
    ['a record that is gone', 'DELETE FROM record WHERE seq = 6', 6],
    ['the last ones, that are gone', 'DELETE FROM record WHERE seq > 9', 10],
  ])('shows that somebody changed %s', async (_, sql, seq) => {
    await withJournalFile(async (file) => {
      await switches(file, 3)
      change(file, sql)
      expect(await readJournal(file, (read) => read.check().fault)).toMatchObject({seq})
    })
  })

  it('keeps the newest, and what is unfinished, and its chain stays whole', async () => {
    await withJournalFile(async (file) => {
      const journal = await openJournal(file)
      const half = journal.begin(ORDER)
      half.plan([preparedFor('db-03'), preparedFor()])
      half.mark([{n: 1, state: 'executing', plan: {seen: 'bx'}}])
      journal.close()
      const runs = await switches(file, 200, {switches: 20, ageMs: 1e9, youngMs: -1})
      await readJournal(file, (read) => {
        expect(read.check().fault).toBeUndefined()
        const kept = read.entries({}, 1000)
        expect(kept[0]).toMatchObject({run: half.id, n: 1, state: 'executing', plan: {seen: 'bx'}})
        expect(kept.slice(1).map(({run}) => run)).toEqual(runs.slice(1 - kept.length))
        expect(kept.length).toBeLessThan(20 + 70)
        expect(read.half()).toHaveLength(1)
      })
      change(file, 'DELETE FROM record WHERE seq = (SELECT min(seq) FROM record)')
      expect(await readJournal(file, (read) => read.check().fault?.why)).toBe('missing')
    })
  })

  it('drops what is too old, and nothing that is young', async () => {
    await withJournalFile(async (file) => {
      await switches(file, 100, {switches: 1, ageMs: 1e9, youngMs: 1e9})
      await readJournal(file, (read) => expect(read.entries({}, 1000)).toHaveLength(100))
      await switches(file, 100, {switches: 1000, ageMs: -1, youngMs: 1e9})
      await readJournal(file, (read) => {
        expect(read.entries({}, 1000).length).toBeLessThan(70)
        expect(read.check().fault).toBeUndefined()
      })
    })
  })

  it.each<[string, (file: string) => void, RegExp]>([
    [
      'a text',
      (file) => writeFileSync(file, 'not a database, but long enough to be looked at'.repeat(50)),
      /is corrupt/,
    ],
    ["somebody else's database", (file) => change(file, 'CREATE TABLE t (a)'), /is no journal of gwswitch/],
    [
      'a newer one',
      (file) => change(file, 'CREATE TABLE t (a); PRAGMA application_id = 0x67776a72; PRAGMA user_version = 9'),
      /is a journal of version 9, and this gwswitch reads version 1/,
    ],
  ])('refuses %s in one line that says how to go on, and leaves it as it is', async (_, make, says) => {
    await withJournalFile(async (file) => {
      make(file)
      const before = readFileSync(file)
      const failure = {
        kind: 'runtime',
        message: expect.stringMatching(new RegExp(`^${file}: .*${says.source}.*--no-journal$`)),
      }
      await expect(openJournal(file)).rejects.toMatchObject(failure)
      await expect(readJournal(file, (read) => read.half())).rejects.toMatchObject(failure)
      expect(readFileSync(file)).toEqual(before)
    })
  })
})
