// What the journal is there for: whoever dies in a switch, at whatever step, the next one knows, and can finish or undo it.
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import type {JournalEntry} from '../../src/orders/journal/entry.ts'
import {readJournal} from '../../src/orders/journal/journal-file.ts'
import {type CliResult, gwswitch} from '../support/cli.ts'
import {withJournalFile} from '../support/journal.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {type SegmentLab, useSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {until} from '../support/until.ts'
import {startSwitch, switchIn} from './proof-switch.ts'

/** Kills at random moments; GWSWITCH_TEST_KILLS for more. */
const KILLS = Number(process.env.GWSWITCH_TEST_KILLS ?? 6)
const LEFT_MS = 20_000

const lastOf = (journal: string): Promise<JournalEntry | undefined> =>
  readJournal(journal, (read) => read.entries({}, 1)[0]).catch(() => undefined)

/** Resolves when the switch that is written down last is in a state. */
async function inState(journal: string, state: JournalEntry['state']): Promise<JournalEntry> {
  for (const end = performance.now() + 30_000; performance.now() < end; await delay(2)) {
    const last = await lastOf(journal)
    if (last?.state === state) return last
  }
  throw new Error(`never ${state}: ${JSON.stringify(await lastOf(journal))}`)
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

/** The guard of a process. */
const guardOf = (child: ChildProcess): number | undefined =>
  readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    .split(' ')
    .map(Number)
    .find((pid) => pid > 0)

/** As a power cut does: neither has time for anything. */
async function killBoth(child: ChildProcess): Promise<void> {
  child.kill('SIGSTOP')
  const guard = guardOf(child)
  if (guard) process.kill(guard, 'SIGKILL')
  await kill(child)
}

describe.skipIf(noNamespaces)('the journal', () => {
  const lab = useSegmentLab({})

  /** A scratch journal, and gwswitch beside the VM's port that writes it; the VM begins at gateway X. */
  async function withJournal(fn: (bed: Bed) => Promise<void>): Promise<void> {
    await lab().restore()
    await withJournalFile((file) =>
      fn({
        file,
        lab: lab(),
        env: {GWSWITCH_JOURNAL: file},
        cli: (...args) => gwswitch(args, {namespace: lab().ns('sw'), env: {GWSWITCH_JOURNAL: file}}),
      }),
    )
  }

  it('has what was observed before a switch, takes it back to that, twice, and switches it again', async () => {
    await withJournal(async ({lab, cli, env, file}) => {
      const {json} = await switchIn(lab, {env})
      expect(json).toMatchObject({end: 'switched', before: {name: 'bx'}})
      const {run} = (await lastOf(file))!
      expect(await lab.leavesBy()).toBe(Y_MAC)
      const dry = await cli('undo', 'db-03', '--dry-run', '--json')
      expect(dry.json).toMatchObject({run: null, switches: [{run, outcome: 'planned'}], exitCode: 0})
      for (const what of ['db-03', run]) {
        const undone = await cli('undo', what, '--json')
        expect(undone.json).toMatchObject({exitCode: 0, switches: [{run, from: 'by', to: 'bx', outcome: 'undone'}]})
        expect(undone.json.switches[0].document.rollback).toMatchObject({ok: true, uses: {name: 'bx'}})
        expect(await lab.leavesBy()).toBe(X_MAC)
      }
      await switchIn(lab, {env})
      const later = (await lastOf(file))!.run
      expect(await cli('undo', run)).toMatchObject({
        code: 2,
        stdout: `REFUSED     db-03: run ${later} moved it to by since: undo that first\n`,
      })
      expect(await lab.leavesBy()).toBe(Y_MAC)

      const {stdout, stderr} = await cli('history')
      expect(stderr).toBe('')
      expect(stdout.split('\n').map((line) => line.replace(/ {2,}/g, '|'))).toEqual([
        'RUN|WHEN|BY|VM|FROM|TO|STRATEGY|END|CODE',
        expect.stringMatching(
          /^\w{8}\|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\|root\|db-03\|bx\|by\|arp\|switched\|served$/,
        ),
        ...Array(2).fill(expect.stringMatching(/\|undo \(root\)\|db-03\|by\|bx\|arp\|undone\|served$/)),
        expect.stringMatching(/\|root\|db-03\|bx\|by\|arp\|switched\|served$/),
        '',
      ])
      const whole = (await cli('history', '--run', run, '--json')).json
      expect(whole.switches[0].document).toMatchObject({evidence: json.evidence, steps: json.steps})
      expect((await cli('history', '--run', run)).stdout).toContain(json.evidence[0])
      expect((await cli('history', '--limit', '1', '--json')).json.switches).toMatchObject([{run: later}])
      expect(await cli('history', 'verify')).toMatchObject({code: 0, stdout: expect.stringMatching(/^WHOLE /)})
    })
  })

  it('of a switch whose process was killed has what its guard did', async () => {
    await withJournal(async ({lab, cli, env, file}) => {
      const {child, ended} = startSwitch(lab, {env})
      ended.catch(() => {})
      const {run, processes} = await inState(file, 'executing')
      expect(processes[1]?.pid).toBe(guardOf(child))
      await kill(child)
      await until(async () => (await lastOf(file))?.state === 'ended', LEFT_MS, 'the guard has written its end')
      expect(await lab.leavesBy()).toBe(X_MAC)
      const {stdout, stderr} = await cli('history')
      expect([stdout, stderr]).toEqual([expect.stringMatching(/ {2}rolled back by its guard {2}served\n$/), ''])
      expect(await cli('undo', run)).toMatchObject({
        code: 2,
        stdout: expect.stringMatching(/was taken back already\n$/),
      })
    })
  })

  it.each(['executing', 'rolling-back'] as const)(
    'says what was half done when its guard died too (%s), until it is undone',
    async (state) => {
      await withJournal(async ({lab, cli, env, file}) => {
        const {child, ended} = startSwitch(lab, {env})
        ended.catch(() => {})
        const {run} = await inState(file, 'executing')
        if (state === 'rolling-back') {
          child.kill('SIGINT')
          await inState(file, state)
        }
        await killBoth(child)
        expect((await lastOf(file))!.state).toBe(state)
        const says = new RegExp(
          `^gwswitch: warning: run ${run}: the switch of db-03 to by was cut short, .* by "gwswitch undo ${run}", .* "gwswitch switch --resume ${run}"\n$`,
        )
        expect(await cli('history')).toMatchObject({
          code: 0,
          stdout: expect.stringMatching(/CUT SHORT/),
          stderr: expect.stringMatching(says),
        })
        const undone = await cli('undo', run)
        expect(undone).toMatchObject({code: 0, stdout: expect.stringMatching(/^UNDONE /), stderr: ''})
        expect(await lab.leavesBy()).toBe(X_MAC)
        expect((await cli('undo', run)).code).toBe(0)
        expect((await cli('history')).stderr).toBe('')
        expect((await cli('history', 'verify')).code).toBe(0)
      })
    },
  )

  it('says at the next switch what an earlier one left, and finishes it where that is asked', async () => {
    await withJournal(async ({lab, cli, env, file}) => {
      const {child, ended} = startSwitch(lab, {env, flags: ['--verify-to', '203.0.113.1', '--no-announce']})
      ended.catch(() => {})
      const {run} = await inState(file, 'executing')
      await killBoth(child)
      const next = await switchIn(lab, {env, to: 'x'})
      expect(next.json.exitCode, JSON.stringify(next.json)).toBe(0)
      expect(next.stderr).toMatch(new RegExp(`^gwswitch: warning: run ${run}: the switch of db-03 to by was cut short`))
      const resumed = await cli('switch', '--resume', run, '-f', lab.inventoryFile, '--json')
      expect(resumed.json, resumed.stdout).toMatchObject({
        exitCode: 0,
        rows: [{end: 'switched', to: {name: 'by'}}],
      })
      const again = (await lastOf(file))!
      expect(again.run).toBe(resumed.json.run)
      expect(again.order).toMatchObject({by: 'resume', options: {verifyTo: '203.0.113.1', announce: false}})
      expect(await lab.leavesBy()).toBe(Y_MAC)
      expect(await cli('switch', '--resume', run, '-f', lab.inventoryFile)).toMatchObject({
        code: 2,
        stderr: `gwswitch: run ${run}: nothing of it is left to do\n`,
      })
      expect((await cli('history')).stderr).toBe('')
    })
  })

  it('has nothing to say of one that was killed before anything was done, or after it was proved', async () => {
    await withJournal(async ({lab, cli, env, file}) => {
      const early = startSwitch(lab, {env})
      early.ended.catch(() => {})
      const {run} = await inState(file, 'planned')
      await killBoth(early.child)
      expect(await cli('history')).toMatchObject({stdout: expect.stringMatching(/ {2}not begun {2}-\n$/), stderr: ''})
      expect(await cli('undo', run)).toMatchObject({code: 2, stdout: `REFUSED     db-03: run ${run} changed nothing\n`})

      const held = startSwitch(lab, {env, flags: ['--guard', '60']})
      held.ended.catch(() => {})
      const {run: second} = await inState(file, 'guarding')
      expect(await cli('undo', second)).toMatchObject({code: 2, stdout: expect.stringMatching(/is under way/)})
      await killBoth(held.child)
      expect((await cli('history')).stdout).toMatch(/ {2}switched +-\n$/)
      expect(await lab.leavesBy()).toBe(Y_MAC)
      const third = await switchIn(lab, {env})
      expect([third.json.end, third.stderr]).toEqual(['already', ''])
      const settled = (await cli('history', '--run', second, '--json')).json.switches[0]
      expect(settled).toMatchObject({standing: 'ended', end: 'switched', endedBy: 'later', code: 'served'})
      expect(settled.document.evidence.at(-1)).toBe('its process ended while it held the VM')
      expect((await cli('undo', 'db-03')).code).toBe(0)
      expect(await lab.leavesBy()).toBe(X_MAC)
    })
  })

  it('knows of every moment at which all is killed whether something may have been done', {
    timeout: 60_000 + KILLS * 30_000,
  }, async () => {
    await withJournal(async ({lab, cli, env, file}) => {
      const began = Date.now()
      await switchIn(lab, {env})
      const wholeMs = Date.now() - began
      await cli('undo', 'db-03')
      const states: string[] = []
      for (let i = 0; i < KILLS; i++) {
        const before = (await lastOf(file))!.run
        const {child, ended} = startSwitch(lab, {env})
        ended.catch(() => {})
        await delay(((i + Math.random()) / KILLS) * wholeMs * 1.1)
        if (child.exitCode === null) await killBoth(child)
        const last = (await lastOf(file))!
        const isKnown = last.run !== before
        states.push(isKnown ? last.state : 'nothing')
        const how = `${states.at(-1)}, ${await lab.leavesBy()}`
        if (!isKnown || !last.wasBegun) expect(await lab.leavesBy(), how).toBe(X_MAC)
        else expect((await cli('undo', last.run)).stdout, how).toMatch(/^UNDONE /)
        expect(await lab.leavesBy(), how).toBe(X_MAC)
        expect(await cli('history'), how).toMatchObject({code: 0, stderr: ''})
      }
      expect((await cli('history', 'verify')).code).toBe(0)
      if (process.env.GWSWITCH_TEST_KILLS) process.stderr.write(`killed: ${states.join(', ')}\n`)
    })
  })

  it('names the record of which one byte is another', async () => {
    await withJournal(async ({lab, cli, env, file}) => {
      const {json} = await switchIn(lab, {env})
      const bytes = readFileSync(file)
      const at = bytes.indexOf(json.evidence[0]!)
      bytes[at]! ^= 1
      writeFileSync(file, bytes)
      const {run, seq} = await readJournal(file, (read) => {
        const {fault} = read.check()
        return {run: read.entries({}, 1)[0]!.run, seq: fault?.seq}
      })
      expect(await cli('history', 'verify')).toMatchObject({
        code: 1,
        stdout: expect.stringMatching(new RegExp(`record ${seq} \\(\\w+ of run ${run}\\) is not as it was written`)),
      })
    })
  })

  describe('on a disk', () => {
    const SMALL = 'mkdir -p "$0" && mount -t tmpfs -o size=512k none "$0" && '
    /** A switch whose journal has a disk of its own, on which `before` is done first. */
    const onDisk = async ({lab, file}: Bed, before: string, ...flags: string[]): Promise<CliResult> => {
      const disk = join(file, '..', 'disk')
      const under = ['unshare', '-m', 'sh', '-c', `${SMALL}${before} exec "$@"`, disk]
      const args = [
        'switch',
        'db-03',
        '--to',
        'y',
        '--strategy',
        'arp',
        '-i',
        'vnet0',
        '-f',
        lab.inventoryFile,
        '--json',
      ]
      const env = {GWSWITCH_JOURNAL: join(disk, 'journal.db')}
      return gwswitch([...args, ...flags], {namespace: lab.ns('sw'), under, env})
    }
    const FILL = 'dd if=/dev/zero of="$0/filler" bs=4k 2>/dev/null;'

    it('that is full, begins no switch, and says how to go on', async () => {
      await withJournal(async (bed) => {
        const {code, json} = await onDisk(bed, FILL)
        expect(json.error.message).toMatch(/journal\.db: .*the disk is full.*--no-journal/)
        expect(code).toBe(1)
        expect(await bed.lab.leavesBy()).toBe(X_MAC)
        const without = await onDisk(bed, FILL, '--no-journal')
        expect(without).toMatchObject({code: 0, stderr: '', json: {end: 'switched'}})
        expect(await bed.lab.leavesBy()).toBe(Y_MAC)
      })
    })

    it('that fills up once the VM was told, goes on to its proof, and says so', async () => {
      await withJournal(async (bed) => {
        const whenBegun = `(until grep -aqs executing "$0/journal.db-wal"; do sleep 0.01; done; ${FILL}) &`
        const {code, json, stderr} = await onDisk(bed, whenBegun)
        expect(json).toMatchObject({end: 'switched', exitCode: 0})
        expect(stderr).toMatch(
          /^gwswitch: warning: .*journal\.db: the journal cannot be written \(the disk is full\)\n/,
        )
        expect(code).toBe(0)
        expect(await bed.lab.leavesBy()).toBe(Y_MAC)
      })
    })
  })
})

interface Bed {
  readonly file: string
  readonly lab: SegmentLab
  readonly env: Readonly<Record<string, string>>
  cli(...args: string[]): Promise<CliResult>
}
