import {describe, expect, it} from 'vitest'
import {type BeaconFacts, judgeBeacon} from '../../../src/domain/agent/beacons.ts'
import {DEFAULT_WINDOWS} from '../../../src/domain/agent/config.ts'
import {tokenBucket} from '../../../src/domain/agent/token-bucket.ts'
import type {SiteBeacon} from '../../../src/wire/agent-beacon.ts'

const NOW_S = 1_790_000_000
const config = {
  windows: DEFAULT_WINDOWS,
  trusted: [
    {kid: 'site-y', publicKey: '', gateways: ['10.0.0.2', '10.1.0.2', 'fd00::2']},
    {kid: 'site-x', publicKey: '', gateways: ['10.0.0.1']},
  ],
}
const beacon: SiteBeacon = {v: 1, site: 'y', iat: NOW_S, exp: NOW_S + 5, seq: 10, gw4: '10.0.0.2'}
const facts: BeaconFacts = {
  nowMs: NOW_S * 1000,
  lastSeq: 9,
  onLink: (ip: string) => ip.startsWith('10.0.0.') || ip.startsWith('fd00:'),
}
const judge = (over: Partial<SiteBeacon> = {}, kid = 'site-y', known: Partial<typeof facts> = {}) =>
  judgeBeacon({...beacon, ...over}, kid, config, {...facts, ...known})

describe('a beacon counts', () => {
  it.each<[string, Partial<SiteBeacon>, readonly string[]]>([
    ['as it is', {}, ['10.0.0.2']],
    ['with IPv6, in another spelling', {gw6: 'FD00:0::2'}, ['10.0.0.2', 'fd00::2']],
    ['with the gateways that are on this segment', {gw4: '10.1.0.2', gw6: 'fd00::2'}, ['fd00::2']],
    ['from a clock that is off by less than the skew', {iat: NOW_S + 29, exp: NOW_S + 34}, ['10.0.0.2']],
    ['a little late', {iat: NOW_S - 34, exp: NOW_S - 29}, ['10.0.0.2']],
  ])('%s', (_name, over, gateways) => expect(judge(over)).toEqual({gateways}))
})

describe('a beacon counts for nothing', () => {
  it.each<[string, Partial<SiteBeacon>, string]>([
    ['relayed late', {iat: NOW_S - 60, exp: NOW_S - 55}, 'clock'],
    ['from the future', {iat: NOW_S + 31, exp: NOW_S + 36}, 'clock'],
    ['valid for too long', {exp: NOW_S + 61}, 'clock'],
    ['valid for no time', {exp: NOW_S}, 'clock'],
    ['heard before', {seq: 9}, 'replayed'],
    ["with another site's gateway", {gw4: '10.0.0.1'}, 'gateway_not_allowed'],
    ['with one of its own and one that is not', {gw6: 'fd00::1'}, 'gateway_not_allowed'],
    ['of another segment', {gw4: '10.1.0.2'}, 'off_link'],
  ])('%s', (_name, over, reason) => expect(judge(over)).toBe(reason))

  it('by a key that is not trusted any more', () => expect(judge({}, 'site-z')).toBe('gateway_not_allowed'))
  it('but the first one of a key has no number to exceed', () =>
    expect(judge({seq: 0}, 'site-y', {lastSeq: undefined})).toEqual({gateways: ['10.0.0.2']}))
})

describe('the budget of signatures', () => {
  it('is full at first, and comes back with time', () => {
    const bucket = tokenBucket(10, 3)
    const take = (nowMs: number, times: number) =>
      Array.from({length: times}, () => bucket.take(nowMs)).filter(Boolean).length
    expect(take(0, 5)).toBe(3)
    expect(take(100, 5)).toBe(1)
    expect(take(250, 5)).toBe(1)
    expect(take(300, 5)).toBe(1)
    // A clock that goes back brings nothing.
    expect(take(0, 5)).toBe(0)
    expect(take(60_000, 9)).toBe(3)
  })
})
