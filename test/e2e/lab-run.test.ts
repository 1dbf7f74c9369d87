// `gwswitch lab run`, the short way: facts of each row, and no times, which are the machine's own.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {afterAll, describe, expect, it} from 'vitest'
import type {LabRun, LabRunSample} from '../../src/domain/evaluation/lab-run.ts'
import {guestImage} from '../../src/lab/guest/image.ts'
import {down} from '../../src/lab/lab.ts'
import {labProcesses} from '../../src/lab/processes.ts'
import {namespaces} from '../../src/net/process/netns.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces, withLab, withPrefix} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

const image = noNamespaces ?? (await guestImage())
const program = join(import.meta.dirname, '../../bin/run.js')
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-lab-run-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

const takenDown = (prefix: string): Promise<void> => down(prefix).then(() => {})

const run = (prefix: string, ...args: readonly string[]) =>
  gwswitch(['lab', 'run', '--prefix', prefix, '--repeat', '1', '--json', ...args])

function sampleOf({rows}: LabRun, id: string): LabRunSample {
  const samples = rows.find((row) => row.id === id)?.samples ?? []
  expect(samples, id).toHaveLength(1)
  expect(samples[0]!.void, id).toBeUndefined()
  return samples[0]!
}

/** What all migrations have in common here. */
function alive({tcp, ipv4}: LabRunSample): void {
  expect(tcp.plain.end).toBe('alive')
  expect(ipv4.near.sent).toBeGreaterThan(100)
  expect(ipv4.near.rttMs.before).not.toBeNull()
}

/** The VM left through the new gateway at the end, near the user: without the way through the other site. */
function moved({ipv4, tcp}: LabRunSample): void {
  expect(ipv4.toFirstMs).not.toBeNull()
  expect(ipv4.near.rttMs.after!).toBeLessThan(ipv4.near.rttMs.before!)
  // A gateway that translates knows nothing of a session that began at another.
  expect(tcp.nat?.end).toBe('cut')
}

function stayed({ipv4, tcp}: LabRunSample): void {
  expect(ipv4.toFirstMs).toBeNull()
  expect(ipv4.trombone).toBeGreaterThan(100)
  expect(tcp.nat?.end).toBe('alive')
}

describe.skipIf(noNamespaces)('lab run with a namespace that is moved', () => {
  it('has the VM at its new gateway by each row that moves it, and at the old one by the control; goes on with what is kept', {
    timeout: 240_000,
  }, async () => {
    await withPrefix(takenDown, async (prefix) => {
      const report = join(scratch, 'netns')
      const args = ['--vm', 'netns', '--report', report] as const
      const first = await run(prefix, ...args, '--row', 'arp.command')
      expect(first.code, first.stderr).toBe(0)
      const both = await run(prefix, ...args, '--row', 'arp.command', '--row', 'mac-proxy.command')
      expect(both.code, both.stderr).toBe(0)
      const document = both.json as LabRun
      // What is kept has the time of its writing.
      expect(JSON.parse(readFileSync(join(report, 'lab-run.json'), 'utf8'))).toMatchObject({
        ...document,
        at: expect.any(String),
      })
      // Run the first time, and not again.
      for (const id of ['nothing.shared', 'arp.command'])
        expect(sampleOf(document, id)).toEqual(sampleOf(first.json, id))
      for (const {samples} of document.rows) alive(samples[0]!)
      stayed(sampleOf(document, 'nothing.shared'))
      for (const id of ['arp.command', 'mac-proxy.command']) moved(sampleOf(document, id))
      expect(namespaces().filter((name) => name.startsWith(`${prefix}-`))).toEqual([])
      const other = await run(prefix, '--vm', 'netns', '--report', report, '--seed', '9')
      expect(other.json.error.message).toMatch(
        /has a run by gwswitch .* with --vm netns --seed 1: give another folder$/,
      )
      expect(other.code).toBe(2)
    })
  })

  it('leaves nothing when it is stopped while it measures', {timeout: 120_000}, async () => {
    await withPrefix(takenDown, async (prefix) => {
      const report = join(scratch, 'stopped')
      const args = ['lab', 'run', '--prefix', prefix, '--vm', 'netns', '--row', 'nothing.shared', '--report', report]
      const running = spawn(process.execPath, [program, ...args], {stdio: ['ignore', 'ignore', 'pipe']})
      const stderr = text(running.stderr)
      await until(async () => existsSync(join(report, 'lab-run.json')), 90_000, 'a sample is kept')
      const ended = once(running, 'exit')
      running.kill('SIGINT')
      expect(await ended).toEqual([130, null])
      expect(await stderr).toBe('gwswitch: stopped by SIGINT\n')
      expect(namespaces().filter((name) => name.startsWith(`${prefix}-`))).toEqual([])
      expect(labProcesses(prefix)).toEqual([])
    })
  })

  it('refuses a lab that is up, in one line', {timeout: 60_000}, async () => {
    await withLab({}, async ({prefix}) => {
      const {code, stderr} = await gwswitch(['lab', 'run', '--prefix', prefix, '--vm', 'netns'])
      expect(stderr).toBe(
        `gwswitch: lab ${prefix} is up already: let it finish, take it down, or choose another prefix\n`,
      )
      expect(code).toBe(1)
    })
  })
})

it('lists its rows, and refuses one that there is not, or that this form cannot have', async () => {
  const listed = await gwswitch(['lab', 'run', '--list', '--json'])
  expect(listed.json.rows.map(({id}: {id: string}) => id)).toContain('arp.before-resume')
  for (const [args, said] of [
    [['--row', 'arp.never'], 'there is no row arp.never: see gwswitch lab run --list'],
    [['--vm', 'netns', '--row', 'arp.before-resume'], 'row arp.before-resume takes --vm qemu'],
  ] as const) {
    const {code, stderr} = await gwswitch(['lab', 'run', ...args])
    expect(stderr).toBe(`gwswitch: lab run: ${said}\n`)
    expect(code).toBe(2)
  }
})

describe.skipIf(typeof image === 'string')(
  `lab run with a guest that is live-migrated${typeof image === 'string' ? ` (${image})` : ''}`,
  () => {
    it('has nothing, or next to nothing, on the trombone by what waited in its tap', {timeout: 400_000}, async () => {
      await withPrefix(takenDown, async (prefix) => {
        const {json, code, stderr} = await run(prefix, '--row', 'arp.before-resume')
        expect(code, stderr).toBe(0)
        for (const id of ['nothing.shared', 'arp.before-resume']) {
          const sample = sampleOf(json, id)
          alive(sample)
          expect(sample.downtimeMs).toBeGreaterThan(0)
        }
        stayed(sampleOf(json, 'nothing.shared'))
        const before = sampleOf(json, 'arp.before-resume')
        moved(before)
        // What the guest had ready to send when it stopped goes before it reads what waits.
        expect(before.ipv4.trombone).toBeLessThanOrEqual(10)
        expect(before.said).toBe('switched (served), exit 0')
      })
    })
  },
)
