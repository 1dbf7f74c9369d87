// Which TTLs to probe next through one first hop, and what has been heard from each. Pure book-keeping.
import type {HopEvidence, HopReply} from '../../domain/trace/evidence.ts'
import type {IcmpExtension} from '../../wire/icmp-extensions.ts'
import {icmpErrorType} from './echo-probe.ts'
import type {ProbeAnswer} from './prober.ts'

const MAX_TTL = 30
/** After so many silent TTLs in a row the rest is not asked for. */
const GIVE_UP_AFTER = 5
const SAMPLES = 3

export interface HopScan {
  /** TTL to probe next; undefined when enough is known. TTL 1 is not asked here: the first-hop probes do that. */
  next(): number | undefined
  heard(ttl: number, answer: ProbeAnswer | undefined): void
  hops(): HopEvidence[]
}

/** Goes up from TTL 2 until the destination answers, then back over the TTLs that were heard least. */
export function hopScan(): HopScan {
  const sent = new Map<number, number>()
  const replies = new Map<number, HopReply[]>()
  let highest = 1
  let reachedAt = MAX_TTL + 1

  const answered = (ttl: number): number => replies.get(ttl)?.length ?? 0
  const silentRun = (): number => {
    let run = 0
    for (let ttl = highest; ttl > 1 && answered(ttl) === 0; ttl--) run++
    return run
  }
  return {
    next() {
      if (reachedAt > MAX_TTL && highest < MAX_TTL && silentRun() < GIVE_UP_AFTER) {
        highest++
        sent.set(highest, (sent.get(highest) ?? 0) + 1)
        return highest
      }
      const known = Array.from({length: Math.min(reachedAt, highest) - 1}, (_, i) => i + 2)
      const poorest = known
        .filter((ttl) => (sent.get(ttl) ?? 0) < SAMPLES && ttl !== reachedAt)
        .toSorted((a, b) => (sent.get(a) ?? 0) - (sent.get(b) ?? 0) || a - b)[0]
      if (poorest !== undefined) sent.set(poorest, (sent.get(poorest) ?? 0) + 1)
      return poorest
    },
    heard(ttl, answer) {
      if (ttl === 1) sent.set(1, (sent.get(1) ?? 0) + 1)
      if (!answer) return
      replies.set(ttl, [...(replies.get(ttl) ?? []), hopReply(answer)])
      if (answer.kind === 'reached') reachedAt = Math.min(reachedAt, ttl)
    },
    hops() {
      const last = reachedAt <= MAX_TTL ? reachedAt : Math.max(1, ...replies.keys())
      return Array.from({length: last}, (_, i) => i + 1).map((ttl) => ({
        ttl,
        sent: sent.get(ttl) ?? 0,
        replies: replies.get(ttl) ?? [],
      }))
    },
  }
}

function hopReply(answer: ProbeAnswer): HopReply {
  const extensions = answer.kind === 'reached' ? [] : answer.icmp.extensions
  return {
    rttMs: answer.rttMs,
    address: answer.packet.source,
    returnMac: answer.returnMac,
    replyTtl: answer.packet.ttl,
    quotedTtl: answer.kind === 'reached' ? null : (answer.quotedTtl ?? null),
    reached: answer.kind === 'reached',
    mpls: mplsOf(extensions),
    ifInfo: interfacesOf(extensions),
    dnsName: null,
  }
}

function mplsOf(extensions: readonly IcmpExtension[]): HopReply['mpls'] {
  const labels = extensions.flatMap((extension) => (extension.kind === 'mpls' ? extension.labels : []))
  return labels.length > 0 ? labels : null
}

function interfacesOf(extensions: readonly IcmpExtension[]): HopReply['ifInfo'] {
  const infos = extensions.flatMap((extension) => (extension.kind === 'interface' ? [extension] : []))
  return infos.length > 0 ? infos : null
}

/** Who refused a probe, for the pair it belonged to. */
export function refusalOf(answer: ProbeAnswer | undefined): {from: string; type: number; code: number} | null {
  if (!answer || answer.kind === 'reached') return null
  return {from: answer.packet.source, type: icmpErrorType(answer.icmp), code: answer.icmp.code}
}
