import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {flowBook, RECORD_BYTES, readRecord, streamCheck, writeRecord} from '../../src/lab/session-record.ts'

const stream = (count: number, first = 0): Uint8Array =>
  Buffer.concat(Array.from({length: count}, (_, i) => writeRecord(first + i, i)))

/** `bytes` in pieces of these lengths, repeated. */
function* pieces(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length]!
    yield bytes.subarray(at, at + length)
    at += length
  }
}

describe('records', () => {
  it('read back as written', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.double({noNaN: true}), (sequence, sentMs) => {
        expect(readRecord(writeRecord(sequence, sentMs))).toEqual({sequence, sentMs})
      }),
    )
  })

  it('are refused with any byte of number or pattern changed, or cut short', () => {
    for (let at = 0; at < RECORD_BYTES; at++) {
      if (at >= 8 && at < 16) continue // the time may be any
      const bytes = writeRecord(77, 1)
      bytes[at]! ^= 0x40
      expect(readRecord(bytes)?.sequence ?? 'refused').not.toBe(77)
    }
    expect(readRecord(writeRecord(1, 1).subarray(0, 63))).toBeUndefined()
  })
})

describe('streamCheck', () => {
  const lengths = fc.array(fc.integer({min: 1, max: 200}), {minLength: 1, maxLength: 5})

  it('finds every record, however the stream is cut', () => {
    fc.assert(
      fc.property(lengths, fc.nat(1000), (cuts, first) => {
        const check = streamCheck(first)
        const found = [...pieces(stream(20, first), cuts)].flatMap((piece) => check.take(piece))
        expect(found.map(({sequence}) => sequence)).toEqual(Array.from({length: 20}, (_, i) => first + i))
        expect(check.brokenAt()).toBeUndefined()
      }),
    )
  })

  it('notices a byte that is lost, repeated or changed', () => {
    const damage = [
      (bytes: Uint8Array, at: number) => [...bytes.subarray(0, at), ...bytes.subarray(at + 1)],
      (bytes: Uint8Array, at: number) => [...bytes.subarray(0, at), bytes[at]!, ...bytes.subarray(at)],
      (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)),
    ]
    fc.assert(
      fc.property(fc.constantFrom(...damage), fc.nat(9), fc.nat(47), lengths, (hurt, record, offset, cuts) => {
        // Within the pattern, so that the time stamp is no excuse.
        const bytes = Uint8Array.from(hurt(stream(20), record * RECORD_BYTES + 16 + offset))
        const check = streamCheck()
        const found = [...pieces(bytes, cuts)].flatMap((piece) => check.take(piece))
        // A last byte that is repeated leaves its own record whole and breaks the next.
        expect([record, record + 1]).toContain(found.length)
        expect(check.brokenAt()).toBe(found.length * RECORD_BYTES)
      }),
    )
  })

  it('notices a whole record that is lost or repeated', () => {
    const lost = streamCheck()
    lost.take(Buffer.concat([stream(3), stream(3, 4)]))
    expect(lost.brokenAt()).toBe(3 * RECORD_BYTES)
    const repeated = streamCheck()
    repeated.take(Buffer.concat([stream(3), stream(3, 2)]))
    expect(repeated.brokenAt()).toBe(3 * RECORD_BYTES)
  })
})

describe('flowBook', () => {
  it('keeps phases, round trips, losses and gaps', () => {
    const book = flowBook()
    book.sent()
    book.echoed(0, 5)
    book.sent()
    book.echoed(10, 17)
    // Sent in one phase, and back in the next.
    book.sent()
    book.mark('moved', 20)
    book.echoed(19, 22)
    book.sent()
    book.sent()
    book.sent()
    book.echoed(20, 57)
    book.echoed(30, 58)
    const report = book.report(60)
    expect(report).toMatchObject({sent: 6, echoed: 5, lost: 1, longestGapMs: 35})
    expect(report.phases).toEqual([
      {name: 'start', sent: 3, echoed: 2, lost: 0, rttMinMs: 5, rttMedianMs: 7, rttMaxMs: 7, longestGapMs: 12},
      {name: 'moved', sent: 3, echoed: 3, lost: 1, rttMinMs: 3, rttMedianMs: 28, rttMaxMs: 37, longestGapMs: 35},
    ])
  })

  it('counts a gap that has not ended', () => {
    const book = flowBook()
    book.echoed(0, 1)
    expect(book.report(1001).phases[0]?.longestGapMs).toBe(1000)
  })

  it('takes the wait for the last echoes for no gap', () => {
    const book = flowBook()
    book.echoed(0, 1)
    book.ended(11)
    expect(book.report(511).phases[0]?.longestGapMs).toBe(10)
    book.echoed(2, 511)
    expect(book.report(1011).phases[0]?.longestGapMs).toBe(10)
  })

  it('has no round trips where nothing came back', () => {
    expect(flowBook().report(0).phases[0]).toMatchObject({rttMinMs: undefined, rttMedianMs: undefined, longestGapMs: 0})
  })
})
