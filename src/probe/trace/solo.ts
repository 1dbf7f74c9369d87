// What is asked through one exit alone: would it work if there were no other? Every probe has an identity of its own.
import {NOT_CHECKED, type ProbeProtocol, type SoloCheck, type WorksEvidence} from '../../domain/trace/evidence.ts'
import {type Exit, UNUSED_PORT} from './exit.ts'
import {DEFAULT_TTL} from './pairs.ts'
import type {Probe, ProbeReply} from './probe.ts'
import type {Station, TraceRun} from './run.ts'

/** Silence is believed after so many probes, this far apart: hosts limit their answers by the second. */
const ATTEMPTS = 3
const APART_MS = 1000

export interface Solo {
  /** Small probes until one is answered, a SYN, and an echo as large as the interface takes where small ones are answered. */
  works(exit: Exit, protocol: ProbeProtocol): Promise<WorksEvidence>
}

export function makeSolo({world, pacer}: TraceRun, station: Station, signal: AbortSignal): Solo {
  const ask = async (probe: () => Probe, attempts = ATTEMPTS): Promise<SoloCheck & {readonly mtu: number | null}> => {
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
  const small = (exit: Exit, protocol: ProbeProtocol) => ask(() => exit.fresh(protocol, DEFAULT_TTL)).then(checkOf)
  /** Only where small echoes are answered does the silence to large ones say anything. */
  const answersEchoes = async (exit: Exit, protocol: ProbeProtocol, silent: boolean): Promise<boolean> =>
    protocol === 'icmp' ? !silent : (await ask(() => exit.fresh('icmp', DEFAULT_TTL), 1)).answered > 0
  return {
    async works(exit, protocol) {
      const bytes = station.mtu
      const first = await small(exit, protocol)
      const silent = first.answered === 0
      const syn = await ask(() => exit.fresh('tcp', DEFAULT_TTL, {port: UNUSED_PORT}), silent ? 1 : ATTEMPTS - 1)
      const full = (await answersEchoes(exit, protocol, silent))
        ? await ask(() => exit.fresh('icmp', DEFAULT_TTL, {length: bytes}), ATTEMPTS - 1)
        : {...NOT_CHECKED, mtu: null}
      return {small: first, syn: checkOf(syn), full: {...full, bytes}}
    },
  }
}

const checkOf = ({sent, answered, minMs}: SoloCheck): SoloCheck => ({sent, answered, minMs})
const mtuOf = (reply: ProbeReply | undefined): number | null => reply?.error?.mtu ?? null
