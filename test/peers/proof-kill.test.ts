// `gwswitch switch`, killed at any moment: the VM is served whatever had been done by then, and what was verified stays.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {text} from 'node:stream/consumers'
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {noNamespaces} from '../support/namespaces.ts'
import {BEYOND, type SegmentLab, withSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {until} from '../support/until.ts'
import {switchArgs, switchIn} from './proof-switch.ts'

/** In each way of running it; GWSWITCH_TEST_KILLS for more. */
const KILLS = Number(process.env.GWSWITCH_TEST_KILLS ?? 8)
/** How long a process may be left, ms: a rollback takes less. */
const LEFT_MS = 20_000
const JUST_AFTER_MS = 100

/** How long a run takes, ms, and which part of it, counted from its first look, tells the VM and asks whether it follows. */
interface Timing {
  readonly wholeMs: number
  readonly executeMs: number
  readonly verifiedMs: number
}

/** `from`: the start of the process, or its first look at the network. */
interface Moment {
  readonly from: 'start' | 'look'
  readonly ms: number
}

/** What a kill left behind. */
interface Left {
  /** The guard had been told to do nothing, or the process was through, before the kill. */
  readonly verified: boolean
  readonly stdout: string
  readonly stderr: string
  readonly gateway: string
}

const onX = (lab: SegmentLab): Promise<string> =>
  lab.run('vm', `ip neigh replace 10.1.0.254 lladdr ${X_MAC} dev eth0 nud reachable; ping -q -c1 -W2 ${BEYOND}`)

async function timingOf(lab: SegmentLab, flags: readonly string[]): Promise<Timing> {
  const began = Date.now()
  const {json} = await switchIn(lab, {flags})
  const wholeMs = Date.now() - began
  expect(json.end).toBe('switched')
  const [execute, verify] = ['execute', 'verify'].map((name) => json.steps.find(({step}) => step === name)!)
  return {wholeMs, executeMs: execute!.atMs, verifiedMs: verify!.atMs + verify!.durationMs}
}

/** Every other kill falls into the short time in which the VM is told and asked, or just after it. */
function momentOf(i: number, {wholeMs, executeMs, verifiedMs}: Timing): Moment {
  if (i % 2 === 0) return {from: 'start', ms: Math.random() * wholeMs * 1.1}
  return {from: 'look', ms: executeMs + Math.random() * (verifiedMs + JUST_AFTER_MS - executeMs)}
}

/** A file of /proc; empty where the process has ended. */
function procFile(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return ''
  }
}

/** Whether a process of its namespace has opened an interface for raw frames: the first line is a heading. */
const looks = (pid: number): boolean => procFile(`${pid}/net/packet`).trim().includes('\n')

/** Whether `gwswitch guard` runs as a child of the process. */
const hasGuard = (pid: number): boolean =>
  procFile(`${pid}/task/${pid}/children`)
    .split(' ')
    .some((child) => procFile(`${child}/cmdline`).split('\0').includes('guard'))

async function killedAt({from, ms}: Moment, lab: SegmentLab, flags: readonly string[]): Promise<Left> {
  const child = spawn('ip', ['netns', 'exec', lab.ns('sw'), process.execPath, ...switchArgs(lab, {flags})], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = Promise.all([text(child.stdout), text(child.stderr)])
  const isOver = (): boolean => child.exitCode !== null
  let guarded = false
  for (let end = from === 'start' ? performance.now() + ms : Infinity; performance.now() < end && !isOver(); ) {
    guarded ||= hasGuard(child.pid!)
    if (end === Infinity && looks(child.pid!)) end = performance.now() + ms
    await sleep(5)
  }
  const verified = isOver() || (guarded && !hasGuard(child.pid!))
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  await until(async () => (await lab.run('sw', PROCESSES)) === '', LEFT_MS, 'no process is left')
  await lab.run('vm', `ping -q -c1 -w5 ${BEYOND}`)
  const [stdout, stderr] = await said
  return {verified, stdout, stderr, gateway: await lab.gateway()}
}

/** The processes of the namespace but for the shell that asks. */
const PROCESSES =
  'for p in $(ip netns pids $(ip netns identify $$)); do [ $p = $$ ] || [ ! -d /proc/$p ] || echo $p; done'

describe.skipIf(noNamespaces)('a switch that is killed', () => {
  it.each([
    ['', []],
    [' while it holds the VM', ['--guard', '2']],
  ])(
    'at any moment%s leaves a VM that is served, and undoes nothing that was verified',
    {timeout: 60_000 + KILLS * 30_000},
    async (when, flags) => {
      await withSegmentLab({}, async (lab) => {
        const timing = await timingOf(lab, flags)
        const ends: string[] = []
        for (let i = 0; i < KILLS; i++) {
          await onX(lab)
          const moment = momentOf(i, timing)
          const {verified, stdout, stderr, gateway} = await killedAt(moment, lab, flags)
          const how = `killed ${moment.ms.toFixed(0)} ms after its ${moment.from} (${JSON.stringify(timing)}): ${stdout}${stderr}`
          const rolledBack = stderr.includes('was cut short')
          if (rolledBack) expect(stderr, how).toMatch(/was cut short; rolled back: /)
          if (verified) expect({rolledBack, gateway}, how).toEqual({rolledBack: false, gateway: Y_MAC})
          else if (rolledBack) expect(gateway, how).toBe(X_MAC)
          ends.push(verified ? 'verified' : rolledBack ? 'rolled back' : `neither, on ${gateway}`)
        }
        const count = Object.entries(Object.groupBy(ends, (end) => end)).map(([end, all]) => `${all!.length} ${end}`)
        if (process.env.GWSWITCH_TEST_KILLS) process.stderr.write(`killed${when}: ${count.join(', ')}\n`)
        // Moments that differ: kills that all come too early, or too late, show nothing. Few may happen to be alike.
        if (KILLS >= 20) expect(count.length).toBeGreaterThan(1)
      })
    },
  )
})
