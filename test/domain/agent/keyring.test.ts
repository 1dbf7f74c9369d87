import {describe, expect, it} from 'vitest'
import type {TrustedKey} from '../../../src/domain/agent/config.ts'
import {changedRing, EMPTY_KEYRING, type Keyring, keyProblem, knownKeys} from '../../../src/domain/agent/keyring.ts'
import type {AgentCommand} from '../../../src/wire/agent-message.ts'

const NOW = Date.parse('2026-12-01T00:00:00Z')
const publicKey = (name: string): string => name.padEnd(43, '_')
const Y: TrustedKey = {kid: 'y', publicKey: publicKey('y'), gateways: ['10.0.0.2']}
const Y2: TrustedKey = {...Y, kid: 'y2', publicKey: publicKey('y2')}
const X: TrustedKey = {kid: 'x', publicKey: publicKey('x'), gateways: ['10.0.0.1']}

/** Keys of agent.yaml, and what becomes of the ring. */
function vm(trusted: readonly TrustedKey[] = [X, Y]) {
  let ring: Keyring = EMPTY_KEYRING
  const config = {trusted}
  const named = (kid: string): TrustedKey => knownKeys(config, ring).find((key) => key.kid === kid)!
  const tell = (by: string, command: object): string => {
    const changed = changedRing(ring, config, command as AgentCommand, named(by), NOW)
    if ('refused' in changed) return `refused: ${changed.refused}`
    ring = changed.ring
    return changed.detail
  }
  return {
    introduce: (by: string, kid: string, over: object = {}) =>
      tell(by, {op: 'introduce', new_kid: kid, new_key: publicKey(kid), ...over}),
    revoke: (by: string, kid: string) => tell(by, {op: 'revoke', old_kid: kid}),
    /** Those that may give orders now, under this configuration. */
    valid: (given = trusted, nowMs = NOW) =>
      knownKeys({trusted: given}, ring)
        .filter((key) => keyProblem(key, ring, nowMs) === undefined)
        .map(({kid}) => kid),
    named,
  }
}

describe('a key that another one introduces', () => {
  it('may do what that one may, and introduce the next', () => {
    const guest = vm()
    expect(guest.introduce('y', 'y-2027')).toBe('key y-2027 is trusted for what y is')
    guest.introduce('y-2027', 'y-2028')
    expect(guest.valid()).toEqual(['x', 'y', 'y-2027', 'y-2028'])
    expect(guest.named('y-2028').gateways).toEqual(Y.gateways)
    expect(guest.introduce('y', 'y-2027')).toMatch(/trusted already/)
  })

  it('is trusted for as long as the first of its line is in the configuration', () => {
    const guest = vm()
    guest.introduce('y', 'y-2027')
    guest.introduce('y-2027', 'y-2028')
    expect(guest.valid([X])).toEqual(['x'])
    // Under another key of that name, too.
    expect(guest.valid([X, {...Y, publicKey: publicKey('other')}])).toEqual(['x', 'y'])
  })

  it('takes no name and no key that is there', () => {
    const guest = vm()
    expect(guest.introduce('y', 'x')).toMatch(/trusted already/)
    expect(guest.introduce('y', 'x', {new_key: publicKey('z')})).toMatch(/^refused: x is the name of another key/)
    expect(guest.introduce('y', 'z', {new_key: X.publicKey})).toMatch(/^refused: this key was there before/)
  })

  it('is valid between its times only', () => {
    const guest = vm([Y])
    guest.introduce('y', 'next', {not_before: NOW / 1000 + 10, not_after: NOW / 1000 + 20})
    expect([0, 15, 25].map((s) => guest.valid([Y], NOW + s * 1000))).toEqual([['y'], ['y', 'next'], ['y']])
  })
})

describe('a key that is revoked', () => {
  it('is so for ever, under any name', () => {
    const guest = vm([Y, Y2])
    expect(guest.revoke('y2', 'y')).toBe('revoked: y')
    expect(guest.valid()).toEqual(['y2'])
    expect(guest.valid([{...Y, kid: 'again'}, Y2])).toEqual(['y2'])
    expect(guest.introduce('y2', 'again', {new_key: Y.publicKey})).toMatch(/^refused/)
    expect(guest.revoke('y2', 'y')).toBe('key y is revoked already')
  })

  it('leaves the one that follows it, which it introduced', () => {
    const guest = vm()
    guest.introduce('y', 'y-2027')
    expect(guest.revoke('y-2027', 'y')).toBe('revoked: y')
    expect(guest.valid()).toEqual(['x', 'y-2027'])
    const own = vm()
    own.introduce('y', 'y-2027')
    own.revoke('y', 'y')
    expect(own.valid()).toEqual(['x', 'y-2027'])
  })

  it("takes a thief's keys with it", () => {
    const guest = vm()
    guest.introduce('y', 'y-2027')
    guest.introduce('y', 'evil')
    guest.introduce('evil', 'worse')
    expect(guest.revoke('y-2027', 'y')).toBe('revoked: y, evil, worse')
    expect(guest.valid()).toEqual(['x', 'y-2027'])
  })

  it('is none of those that choose other gateways', () => {
    const guest = vm()
    expect(guest.revoke('y', 'x')).toMatch(/^refused: key y has no say in x/)
    expect(guest.revoke('y', 'nobody')).toMatch(/^refused: there is no key nobody/)
  })
})
