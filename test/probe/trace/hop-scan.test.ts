import {describe, expect, it} from 'vitest'
import {makeFirstHop} from '../../../src/probe/trace/first-hop.ts'
import {hopScan} from '../../../src/probe/trace/hop-scan.ts'
import type {ProbeReply} from '../../../src/probe/trace/probe.ts'
import {fakeWorld} from '../../support/world.ts'

const reply = (kind: 'reached' | 'expired', rttMs = 1, over: Partial<ProbeReply> = {}): ProbeReply => ({
  ...{kind, rttMs, identity: 1, sequence: 1, destination: '203.0.113.10', replyTtl: 62, clockStepped: false},
  ...{source: kind === 'reached' ? '203.0.113.10' : '172.16.0.1', returnMac: '02:00:00:00:0b:01'},
  error: kind === 'reached' ? null : {type: 11, code: 0, quotedTtl: 1, mtu: null, gateway: null, extensions: []},
  ...over,
})

describe('hopScan', () => {
  it('goes up to the destination, three at a time, and asks nobody twice who answered', () => {
    const scan = hopScan()
    expect([scan.next(), scan.next(), scan.next(), scan.next()]).toEqual([2, 3, 4, undefined])
    for (const ttl of [2, 3]) scan.heard(ttl, reply('expired'))
    scan.heard(4, reply('reached'))
    expect(scan.next()).toBeUndefined()
    expect(scan.done()).toBe(true)
    expect(scan.hops().map(({ttl, sent}) => [ttl, sent])).toEqual([
      [1, 0],
      [2, 1],
      [3, 1],
      [4, 1],
    ])
  })

  it('asks a silent hop once more, if one behind it answered', () => {
    const scan = hopScan()
    for (let i = 0; i < 3; i++) scan.next()
    scan.heard(2, undefined)
    scan.heard(3, reply('expired'))
    scan.heard(4, reply('reached'))
    expect(scan.next()).toBe(2)
    scan.heard(2, undefined)
    expect(scan.next()).toBeUndefined()
    expect(scan.done()).toBe(true)
  })

  it('gives up after five silent ones in a row, and cuts them off', () => {
    const scan = hopScan()
    scan.heard(1, reply('expired'))
    const asked: number[] = []
    for (let ttl = scan.next(); ttl !== undefined; ttl = scan.next()) {
      asked.push(ttl)
      scan.heard(ttl, undefined)
    }
    expect(asked).toEqual([2, 3, 4, 5, 6])
    expect(scan.done()).toBe(true)
    expect(scan.hops()).toHaveLength(1)
  })
})

describe('a first hop', () => {
  const asked = (rtts: readonly (number | undefined)[]): number => {
    const hop = makeFirstHop(fakeWorld())
    let n = 0
    while (hop.wanted() && n < 20) {
      hop.asked()
      const rttMs = rtts[n++]
      hop.heard(rttMs === undefined ? undefined : reply('expired', rttMs))
    }
    return n
  }

  it.each([
    ['that agrees with itself', [20.4, 20.5, 27, 20.4], 3],
    ['that agrees late', [20.4, 24, 27, 31, 20.5], 5],
    ['that never agrees', [20, 30, 40, 50, 60, 70, 80, 90, 100], 8],
    ['that is silent', [], 8],
  ])('%s is asked %#: %j', (_, rtts, times) => expect(asked(rtts)).toBe(times))

  it('is asked again when what it said is old, which stands until there is enough that is newer', () => {
    let nowNs = 0n
    const hop = makeFirstHop({monotonic: () => nowNs})
    const answer = (rttMs: number): void => {
      hop.asked()
      hop.heard(reply('expired', rttMs))
    }
    for (const rttMs of [20, 20.1, 20.2]) answer(rttMs)
    hop.again(30_000)
    expect(hop.wanted()).toBe(false)
    nowNs = 30_000_000_000n
    hop.again(30_000)
    expect(hop.wanted()).toBe(true)
    answer(0.1)
    answer(0.2)
    expect(hop.probes.map(({rttMs}) => rttMs)).toEqual([20, 20.1, 20.2, 0.1, 0.2])
    answer(0.3)
    expect(hop.probes.map(({rttMs}) => rttMs)).toEqual([0.1, 0.2, 0.3])
  })

  it('is asked again after a change, and holds nothing of a set clock', () => {
    const hop = makeFirstHop(fakeWorld())
    for (let i = 0; i < 3; i++) hop.asked()
    hop.heard(reply('expired', 20, {clockStepped: true}))
    expect(hop.probes).toEqual([])
    hop.reset()
    expect(hop.wanted()).toBe(true)
  })
})
