// `switch` of many VMs on a real segment: each ends by what was seen of it, whatever becomes of the others.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {afterAll, describe, expect, it} from 'vitest'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {readJournal} from '../../src/orders/journal/journal-file.ts'
import type {ManyRow} from '../../src/orders/switch/many-rows.ts'
import {gwswitch} from '../support/cli.ts'
import {BX, BY, type Kind, type ManySegment, withManySegment} from '../support/many-segment.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

const bin = join(import.meta.dirname, '../../bin/run.js')
const directory = mkdtempSync(join(tmpdir(), 'gwswitch-switch-many-'))
afterAll(() => rmSync(directory, {recursive: true}))

function inventoryFile({inventory}: ManySegment): string {
  const file = join(directory, 'gwswitch.yaml')
  writeFileSync(file, inventory)
  return file
}

/** Started, and not waited for. */
function started(segment: ManySegment, flags: readonly string[]) {
  const argv = [process.execPath, bin, 'switch', '--to', 'y', '-f', inventoryFile(segment), '--json', ...flags]
  const [program = '', ...args] = namespaceCommand(segment.namespace, argv)
  const child = spawn(program, args, {stdio: ['ignore', 'pipe', 'pipe'], env: {...process.env, NODE_ENV: 'production'}})
  return {child, said: Promise.all([text(child.stdout), text(child.stderr)])}
}

type Arp = Exclude<Kind, 'agent'>
const MISBEHAVING: readonly Arp[] = ['off', 'static', 'away', 'lost']
/** One of ten does not do as it should. */
const kindOf = (i: number): Arp => (i % 10 === 0 ? MISBEHAVING[(i / 10) % MISBEHAVING.length]! : 'good')

/** How a VM of each kind ends: what is said of it, the code of its row, and the gateway that it has then. */
const ENDS: Readonly<Record<Arp, readonly [end: string, code: string, exitCode: number, gateway: string]>> = {
  good: ['switched', 'served', 0, BY],
  off: ['not-begun', 'silent', 5, BX],
  static: ['rolled-back', 'elsewhere', 3, BX],
  away: ['left-alone', 'not-here', 0, BX],
  lost: ['not-begun', 'target-dead', 3, BX],
}

describe.skipIf(noNamespaces)('switch of many VMs', () => {
  it('ends each of 200 by what was seen of it, a tenth of which do not do as they should', {timeout: 120_000}, () =>
    withManySegment(200, kindOf, async (segment) => {
      const argv = ['switch', '--from', 'x', '--to', 'y', '-f', inventoryFile(segment)]
      const dry = await gwswitch([...argv, '--dry-run'], {namespace: segment.namespace})
      expect(dry.stdout).toContain('195 of 200 VMs to switch to y: 195 by arp; 5 left alone')
      expect(dry.stdout).toContain('not at site y: behind vx0 by')
      expect([...new Set((await segment.gateways()).values())]).toEqual([BX])

      const {json, code} = await gwswitch([...argv, '--json'], {namespace: segment.namespace})
      const gateways = await segment.gateways()
      const rows = new Map((json.rows as ManyRow[]).map((row) => [row.vm.name, row]))
      const found = segment.vms.map(({name, kind}) => {
        const row = rows.get(name)!
        return [name, kind, row.end, row.code, row.exitCode, gateways.get(name)]
      })
      expect(found).toEqual(segment.vms.map(({name, kind}) => [name, kind, ...ENDS[kind as Arp]]))
      expect(code, 'the worst of all').toBe(3)
      // Those that are not as they should be are waited for, and nobody else is.
      const waited = segment.vms.filter(({kind}) => kind === 'static').map(({name}) => rows.get(name)!)
      const good = segment.vms.filter(({kind}) => kind === 'good').map(({name}) => rows.get(name)!)
      const endMs = ({beganMs, durationMs}: ManyRow): number => beganMs! + durationMs!
      expect(Math.max(...good.map(endMs))).toBeLessThan(Math.min(...waited.map(endMs)))
    }),
  )

  it('that is killed in the middle leaves none that was not verified where it was told to go', {timeout: 120_000}, () =>
    withManySegment(
      200,
      () => 'good',
      async (segment) => {
        // Those that are told and not proved yet: the bench of the fast ones would leave none.
        const {child, said} = started(segment, ['--all', '--rate', '100'])
        await until(
          async () => [...(await segment.gateways()).values()].filter((mac) => mac === BY).length > 20,
          60_000,
          'some are told',
        )
        child.kill('SIGKILL')
        const [, stderr] = await said
        await until(async () => (await segment.run('gw', PROCESSES)) === '', 60_000, 'no process is left')
        const gateways = await segment.gateways()
        const told = [...stderr.matchAll(/the switch of (vm-\d+) was cut short; rolled back/g)].map(([, name]) => name!)
        const verified = stderr
          .split('\n')
          .filter((line) => line.startsWith('{'))
          .map((line) => JSON.parse(line).vm as string)
        expect(stderr).not.toContain('whether it is as it was is not known')
        expect(told.filter((name) => gateways.get(name) !== BX)).toEqual([])
        expect(verified.filter((name) => gateways.get(name) !== BY)).toEqual([])
        const others = segment.vms.filter(({name}) => !told.includes(name) && !verified.includes(name))
        // Verified just then, which the journal knows, or not begun.
        const proved = await readJournal(process.env.GWSWITCH_JOURNAL!, (read) =>
          read
            .entries({}, 1000)
            .filter(({state, document}) => state === 'verified' || document?.end === 'switched')
            .map(({vm}) => vm.name),
        )
        expect(others.filter(({name}) => gateways.get(name) === BY && !proved.includes(name))).toEqual([])
      },
    ),
  )

  it('that is stopped finishes what is under way, begins nothing more, and says how to go on', {timeout: 120_000}, () =>
    withManySegment(
      100,
      () => 'good',
      async (segment) => {
        const {child, said} = started(segment, ['--all', '--rate', '20'])
        await until(async () => [...(await segment.gateways()).values()].includes(BY), 60_000, 'one is told')
        child.kill('SIGINT')
        const [[stdout, stderr]] = await Promise.all([said, once(child, 'exit')])
        expect(child.exitCode).toBe(130)
        const rows = JSON.parse(stdout).rows as ManyRow[]
        expect(new Set(rows.map(({end}) => end))).toEqual(new Set(['switched', 'not-started']))
        const gateways = await segment.gateways()
        expect(rows.filter(({end, vm}) => gateways.get(vm.name) !== (end === 'switched' ? BY : BX))).toEqual([])
        const progress = stderr
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
        expect(progress.at(-1)).toMatchObject({schema: 'gwswitch.switch-progress/1', total: 100})
        expect(progress).toHaveLength(rows.filter(({end}) => end === 'switched').length)

        const left = rows.filter(({end}) => end === 'not-started').length
        const resume = ['switch', '--resume', JSON.parse(stdout).run, '-f', inventoryFile(segment)]
        const again = await gwswitch(resume, {namespace: segment.namespace})
        expect(again.stdout).toMatch(new RegExp(`${left} VMs: ${left} switched in`))
        expect(again.code).toBe(0)
        expect(new Set((await segment.gateways()).values())).toEqual(new Set([BY]))
        expect(await gwswitch(resume, {namespace: segment.namespace})).toMatchObject({
          code: 2,
          stderr: expect.stringMatching(/nothing of it is left to do/),
        })
      },
    ),
  )
})

/** The processes of the namespace but for the shell that asks. */
const PROCESSES =
  'for p in $(ip netns pids $(ip netns identify $$)); do [ $p = $$ ] || [ ! -d /proc/$p ] || echo $p; done'
