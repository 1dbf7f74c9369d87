// What is asked through one exit alone: would it work if there were no other? Every probe has an identity of its own.
import {NOT_CHECKED, type ProbeProtocol, type SoloCheck, type WorksEvidence} from '../../domain/trace/evidence.ts'
import {type Exit, UNUSED_PORT} from './exit.ts'
import {DEFAULT_TTL} from './pairs.ts'
import type {Probe, ProbeReply} from './probe.ts'
import type {Station, TraceRun} from './run.ts'

/** Silence is believed after so many probes at least, this far apart: hosts limit their answers by the second. */
const ATTEMPTS = 3
const APART_MS = 1000
/** Where packets are lost anyway, after as many as are all lost by chance once in a hundred times; at most so many. */
const CHANCE = 0.01
const MOST_ATTEMPTS = 10
/** Flows that TCP is asked in: if half of them go another way, one in 64 runs misses it. */
const FLOWS = 6
/** What takes so much longer than the fastest, ms, is asked again: it may have been late this once. */
const LATE_MS = 0.3
const LATE_ATTEMPTS = 2

export interface Solo {
  /**
   * What an exit is good for, which may lose this share (0 to 1) of its probes.
   * Small probes until one is answered, a SYN, and an echo as large as the interface takes where small ones are answered.
   */
  works(exit: Exit, protocol: ProbeProtocol, lost: number): Promise<WorksEvidence>
  /** SYNs of several flows, each asked again if it took longer than the fastest. */
  flows(exit: Exit): Promise<readonly SoloCheck[]>
}

export function makeSolo({world, pacer}: TraceRun, station: Station, signal: AbortSignal): Solo {
  const ask = async (probe: () => Probe, attempts: number): Promise<SoloCheck & {readonly mtu: number | null}> => {
    let mtu: number | null = null
    for (let sent = 1; ; sent++) {
      await pacer.turn({}, signal)
      const asked = world.monotonic()
      const reply = await station.prober.send(probe())
      mtu ??= mtuOf(reply)
      if (reply?.kind === 'reached') return {sent, answered: 1, minMs: reply.rttMs, mtu}
      if (mtu !== null || sent === attempts || station.lost.aborted) return {sent, answered: 0, minMs: null, mtu}
      await world.sleep(Math.max(0, APART_MS - Number(world.monotonic() - asked) / 1e6), signal)
    }
  }
  /** Only where small echoes are answered does the silence to large ones say anything. */
  const answersEchoes = async (exit: Exit, protocol: ProbeProtocol, silent: boolean): Promise<boolean> =>
    protocol === 'icmp' ? !silent : (await ask(() => exit.fresh('icmp', DEFAULT_TTL), 1)).answered > 0
  return {
    async works(exit, protocol, lost) {
      const bytes = station.mtu
      const attempts = attemptsAt(lost)
      const first = checkOf(await ask(() => exit.fresh(protocol, DEFAULT_TTL), attempts))
      const silent = first.answered === 0
      const syn = await ask(() => exit.fresh('tcp', DEFAULT_TTL, {port: UNUSED_PORT}), silent ? 1 : attempts)
      const full = (await answersEchoes(exit, protocol, silent))
        ? await ask(() => exit.fresh('icmp', DEFAULT_TTL, {length: bytes}), attempts)
        : {...NOT_CHECKED, mtu: null}
      return {small: first, syn: checkOf(syn), full: {...full, bytes}}
    },
    async flows(exit) {
      const probes = Array.from({length: FLOWS}, () => exit.fresh('tcp', DEFAULT_TTL, {port: UNUSED_PORT}))
      let checks = await Promise.all(probes.map((probe) => ask(() => probe, 1).then(checkOf)))
      for (let again = 0; again < LATE_ATTEMPTS; again++) {
        const least = Math.min(...checks.flatMap(({minMs}) => minMs ?? []))
        const late = ({minMs}: SoloCheck): boolean => minMs !== null && minMs - least > LATE_MS
        checks = await Promise.all(
          checks.map(async (check, i) => (late(check) ? together(check, await ask(() => probes[i]!, 1)) : check)),
        )
      }
      return checks
    },
  }
}

/** All of them lost, or none through at all: a total loss is what is to be found out. */
const attemptsAt = (lost: number): number =>
  lost >= 1 ? ATTEMPTS : Math.min(MOST_ATTEMPTS, Math.max(ATTEMPTS, Math.ceil(Math.log(CHANCE) / Math.log(lost))))

const together = (a: SoloCheck, b: SoloCheck): SoloCheck => ({
  sent: a.sent + b.sent,
  answered: a.answered + b.answered,
  minMs: a.minMs === null || b.minMs === null ? (a.minMs ?? b.minMs) : Math.min(a.minMs, b.minMs),
})

const checkOf = ({sent, answered, minMs}: SoloCheck): SoloCheck => ({sent, answered, minMs})
const mtuOf = (reply: ProbeReply | undefined): number | null => reply?.error?.mtu ?? null
