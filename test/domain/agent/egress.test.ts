import {describe, expect, it} from 'vitest'
import {allTake, hindrance, judgeMove, type Way} from '../../../src/domain/agent/egress.ts'

const MOVE = {from: '10.0.0.1', to: '10.0.0.2', interfaceIndex: 2}
const way = (over: Partial<Way> = {}): Way => ({
  ...{kind: 'ordinary', what: 'what is sent', gateway: '10.0.0.2', interfaceIndex: 2, interfaceName: 'eth0'},
  ...{byDefault: true, route: 'the default route of the main table'},
  ...over,
})
const part = (what: string, over: Partial<Way> = {}): Way => way({kind: 'part', what, byDefault: false, ...over})
const OLD = {gateway: '10.0.0.1'}
const TUNNEL = {gateway: undefined, interfaceIndex: 9, interfaceName: 'wg0', byDefault: false}
const NOWHERE = {gateway: undefined, interfaceIndex: 0, interfaceName: ''}

describe('a change has moved', () => {
  it.each<[string, Way[], object]>([
    ['everything', [way(), way()], {}],
    [
      'everything; what another gateway or interface takes is none of it',
      [way(), part('a', TUNNEL), part('b', {gateway: '10.0.0.9'})],
      {},
    ],
    ['all but a part', [way(), part('10.9.0.0/16', OLD)], {partial: '10.9.0.0/16 still by 10.0.0.1'}],
    [
      'all but many parts',
      [way(), ...['a', 'b', 'b', 'c', 'd', 'e', 'f'].map((what) => part(what, OLD))],
      {partial: 'a, b, c, d and 2 more still by 10.0.0.1'},
    ],
    ["a tunnel's own packets", [way(TUNNEL), part('m')], {partial: 'what is sent goes out of wg0'}],
    [
      'nothing, for it stays',
      [way(), way(OLD)],
      {wrong: {reason: 'mode', detail: expect.stringMatching(/still goes by 10\.0\.0\.1/)}},
    ],
    [
      'nothing, for nothing takes it',
      [way(TUNNEL)],
      {wrong: {reason: 'mode', detail: expect.stringMatching(/nothing takes/)}},
    ],
    [
      'nothing, for it goes nowhere',
      [way(NOWHERE)],
      {wrong: {reason: 'probe_failed', detail: 'what is sent goes nowhere'}},
    ],
    // The same gateway by another interface is another way.
    [
      'nothing, for it is of another NIC',
      [way({interfaceIndex: 3})],
      {wrong: {reason: 'mode', detail: expect.any(String)}},
    ],
  ])('%s', (_, ways, moved) => {
    expect(judgeMove(ways, MOVE)).toEqual(moved)
  })
})

it('a change would move what the default route decides, and nothing else', () => {
  expect(hindrance([way(OLD)], MOVE)).toBeUndefined()
  expect(hindrance([way(TUNNEL), part('m', {...OLD, byDefault: true})], MOVE)).toBeUndefined()
  expect(hindrance([way(OLD), way({...OLD, byDefault: false})], MOVE)).toMatch(/whatever the default route is/)
  expect(hindrance([way(TUNNEL), part('m', OLD)], MOVE)).toMatch(/^nothing takes .* what is sent goes out of wg0/)
  expect(hindrance([], MOVE)).toMatch(/^nothing takes/)
})

it('a gateway is in use if all that is ordinary takes it', () => {
  expect(allTake([way(), part('a', OLD)], '10.0.0.2', 2)).toBe(true)
  expect(allTake([way(), way(OLD)], '10.0.0.2', 2)).toBe(false)
  expect(allTake([way()], '10.0.0.2', 3)).toBe(false)
})
