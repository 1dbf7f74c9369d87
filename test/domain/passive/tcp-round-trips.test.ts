import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {type PassedSegment, type RoundTrip, tcpRoundTrips} from '../../../src/domain/passive/tcp-round-trips.ts'
import type {SegmentView} from '../../../src/wire/packet-view.ts'
import {TCP_ACK, TCP_SYN} from '../../../src/wire/tcp.ts'

const VM_PORT = 40_000
const ms = (value: number): bigint => BigInt(Math.round(value * 1e6))

type Over = Partial<Omit<SegmentView, 'sourcePort' | 'destinationPort' | 'timestamps'>> & {
  /** TSval and TSecr. */
  readonly stamps?: readonly [number, number]
}

function passed(direction: 'out' | 'in', atMs: number, {stamps, ...over}: Over): PassedSegment {
  const [sourcePort, destinationPort] = direction === 'out' ? [VM_PORT, 443] : [443, VM_PORT]
  const timestamps = stamps && {value: stamps[0], echo: stamps[1]}
  const plain = {sequence: 0, acknowledgment: 0, flags: TCP_ACK, length: 0}
  const segment = {...plain, ...over, sourcePort, destinationPort, timestamps}
  return {atNs: ms(atMs), direction, vm: '10.0.0.10', peer: '203.0.113.10', segment}
}
const out = (atMs: number, over: Over) => passed('out', atMs, over)
const back = (atMs: number, over: Over) => passed('in', atMs, over)

const heard = (...segments: readonly PassedSegment[]): RoundTrip[] => {
  const watch = tcpRoundTrips()
  return segments.flatMap((segment) => watch.pass(segment))
}

describe('a round trip', () => {
  it('is that of a SYN, of either end', () => {
    expect(
      heard(out(0, {flags: TCP_SYN, sequence: 9}), back(20, {flags: TCP_SYN | TCP_ACK, acknowledgment: 10})),
    ).toEqual([{rttMs: 20, rule: 'syn'}])
    const opened = [
      back(0, {flags: TCP_SYN}),
      out(1, {flags: TCP_SYN | TCP_ACK, sequence: 5}),
      back(21, {acknowledgment: 6}),
    ]
    expect(heard(...opened)).toEqual([{rttMs: 20, rule: 'syn'}])
  })

  it('is none of a SYN that was sent again: either may have been answered', () => {
    const twice = [out(0, {flags: TCP_SYN, sequence: 9}), out(1000, {flags: TCP_SYN, sequence: 9})]
    expect(heard(...twice, back(1001, {flags: TCP_SYN | TCP_ACK, acknowledgment: 10}))).toEqual([])
  })

  it('is that of the first segment with a timestamp that is echoed', () => {
    const sent = [out(0, {stamps: [100, 1]}), out(10, {stamps: [110, 1]}), out(15, {stamps: [110, 1]})]
    expect(heard(...sent, back(30, {stamps: [2, 110]}))).toEqual([{rttMs: 20, rule: 'timestamp'}])
  })

  it('is none of the first timestamp that was seen: it may have been sent before', () => {
    expect(heard(out(0, {stamps: [100, 1]}), back(1, {stamps: [2, 100]}))).toEqual([])
  })

  it('is told once for a timestamp that is echoed again', () => {
    const sent = [out(0, {stamps: [100, 1]}), out(10, {stamps: [110, 1]})]
    expect(heard(...sent, back(30, {stamps: [2, 110]}), back(90, {stamps: [2, 110]}))).toHaveLength(1)
  })

  it('goes on where timestamps begin anew', () => {
    const sent = [out(0, {stamps: [0xffff_fff0, 1]}), out(10, {stamps: [4, 1]})]
    expect(heard(...sent, back(30, {stamps: [2, 4]}))).toEqual([{rttMs: 20, rule: 'timestamp'}])
  })

  it('is that of data which is acknowledged, where there are no timestamps', () => {
    const sent = [back(0, {acknowledgment: 10}), out(5, {sequence: 10, length: 10}), out(6, {sequence: 20, length: 10})]
    expect(heard(...sent, back(26, {acknowledgment: 30}))).toEqual([{rttMs: 20, rule: 'ack'}])
  })

  it('is none of data that was sent again (Karn), nor of the first that was seen', () => {
    const again = [
      back(0, {acknowledgment: 10}),
      out(1, {sequence: 10, length: 10}),
      out(300, {sequence: 10, length: 10}),
    ]
    expect(heard(...again, back(301, {acknowledgment: 20}))).toEqual([])
    expect(heard(out(0, {sequence: 0, length: 10}), back(1, {acknowledgment: 10}))).toEqual([])
  })

  it('is none of what was on its way when the watch began, and is sent again in a row', () => {
    const row = [0, 10, 20].map((sequence) => out(sequence, {sequence, length: 10}))
    expect(heard(...row, back(21, {acknowledgment: 20}), back(22, {acknowledgment: 30}))).toEqual([])
  })

  it('goes on where sequence numbers begin anew', () => {
    const sent = [back(0, {acknowledgment: 0xffff_fff8}), out(5, {sequence: 0xffff_fff8, length: 16})]
    expect(heard(...sent, back(25, {acknowledgment: 8}))).toEqual([{rttMs: 20, rule: 'ack'}])
  })

  it('is none where the clock was set back meanwhile', () => {
    expect(
      heard(out(50, {flags: TCP_SYN, sequence: 9}), back(20, {flags: TCP_SYN | TCP_ACK, acknowledgment: 10})),
    ).toEqual([])
  })

  it('is one of its own session: other ports are another', () => {
    const other = back(20, {flags: TCP_SYN | TCP_ACK, acknowledgment: 10})
    const elsewhere = {...other, segment: {...other.segment, destinationPort: VM_PORT + 1}}
    expect(heard(out(0, {flags: TCP_SYN, sequence: 9}), elsewhere)).toEqual([])
  })
})

