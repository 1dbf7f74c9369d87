// How many of what, for `status`.
import {dhcpMessageTypeName} from '../../wire/dhcp-options.ts'

export interface Counters {
  receive(type: number): void
  send(type: number): void
  drop(reason: string): void
  received(): Record<string, number>
  sent(): Record<string, number>
  dropped(): Record<string, number>
}

export function counters(): Counters {
  // By number, since names cost more than the rest of a counter; types that nobody knows share the last.
  const [incoming, outgoing] = [new Float64Array(OTHER + 1), new Float64Array(OTHER + 1)]
  const reasons = new Map<string, number>()
  return {
    receive: (type) => void incoming[Math.min(type, OTHER)]!++,
    send: (type) => void outgoing[Math.min(type, OTHER)]!++,
    drop: (reason) => void reasons.set(reason, (reasons.get(reason) ?? 0) + 1),
    received: () => named(incoming),
    sent: () => named(outgoing),
    dropped: () => Object.fromEntries(reasons),
  }
}

const OTHER = 10

function named(counts: Float64Array): Record<string, number> {
  const rows = Array.from(
    counts,
    (value, type) => [type === OTHER ? 'other' : dhcpMessageTypeName(type), value] as const,
  )
  return Object.fromEntries(rows.filter(([, value]) => value > 0))
}
