// How far addresses on the segment are, by ICMP echoes.
import {setTimeout as delay} from 'node:timers/promises'
import {type EchoProbe, openProbe} from './route-probe.ts'

const ROUNDS = 5
const EVERY_MS = 60
/** An answer later than this is no answer: no two sites of one segment are as far apart. */
const WAIT_MS = 500

/**
 * The smallest round trip to each target, ms, of a few echoes; what does not answer is left out. The smallest, as a busy
 * host makes round trips longer and never shorter. Takes 0.3 s, or 0.8 s where somebody is silent; resolves early when
 * aborted.
 *
 * @throws Failure `privilege` without CAP_NET_RAW.
 */
export async function echoRtts(
  targets: readonly string[],
  interfaceName: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const best = new Map<string, number>()
  const probes: {probe: EchoProbe; sentAt: number[]}[] = []
  const all = new AbortController()
  const either = AbortSignal.any([signal, all.signal])
  let missing = targets.length * ROUNDS
  try {
    for (const target of targets) {
      const sentAt: number[] = []
      const onAnswer = (sequence: number): void => {
        const at = sentAt[sequence]
        if (at === undefined) return
        delete sentAt[sequence]
        best.set(target, Math.min(best.get(target) ?? Number.POSITIVE_INFINITY, performance.now() - at))
        if (--missing === 0) all.abort()
      }
      probes.push({probe: openProbe(target, {interfaceName}, onAnswer), sentAt})
    }
    for (let round = 0; round < ROUNDS && !signal.aborted; round++) {
      for (const {probe, sentAt} of probes) {
        sentAt[round] = performance.now()
        probe.ask()
      }
      await delay(round < ROUNDS - 1 ? EVERY_MS : WAIT_MS, undefined, {signal: either}).catch(() => {})
    }
    return best
  } finally {
    await Promise.all(probes.map(({probe}) => probe.close()))
  }
}
