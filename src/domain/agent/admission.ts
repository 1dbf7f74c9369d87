// Which messages get their signature checked: checking it is what a flood would make us do. Messages with a tag (wire/
// agent-tag.ts) have a budget of their own, so that whoever cannot make one takes nothing away from those who can.
import type {Claim} from '../../wire/agent-jws.ts'
import {isVersion6} from '../../wire/ipv6-address.ts'
import {type TokenBucket, tokenBucket} from './token-bucket.ts'

/** Signatures per second, and at once. */
export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

/** A key's messages with a tag, together; more is a key that was stolen. */
const PER_KEY: Rate = {perSecond: 100, burst: 200}
/** The very same message with a tag: whoever saw it pass can repeat it for ever, its sender does so for seconds. */
const SAME_MESSAGE: Rate = {perSecond: 4, burst: 12}
/** Of the source address alone, which may be anybody's. */
const PER_SOURCE: Rate = {perSecond: 20, burst: 40}
/** Buckets of one kind that are kept; those that were made first go first. */
const KEPT = 512

/** `from` is the address that a message came from; undefined for one that came by a socket of this machine. */
export type Admissions = (claim: Claim, from: string | undefined, nowMs: number) => boolean

/** `untagged` bounds all messages without a tag, whoever they are from. */
export function admissions(untagged: Rate): Admissions {
  const keys = buckets(PER_KEY)
  const messages = buckets(SAME_MESSAGE)
  const sources = buckets(PER_SOURCE)
  const strangers = tokenBucket(untagged.perSecond, untagged.burst)
  return ({kid, tag}, from, nowMs) => {
    if (tag !== undefined) return messages(tag, nowMs) && keys(kid, nowMs)
    return (from === undefined || sources(networkOf(from), nowMs)) && strangers.take(nowMs)
  }
}

/** A host has a whole /64 of IPv6 to send from. */
const networkOf = (address: string): string =>
  isVersion6(address) ? address.split(':').slice(0, 4).join(':') : address

function buckets({perSecond, burst}: Rate): (name: string, nowMs: number) => boolean {
  const known = new Map<string, TokenBucket>()
  return (name, nowMs) => {
    let bucket = known.get(name)
    if (bucket === undefined) {
      const [oldest] = known.keys()
      if (known.size >= KEPT && oldest !== undefined) known.delete(oldest)
      bucket = tokenBucket(perSecond, burst)
      known.set(name, bucket)
    }
    return bucket.take(nowMs)
  }
}
