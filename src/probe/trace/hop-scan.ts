// Which TTLs to probe next through one first hop, and what has been heard from each. Pure book-keeping.
import type {HopEvidence, HopReply} from '../../domain/trace/evidence.ts'
import type {IcmpExtension} from '../../wire/icmp-extensions.ts'
import type {ProbeReply} from './probe.ts'

const MAX_TTL = 30
/** After so many silent TTLs in a row the rest is not asked for. */
const GIVE_UP_AFTER = 5
/** A TTL that stays silent is asked so often. */
const ATTEMPTS = 2
/** Probes under way at a time: those beyond the destination are wasted. */
const AT_A_TIME = 3

export interface HopScan {
  /** TTL to probe next; undefined when enough is known or enough is under way. TTL 1 is not asked here: the first-hop probes do that. */
  next(): number | undefined
  heard(ttl: number, reply: ProbeReply | undefined): void
  /** Nothing is under way and nothing is left to ask. */
  done(): boolean
  hops(): HopEvidence[]
}

/** Goes up from TTL 2 until the destination answers, then back over the TTLs that were silent. */
export function hopScan(): HopScan {
  const sent = new Map<number, number>()
  const settled = new Map<number, number>()
  const replies = new Map<number, HopReply[]>()
  let highest = 1
  let reachedAt = MAX_TTL + 1

  const count = (map: ReadonlyMap<number, number>, ttl: number): number => map.get(ttl) ?? 0
  const silent = (ttl: number): boolean => !replies.has(ttl)
  const underWay = (): number =>
    [...sent].filter(([ttl]) => ttl > 1 && ttl < reachedAt && count(settled, ttl) < count(sent, ttl)).length
  const silentRun = (): number => {
    let run = 0
    for (let ttl = highest; ttl > 1 && silent(ttl); ttl--) run++
    return run
  }
  const wanted = (): number | undefined => {
    if (reachedAt > MAX_TTL && highest < MAX_TTL && silentRun() < GIVE_UP_AFTER) return highest + 1
    // Behind the last that answered, silence is no gap that one could close.
    const last = Math.min(reachedAt, Math.max(0, ...replies.keys()))
    const known = Array.from({length: Math.max(0, last - 2)}, (_, i) => i + 2)
    return known.find((ttl) => silent(ttl) && count(sent, ttl) === count(settled, ttl) && count(sent, ttl) < ATTEMPTS)
  }
  return {
    next() {
      if (underWay() >= AT_A_TIME) return undefined
      const ttl = wanted()
      if (ttl === undefined) return undefined
      sent.set(ttl, count(sent, ttl) + 1)
      highest = Math.max(highest, ttl)
      return ttl
    },
    heard(ttl, reply) {
      if (ttl === 1) sent.set(1, count(sent, 1) + 1)
      settled.set(ttl, count(settled, ttl) + 1)
      if (!reply || reply.clockStepped) return
      replies.set(ttl, [...(replies.get(ttl) ?? []), hopReply(reply)])
      if (reply.kind === 'reached') reachedAt = Math.min(reachedAt, ttl)
    },
    done: () => underWay() === 0 && wanted() === undefined,
    hops() {
      const last = reachedAt <= MAX_TTL ? reachedAt : Math.max(1, ...replies.keys())
      return Array.from({length: last}, (_, i) => i + 1).map((ttl) => ({
        ttl,
        sent: count(sent, ttl),
        replies: replies.get(ttl) ?? [],
      }))
    },
  }
}

function hopReply(reply: ProbeReply): HopReply {
  const extensions = reply.error?.extensions ?? []
  return {
    rttMs: reply.rttMs,
    address: reply.source,
    returnMac: reply.returnMac,
    replyTtl: reply.replyTtl,
    quotedTtl: reply.error?.quotedTtl ?? null,
    reached: reply.kind === 'reached',
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
