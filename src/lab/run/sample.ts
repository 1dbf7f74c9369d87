// One migration with everything that is looked at: streams, captures, what the row does, and the figures of it.
import {mkdirSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import type {LabRunSample} from '../../domain/evaluation/lab-run.ts'
import {measureFamily, measureSession} from '../../domain/evaluation/measure.ts'
import {Failure} from '../../errors.ts'
import {spawnIn} from '../../net/process/netns.ts'
import {labEnvironment} from '../processes.ts'
import {type LabSite, namespaceOf, USERS} from '../topology.ts'
import {type Captured, startCaptures} from './captures.ts'
import type {RunRig} from './rig.ts'
import {type RunRow, WINDOW_MS} from './row.ts'
import {runStage} from './stage.ts'

/** Between two echoes of a stream, ms. */
export const PACE_MS = 5
/** Streams run so long before a VM leaves, ms. */
const BEFORE_MS = 1000
/** Of that, what counts: the streams have begun by then. */
const COUNTED_MS = 500
/** The last echoes may be under way for so long, ms. */
const LAST_MS = 300
/** It is looked until a row has said how it ended, and so much longer; but no longer than this in all. */
const SETTLED_MS = 500
const MOST_MS = 15_000

/** Migrates the VM of the rig to the other site by a row. */
export async function takeSample(rig: RunRig, row: RunRow, round: number, signal: AbortSignal): Promise<LabRunSample> {
  const from = rig.machine.where()
  const to: LabSite = from === 'x' ? 'y' : 'x'
  const folder = join(rig.scratch, 'sample')
  rmSync(folder, {recursive: true, force: true})
  mkdirSync(folder, {recursive: true})
  await using stage = runStage(rig, from, to, folder, signal)
  await rig.putRight(from)
  const acts = await row.start(stage)
  const before = await rig.unreachable()
  const captures = await startCaptures(rig.prefix, folder, rig.places, rig.cast)
  const streams = USERS.map(({name}) => stream(rig, name))
  try {
    const streaming = sleep(BEFORE_MS, undefined, {signal})
    let resumedMs = Number.NaN
    let said: Promise<string | null> = Promise.resolve(null)
    const downtimeMs = await rig.machine.move(to, {
      awaited: async () => void (await Promise.all([acts.awaited?.(), streaming])),
      resumed: (atMs) => {
        resumedMs = atMs
        said = acts.resumed?.() ?? said
        // It may fail before it is awaited.
        said.catch(() => {})
      },
    })
    const spoken = await within(said, MOST_MS)
    const least = row.windowMs ?? WINDOW_MS
    const windowMs = Math.round(Math.max(least, spoken === null ? 0 : Date.now() - resumedMs + SETTLED_MS))
    await sleep(Math.max(0, resumedMs + windowMs + LAST_MS - Date.now()), undefined, {signal})
    for (const child of streams) child.kill('SIGKILL')
    const captured = await captures.read(resumedMs, from, to)
    await acts.end?.()
    const after = await rig.unreachable()
    const at = new Date(resumedMs).toISOString()
    const stoppedMs = -(downtimeMs ?? 0)
    return {
      ...{round, from, to, at, downtimeMs, windowMs},
      ...figures(captured, {from, to, stoppedMs, sinceMs: stoppedMs - COUNTED_MS, untilMs: windowMs}, rig),
      unreachable: before === null || after === null ? null : after - before,
      said: spoken,
    }
  } finally {
    for (const child of streams) child.kill('SIGKILL')
    await captures.stop()
  }
}

function stream({prefix, vm}: RunRig, user: string) {
  const argv = ['ping', '-q', '-n', '-i', String(PACE_MS / 1000), vm.ip]
  const env = {...process.env, ...labEnvironment(prefix)}
  return spawnIn(namespaceOf(prefix, user), argv, {stdio: 'ignore', env})
}

async function within(said: Promise<string | null>, ms: number): Promise<string | null> {
  const over = new AbortController()
  const late = sleep(ms, `nothing within ${ms / 1000} s`, {signal: over.signal})
  late.catch(() => {})
  try {
    return await Promise.race([said, late])
  } catch (error) {
    return (error as Error).message
  } finally {
    over.abort()
  }
}

type Stretch = Parameters<typeof measureFamily>[1]

function figures(
  captured: Captured,
  stretch: Stretch,
  {cast}: RunRig,
): Pick<LabRunSample, 'ipv4' | 'ipv6' | 'tcp' | 'void'> {
  const plain = measureSession(captured.plain, stretch)
  const nat = measureSession(captured.nat, stretch)
  const there = captured.ipv4.some(
    ({where, direction, atMs}) =>
      where === `gateway-${stretch.to}` && direction === 'from-vm' && atMs < stretch.stoppedMs,
  )
  const why = [
    ...(captured.dropped > 0 ? [`captures dropped ${captured.dropped} packets`] : []),
    ...(plain?.jumped || nat?.jumped ? ["the guest's counter jumped"] : []),
    ...(there ? ["the VM used the destination's gateway before it left"] : []),
    ...(plain === undefined ? ['there was no TCP session'] : []),
  ]
  return {
    ...(why.length > 0 ? {void: why.join('; ')} : {}),
    ipv4: measureFamily(captured.ipv4, stretch),
    ipv6: cast.vm.ip6 === undefined ? null : measureFamily(captured.ipv6, stretch),
    tcp: {
      plain: plain?.session ?? {end: 'silent', gapMs: stretch.untilMs - stretch.sinceMs},
      nat: nat?.session ?? null,
    },
  }
}

/** @throws Failure `runtime` if it is no migration that failed. */
export const oneLine = (error: unknown): string =>
  error instanceof Failure ? error.message : ((error as Error).message.split('\n')[0] ?? '')
