import {describe, expect, it} from 'vitest'
import {DRAIN_MARK, type DrainPhase, drainRuleset} from '../../../src/net/nft/drain-nft.ts'
import {PROBE_MARK} from '../../../src/services/agent/overlay-rules.ts'

const ruleset = (from: string, to: string, phase: DrainPhase = 'new'): string =>
  drainRuleset([{family: 4, interfaceIndex: 2, from, to, oldMacs: [], newMacs: []}], phase)

/** The conntrack marks of the old gateway and of the new one. */
function marks(from: string, to: string): [number, number] {
  const [, old, fresh] = /!= \{ (0x\w+), (0x\w+) \}/.exec(ruleset(from, to))!
  return [Number(old), Number(fresh)]
}

describe('the conntrack marks of two gateways', () => {
  const addresses = Array.from({length: 254}, (_, i) => [
    `10.0.0.${i + 1}`,
    `fd00::${(i + 1).toString(16)}`,
    `fe80::${i}`,
  ]).flat()

  it('are the same whichever is the old one, and never of a packet that is routed by its mark', () => {
    let alike = 0
    for (const a of addresses.slice(0, 4)) {
      for (const b of addresses) {
        if (a === b) continue
        const [old, fresh] = marks(a, b)
        expect(old).not.toBe(fresh)
        expect(marks(b, a)).toEqual([fresh, old])
        for (const mark of [old, fresh]) {
          expect(mark & ~DRAIN_MARK.mask).toBe(0)
          expect([0, DRAIN_MARK.value, PROBE_MARK.value]).not.toContain(mark)
        }
        // Of two whose own marks are the same, one has the next.
        if (marks(a, '203.0.113.1')[0] === marks(b, '203.0.113.1')[0]) alike++
      }
    }
    expect(alike).toBeGreaterThan(0)
  })
})

it('while routes are changed, sessions that begin are held with the others, or nothing leaves', () => {
  const fresh = `ct mark set ct mark & 0xff00ffff | 0x00${marks('10.0.0.1', '10.0.0.2')[1].toString(16)}`
  expect(ruleset('10.0.0.1', '10.0.0.2')).toContain(fresh)
  expect(ruleset('10.0.0.1', '10.0.0.2', 'old')).not.toContain(fresh)
  const none = ruleset('10.0.0.1', '10.0.0.2', 'none')
  expect(none).not.toContain('mark set')
  expect(none.match(/ drop$/gm)).toHaveLength(2)
})
