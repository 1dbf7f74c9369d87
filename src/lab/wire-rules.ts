// What a relayed wire does to the frames on it, rule by rule.

/** Frames that a rule is about. */
export const FRAME_KINDS = [
  'any',
  'arp',
  'echo-request',
  'echo-reply',
  'unreachable',
  'time-exceeded',
  'tcp',
  'udp',
] as const
export type FrameKind = (typeof FRAME_KINDS)[number]

/** One rule; of several, the first that is about a frame decides what becomes of it. Times in ms. */
export interface WireRule {
  readonly match: FrameKind
  /** Only frames of more bytes than this. */
  readonly longerThan?: number | undefined
  /** Node at the end that the frames come from; undefined: both. */
  readonly from?: string | undefined
  readonly delay: number
  /** Mean of an exponentially distributed extra delay. */
  readonly jitter: number
  /** Share of frames lost, 0 to 1. */
  readonly loss: number
  /** A queue that comes and goes: mean times with and without it in s, and from half of `delay` to all of it extra. */
  readonly burst?: {readonly on: number; readonly off: number; readonly delay: number} | undefined
}

export const plainRule = (delay: number): WireRule => ({match: 'any', delay, jitter: 0, loss: 0})

const IPV4 = 0x0800
const ARP = 0x0806
const ICMP_KINDS: Readonly<Record<number, FrameKind>> = {
  0: 'echo-reply',
  3: 'unreachable',
  8: 'echo-request',
  11: 'time-exceeded',
}

/** The kind of the Ethernet frame of `length` bytes at `bytes[at]`. */
export function frameKind(bytes: Uint8Array, at: number, length: number): FrameKind {
  const u16 = (offset: number): number => (bytes[at + offset]! << 8) | bytes[at + offset + 1]!
  const etherType = u16(12)
  if (etherType === ARP) return 'arp'
  if (etherType !== IPV4 || length < 38) return 'any'
  const protocol = bytes[at + 23]
  if (protocol === 6) return 'tcp'
  if (protocol === 17) return 'udp'
  if (protocol !== 1) return 'any'
  return ICMP_KINDS[bytes[at + 14 + (bytes[at + 14]! & 15) * 4]!] ?? 'any'
}

/** A rule in force: how long the next frame takes, or -1 if it is lost. */
export function ruleDelay(rule: WireRule, random: () => number, nowMs: () => number): () => number {
  const exponential = (mean: number): number => -Math.log(1 - random()) * mean
  let loaded = false
  let until = 0
  const queue = ({on, off, delay}: NonNullable<WireRule['burst']>): number => {
    for (const now = nowMs(); until <= now; until += exponential(loaded ? on : off) * 1000 + 1) {
      if (until === 0) until = now
      loaded = !loaded
    }
    return loaded ? delay * (0.5 + 0.5 * random()) : 0
  }
  return () => {
    if (rule.loss > 0 && random() < rule.loss) return -1
    const jitter = rule.jitter > 0 ? exponential(rule.jitter) : 0
    return rule.delay + jitter + (rule.burst === undefined ? 0 : queue(rule.burst))
  }
}
