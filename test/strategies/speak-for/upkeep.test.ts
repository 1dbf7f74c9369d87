// Keeping a neighbour entry against an old site's word, as tables of what is seen look by look.
import {describe, expect, it} from 'vitest'
import type {NeighbourEntry} from '../../../src/net/neighbour-tables.ts'
import {isSettled, NOT_WRITTEN, type TablesSeen, upkeepStep} from '../../../src/strategies/speak-for/upkeep.ts'

const PLACE = {leg: 'br100', mac: '02:00:00:00:01:10'}
const ours: NeighbourEntry = {mac: PLACE.mac, external: false}
const SEEN: Readonly<Record<string, TablesSeen>> = {
  /** Nothing yet. */
  '-': {entry: undefined, way: 'br100'},
  /** Ours stands, and packets leave by the leg. */
  o: {entry: ours, way: 'br100'},
  /** It stands, and the old site's host route leads elsewhere. */
  r: {entry: ours, way: 'br5000'},
  /** The routing daemon's entry, and its host route. */
  e: {entry: {mac: PLACE.mac, external: true}, way: 'br5000'},
  /** Another MAC. */
  m: {entry: {mac: '02:00:00:00:01:99', external: false}, way: 'br100'},
  /** Nowhere. */
  n: {entry: ours, way: undefined},
}

/** What is done at each look: `w` written, `.` nothing; and `!` once it is settled. */
function done(looks: string): string {
  let state = NOT_WRITTEN
  return [...looks]
    .map((look) => {
      const step = upkeepStep(state, SEEN[look]!, PLACE)
      state = step.state
      return `${step.write ? 'w' : '.'}${isSettled(state) ? '!' : ''}`
    })
    .join('')
}

describe('the upkeep of a neighbour entry', () => {
  it.each([
    ['one that stands is left alone', 'o', '.!'],
    ['one that is not there is written once', '-o', 'w.!'],
    ['one of another MAC is written over', 'mo', 'w.!'],
    ["a routing daemon's is written over, and watched until its word is gone for three looks", 'errooo', 'w.....!'],
    ['one that is taken away again is written again', 'e-roo-ooo', 'ww...w...!'],
    ['one that was taken away once is watched for longer', '-o-ooo', 'w.!w...!'],
    ['a host route to elsewhere keeps it from being settled', 'rrrrrr', '......'],
    ['no way at all does, too', 'nnnn', '....'],
  ])('%s', (_, looks, expected) => expect(done(looks)).toBe(expected))
})