it('forgets the oldest session where there are too many', () => {
  const watch = tcpRoundTrips(2)
  const from = (port: number, segment: PassedSegment): PassedSegment => {
    const ports = segment.direction === 'out' ? {sourcePort: port} : {destinationPort: port}
    return {...segment, segment: {...segment.segment, ...ports}}
  }
  for (const port of [1, 2, 3]) watch.pass(from(port, out(0, {flags: TCP_SYN, sequence: 9})))
  const answer = back(20, {flags: TCP_SYN | TCP_ACK, acknowledgment: 10})
  expect([1, 3].map((port) => watch.pass(from(port, answer)).length)).toEqual([0, 1])
})

/**
 * A sender that loses segments, repeats them, and is joined at any moment; a receiver that acknowledges late and in sums.
 * Whatever happens, no round trip is shorter than the way there and back.
 */
it('is never shorter than the way there and back, whatever is lost, repeated, delayed or missed', () => {
  const RTT_MS = 20
  const step = fc.record({
    gapMs: fc.nat(30),
    length: fc.integer({min: 1, max: 5}),
    lost: fc.boolean(),
    again: fc.boolean(),
    lateMs: fc.nat(40),
    tickMs: fc.constantFrom(1, 4, 10),
  })
  fc.assert(
    fc.property(fc.array(step, {minLength: 1, maxLength: 30}), fc.nat(10), (steps, joined) => {
      const events: PassedSegment[] = []
      let now = 0
      let [sequence, acknowledged] = [0, 0]
      let recent = 0
      for (const {gapMs, length, lost, again, lateMs, tickMs} of steps) {
        now += gapMs
        const stamp = Math.floor(now / tickMs) * tickMs
        const first = out(now, {sequence, length, stamps: [stamp, 1]})
        events.push(first)
        let arrivedMs = lost ? undefined : now
        let arrivedStamp = stamp
        if (lost || again) {
          now += 200
          arrivedStamp = Math.floor(now / tickMs) * tickMs
          events.push(out(now, {sequence, length, stamps: [arrivedStamp, 1]}))
          arrivedMs ??= now
          if (!lost) arrivedStamp = stamp
        }
        sequence += length
        acknowledged = sequence
        recent = arrivedStamp
        events.push(back(arrivedMs! + RTT_MS + lateMs, {acknowledgment: acknowledged, stamps: [1, recent]}))
      }
      const seen = events.toSorted((a, b) => Number(a.atNs - b.atNs)).slice(joined)
      for (const {rttMs} of heard(...seen)) expect(rttMs).toBeGreaterThanOrEqual(RTT_MS)
    }),
    {numRuns: 500},
  )
})
