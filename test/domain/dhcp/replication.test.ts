import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import type {Directive} from '../../../src/domain/dhcp/lease.ts'
import {merged, nextSequence} from '../../../src/domain/dhcp/replication.ts'

const [A, B] = ['10.0.0.3', '10.0.0.4']
const word = (site: string | undefined, sequence: number, origin = A, nak = false): Directive => ({
  ...{segment: 'lan', mac: '02:00:00:00:00:10', inventorySite: 'x', site, nak, version: {sequence, origin}},
})

describe('of two directives for a client', () => {
  it.each<[string, Directive | undefined, Directive, Directive]>([
    ['the only one counts', undefined, word('y', 1), word('y', 1)],
    ['the later one counts', word('x', 1), word('y', 2), word('y', 2)],
    ['the later one counts, also if it came first', word('y', 2), word('x', 1), word('y', 2)],
    ['of equal sequences that of the greater origin counts', word('x', 7, A), word('y', 7, B), word('y', 7, B)],
    ['a later order to forget counts', word('y', 1), word(undefined, 2), word(undefined, 2)],
    ['a NAK that was sent is not sent again', word('y', 3, A, true), word('y', 3, A, false), word('y', 3, A, false)],
    ['a NAK that was sent stays so', word('y', 3, A, false), word('y', 3, A, true), word('y', 3, A, false)],
    ['a later order to refuse is one more', word('y', 3, A, false), word('y', 4, B, true), word('y', 4, B, true)],
    ['a site that was forgotten stays so', word(undefined, 3), word('y', 3), word(undefined, 3)],
    ['a site that was forgotten there is here', word('y', 3), word(undefined, 3), word(undefined, 3)],
    [
      'what either has done with is done with',
      word(undefined, 3, A, true),
      word('y', 3, A, false),
      word(undefined, 3, A, false),
    ],
    ['one with a version is later than one without', {...word('x', 0), version: undefined}, word('y', 1), word('y', 1)],
  ])('%s', (_, held, came, result) => {
    expect(merged(held, came)).toEqual(result)
    if (held) expect(merged(came, held)).toEqual(result)
  })

  it('what changes nothing is the one that is held', () => {
    const held = word('y', 2)
    for (const came of [held, {...held}, word('x', 1), word('y', 2, A, true)]) expect(merged(held, came)).toBe(held)
  })
})

it('versions grow with every word, also where the clock is behind', () => {
  expect([nextSequence(0, 5000), nextSequence(5000, 5000), nextSequence(9000, 5000)]).toEqual([5000, 5001, 9001])
})

/** What happens to two servers: one is told something, has done with it, or sends what it holds, which may get lost, late or twice. */
type Step =
  | {
      readonly do: 'say'
      readonly at: 0 | 1
      readonly mac: number
      readonly site: string | undefined
      readonly nak: boolean
    }
  | {readonly do: 'nak done' | 'forget' | 'send'; readonly at: 0 | 1; readonly mac: number}
  | {readonly do: 'arrive'; readonly to: 0 | 1; readonly which: number}
  | {readonly do: 'clock'; readonly by: number}

const at = fc.constantFrom(0 as const, 1 as const)
const mac = fc.nat({max: 1})
const steps = fc.array(
  fc.oneof(
    fc.record({
      ...{do: fc.constant('say' as const), at, mac, nak: fc.boolean()},
      site: fc.constantFrom('x', 'y', undefined),
    }),
    fc.record({do: fc.constantFrom('nak done' as const, 'forget' as const, 'send' as const), at, mac}),
    fc.record({do: fc.constant('arrive' as const), to: at, which: fc.nat({max: 20})}),
    fc.record({do: fc.constant('clock' as const), by: fc.integer({min: -3, max: 3})}),
  ),
  {maxLength: 60},
)

/** The two of them, and what is under way to each. */
function play(script: readonly Step[]) {
  const held = [new Map<number, Directive>(), new Map<number, Directive>()]
  const last = [0, 0]
  const sent: [number, Directive][][] = [[], []]
  let nowMs = 10
  const take = (server: 0 | 1, client: number, came: Directive): void => {
    held[server]!.set(client, merged(held[server]!.get(client), came))
    last[server] = Math.max(last[server]!, came.version!.sequence)
  }
  for (const each of script) {
    if (each.do === 'clock') nowMs += each.by
    else if (each.do === 'say') {
      last[each.at] = nextSequence(last[each.at]!, nowMs)
      held[each.at]!.set(each.mac, word(each.site, last[each.at]!, [A, B][each.at], each.nak))
    } else if (each.do === 'arrive') {
      const came = sent[each.to]!.at(each.which % (sent[each.to]!.length || 1))
      if (came) take(each.to, ...came)
    } else {
      const own = held[each.at]!.get(each.mac)
      if (!own) continue
      if (each.do === 'send') sent[1 - each.at]!.push([each.mac, own])
      else held[each.at]!.set(each.mac, {...own, ...(each.do === 'forget' ? {site: undefined} : {nak: false})})
    }
  }
  return {held, take}
}

const isOlder = ({version: a}: Directive, {version: b}: Directive): boolean =>
  a!.sequence < b!.sequence || (a!.sequence === b!.sequence && a!.origin < b!.origin)

it('two servers end equal once each was sent all that the other holds, whatever came before, in any order, late, twice or never', () => {
  fc.assert(
    fc.property(steps, (script) => {
      const {held, take} = play(script)
      const all = held.map((each) => [...each])
      for (const [client, directive] of all[0]!) take(1, client, directive)
      for (const [client, directive] of all[1]!) take(0, client, directive)
      const inOrder = (each: Map<number, Directive>) => [...each].sort(([a], [b]) => a - b)
      expect(inOrder(held[0]!)).toEqual(inOrder(held[1]!))
      // And nothing that either held was newer than what both hold now.
      for (const [client, directive] of all.flat()) expect(isOlder(held[0]!.get(client)!, directive)).toBe(false)
    }),
    {numRuns: 3000},
  )
})
