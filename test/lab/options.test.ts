import {describe, expect, it} from 'vitest'
import {Failure} from '../../src/errors.ts'
import {DEFAULT_LAB, labOptions} from '../../src/lab/options.ts'

describe('labOptions', () => {
  it('fills in the defaults', () => {
    expect(labOptions()).toEqual({prefix: 'gwlab', dciDelayMs: 10, wanDelayMs: 10, dci: 'vxlan', wires: {}})
    expect(labOptions({dci: 'plain', dciDelayMs: 0})).toEqual({...DEFAULT_LAB, dci: 'plain', dciDelayMs: 0})
  })

  it.each(['', '1lab', 'Lab', 'lab_1', 'lab/..', 'ninechars', '-lab', 'lab x'])('refuses the prefix %j', (prefix) => {
    expect(() => labOptions({prefix})).toThrow(Failure)
    expect(() => labOptions({prefix})).toThrow(/prefix .* want 1 to 8 of a-z/)
  })

  it.each([-1, 1001, Number.NaN, Number.POSITIVE_INFINITY])('refuses a delay of %d ms', (delay) => {
    expect(() => labOptions({dciDelayMs: delay})).toThrow(/DCI delay .* want 0 to 1000 ms/)
    expect(() => labOptions({wanDelayMs: delay})).toThrow(/WAN delay .* want 0 to 1000 ms/)
  })

  it('refuses an unknown kind of DCI', () => {
    expect(() => labOptions({dci: 'geneve' as 'plain'})).toThrow(/"geneve" is no kind of DCI: want vxlan or plain/)
  })
})
