import {describe, expect, it} from 'vitest'
import {admissions} from '../../../src/domain/agent/admission.ts'

const UNTAGGED = {perSecond: 100, burst: 200}
/** How many of `count` attempts at one moment are let in. */
const letIn = (count: number, attempt: (i: number) => boolean): number =>
  Array.from({length: count}, (_, i) => attempt(i)).filter(Boolean).length

describe('what gets its signature checked', () => {
  it('is little of one source without tags, and little of all of them together', () => {
    const admits = admissions(UNTAGGED)
    expect(letIn(1000, () => admits({kid: 'y', tag: undefined}, '10.0.0.66', 0))).toBe(40)
    expect(letIn(400, (i) => admits({kid: 'y', tag: undefined}, `10.0.1.${i}`, 0))).toBe(160)
    expect(letIn(1000, () => admits({kid: 'y', tag: undefined}, '10.0.0.66', 1000))).toBe(20)
  })

  it('is that of a host by IPv6, whatever address of its own it sends from', () => {
    const admits = admissions(UNTAGGED)
    expect(letIn(1000, (i) => admits({kid: 'y', tag: undefined}, `2001:db8:1:2::${i.toString(16)}`, 0))).toBe(40)
  })

  it('is every message with a tag, whatever flood without one there is', () => {
    const admits = admissions(UNTAGGED)
    letIn(10_000, (i) => admits({kid: 'y', tag: undefined}, `10.${i >> 8}.${i & 255}.1`, 0))
    expect(letIn(8, (i) => admits({kid: 'y', tag: `tag ${i}`}, '10.0.0.50', 0))).toBe(8)
  })

  it('is of a message that is repeated for ever no more than its sender would repeat it', () => {
    const admits = admissions(UNTAGGED)
    expect(letIn(10_000, () => admits({kid: 'y', tag: 'seen'}, '10.0.0.66', 0))).toBe(12)
    expect(admits({kid: 'y', tag: 'new'}, '10.0.0.50', 0)).toBe(true)
  })

  it('of a stolen key takes nothing away from another', () => {
    const admits = admissions(UNTAGGED)
    expect(letIn(1000, (i) => admits({kid: 'x', tag: `tag ${i}`}, '10.0.0.66', 0))).toBe(200)
    expect(admits({kid: 'y', tag: 'new'}, '10.0.0.50', 0)).toBe(true)
  })
})
