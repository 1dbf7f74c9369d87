import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {parseDhcp} from '../../src/wire/dhcp.ts'
import {
  readReconfigureNonce,
  reconfigureNonce,
  serializeForcerenew,
  signReconfigure,
  verifyReconfigure,
} from '../../src/wire/dhcp-auth.ts'
import {DHCPFORCERENEW, dhcpOptions, readOption} from '../../src/wire/dhcp-options.ts'

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))
const NONCE = hex('49f5494a9392438406bc35804a6f7342')
const ORDER = {
  xid: 0xb2ac_0299,
  ip: '0.0.0.0',
  chaddr: '02:00:00:00:00:01',
  serverIdentifier: '10.50.0.254',
  authentication: {nonce: NONCE, replay: 7n},
}

describe('serializeForcerenew', () => {
  it('makes, byte for byte, a message that dhcpcd 9.4.1 obeyed', () => {
    const message = serializeForcerenew(ORDER)
    expect(message.length).toBe(300)
    expect(Buffer.from(message.subarray(0, 8)).toString('hex')).toBe('02010600b2ac0299')
    expect(Buffer.from(message.subarray(236, 263)).toString('hex')).toBe(
      `63825363${'350109'}${'36040a3200fe'}${'5a1c030100'}${'0000000000000007'}02`,
    )
    expect(Buffer.from(message.subarray(263, 279)).toString('hex')).toBe('fbd6b073d16fd3c36867104561ba9e8b')
    expect(message[279]).toBe(255)
    expect(message.subarray(280).every((byte) => byte === 0)).toBe(true)
  })

  it('says what it was asked to say', () => {
    const {authentication: _, ...plain} = {...ORDER, ip: '10.50.0.100'}
    const message = parseDhcp(serializeForcerenew(plain))
    expect(message).toMatchObject({
      op: 2,
      ciaddr: '10.50.0.100',
      yiaddr: '0.0.0.0',
      chaddr: ORDER.chaddr,
      xid: ORDER.xid,
    })
    expect(readOption(message.options, dhcpOptions.messageType)).toBe(DHCPFORCERENEW)
    expect(readOption(message.options, dhcpOptions.authentication)).toBeUndefined()
  })

  it('refuses a nonce of another length', () => {
    const short = {...ORDER, authentication: {nonce: NONCE.subarray(1), replay: 7n}}
    expect(() => serializeForcerenew(short)).toThrow('a nonce has 16 bytes, not 15')
  })
})

describe('verifyReconfigure', () => {
  it('accepts what relays change (hops, giaddr) and refuses any other changed byte', () => {
    const message = serializeForcerenew(ORDER, {minimum: 0})
    const relayed = Uint8Array.from(message)
    relayed.set([1], 3)
    relayed.set([10, 60, 0, 1], 24)
    expect(verifyReconfigure(relayed, NONCE)).toBe(true)
    const mutable = fc.integer({min: 0, max: message.length - 1}).filter((at) => at !== 3 && !(at >= 24 && at < 28))
    fc.assert(
      fc.property(mutable, fc.integer({min: 1, max: 255}), (at, flip) => {
        const changed = Uint8Array.from(message)
        changed[at]! ^= flip
        return !verifyReconfigure(changed, NONCE)
      }),
    )
  })

  it('refuses another key, padding that was added, and a message without a digest', () => {
    const message = serializeForcerenew(ORDER)
    expect(verifyReconfigure(message, NONCE)).toBe(true)
    expect(verifyReconfigure(message, hex('00f5494a9392438406bc35804a6f7342'))).toBe(false)
    expect(verifyReconfigure(Uint8Array.from([...message, 0]), NONCE)).toBe(false)
    const {authentication: _, ...plain} = ORDER
    expect(verifyReconfigure(serializeForcerenew(plain), NONCE)).toBe(false)
    expect(() => signReconfigure(serializeForcerenew(plain), NONCE)).toThrow('no digest')
  })
})

it('gives a nonce in an ACK as RFC 6704 lays it out, and reads it back', () => {
  const option = reconfigureNonce(1n, NONCE)
  const data = dhcpOptions.authentication.write(option)
  expect(Buffer.from(data).toString('hex')).toBe(`030100${'0000000000000001'}01${Buffer.from(NONCE).toString('hex')}`)
  expect(readReconfigureNonce(dhcpOptions.authentication.read(data))).toEqual(NONCE)
  expect(readReconfigureNonce({...option, protocol: 1})).toBeUndefined()
  expect(readReconfigureNonce({...option, information: option.information.subarray(1)})).toBeUndefined()
})
