// The first hop behind one MAC, asked at TTL 1: how near it is, and from which addresses and MACs it answers.
import type {FirstHopProbe} from '../../domain/trace/evidence.ts'
import type {World} from '../../net/world.ts'
import type {ProbeReply} from './probe.ts'

/** Answers after which it is asked no more, if they agree. */
const ENOUGH = 3
/** Probes after which it is asked no more, whatever it says. Hosts give a few ICMP errors in one go, then one a second. */
const MOST = 8
/** The two smallest answers agree if they differ by no more than this, ms, or by a twentieth. */
const AGREE_MS = 0.15

export interface FirstHop {
  readonly probes: readonly FirstHopProbe[]
  /** Is another probe worth its packet? Counts those that are under way. */
  wanted(): boolean
  /** One is under way. */
  asked(): void
  heard(reply: ProbeReply | undefined): void
  /** Asks anew, unless it began to less than `ageMs` ago; what was heard stands until there is enough that is newer. */
  again(ageMs: number): void
  /** Forgets everything: the network is not what it was. */
  reset(): void
}

export function makeFirstHop({monotonic}: Pick<World, 'monotonic'>): FirstHop {
  let probes: FirstHopProbe[] = []
  let earlier: readonly FirstHopProbe[] = []
  let beganNs = monotonic()
  let asked = 0
  const agree = (): boolean => {
    const [least, next] = probes.flatMap(({rttMs}) => rttMs ?? []).toSorted((a, b) => a - b)
    return least !== undefined && next !== undefined && next - least <= Math.max(AGREE_MS, least / 20)
  }
  return {
    get probes() {
      return probes.length < ENOUGH ? [...earlier, ...probes] : probes
    },
    wanted: () => asked < ENOUGH || (asked < MOST && asked === probes.length && !agree()),
    asked: () => void asked++,
    heard(reply) {
      if (reply?.clockStepped) return
      const {rttMs = null, source: responder = null, returnMac = null, kind = null} = reply ?? {}
      probes.push({rttMs, responder, returnMac, reached: kind === 'reached'})
    },
    again(ageMs) {
      if (Number(monotonic() - beganNs) / 1e6 < ageMs) return
      earlier = probes
      probes = []
      asked = 0
      beganNs = monotonic()
    },
    reset() {
      earlier = []
      probes = []
      asked = 0
    },
  }
}
