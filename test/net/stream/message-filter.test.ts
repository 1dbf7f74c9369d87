// Which datagrams the kernel shall drop for us, by a machine of our own; the kernel itself is asked in udp-listener.test.ts.
import {randomBytes} from 'node:crypto'
import {describe, expect, it} from 'vitest'
import {encodeFilter} from '../../../src/net/packet/bpf.ts'
import {ALL, messageFilter} from '../../../src/net/stream/message-filter.ts'
import {signBeacon, signNote} from '../../../src/wire/agent-beacon.ts'
import {AGENT_MESSAGE_LIMIT, newPrivateKey, signCommand, withTag} from '../../../src/wire/agent-message.ts'
import {hintOf} from '../../../src/wire/agent-tag.ts'
import {accepts} from '../../support/bpf-machine.ts'

const key = {kid: 'a', privateKey: newPrivateKey()}
const nonce = 'AAAAAAAAAAAAAAAA'
/** The shortest of each kind. */
const SHORT = [
  signCommand({v: 1, op: 'query', vm: 'a', run: 'a', seq: 0, iat: 0, exp: 0, nonce}, key),
  signBeacon({v: 1, site: 'a', iat: 0, exp: 0, seq: 0, gw4: '1.1.1.1'}, key),
  signNote({v: 1, vm: 'a', seq: 0, iat: 0, nonce, why: 'beacons'}, key),
]
const LONG = signCommand(
  {
    ...{v: 1, op: 'switch', vm: 'a'.repeat(64), run: 'b'.repeat(64), seq: 2 ** 53 - 1, iat: 1e10, exp: 1e10, nonce},
    ...{gw4: '255.255.255.255', site: 'c'.repeat(64), probe: Array(8).fill('2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff')},
  },
  key,
)
const hints = [hintOf(newPrivateKey()), hintOf(key.privateKey)]
const packet = (payload: string | Buffer): Buffer => Buffer.concat([Buffer.alloc(8, 0xff), Buffer.from(payload)])
const taken = (payload: string | Buffer): boolean => accepts(messageFilter(hints, ALL), packet(payload))

describe('the filter for messages', () => {
  it.each([...SHORT, LONG])('takes %.20s..., with a tag and white space too', (token) => {
    for (const form of [token, withTag(token, key), `${token}\n`, `${token} \u00a0`, token.padEnd(AGENT_MESSAGE_LIMIT)])
      expect(taken(form)).toBe(true)
  })

  const [good] = SHORT as [string]
  it.each<[string, string | Buffer]>([
    ['nothing', ''],
    ['what is too long', good.padEnd(AGENT_MESSAGE_LIMIT + 1)],
    ['what is too short', good.slice(0, 150)],
    ['other letters', Buffer.alloc(2048, 65)],
    ['a signature of one character', good.slice(0, -85)],
    ['a signature of 63 bytes', good.slice(0, -2)],
    ['the tag of a key that nobody here knows', withTag(good, {...key, privateKey: newPrivateKey()})],
    ['a tag that is too short', withTag(good, key).slice(0, -1)],
    ['no dots', 'e'.repeat(400)],
  ])('drops %s', (_name, payload) => expect(taken(payload)).toBe(false))

  it('drops nearly all noise', () => {
    const noise = Array.from({length: 5000}, (_, i) => randomBytes(200 + (i % 1800)))
    // The first and the last byte of one in some 500 are by chance what is let through.
    expect(noise.filter(taken).length).toBeLessThan(60)
  })

  it('lets a share through, each of its kind', () => {
    const share = (payload: string, shares: {tagged: number; untagged: number}): number => {
      const program = messageFilter(hints, shares)
      const tenths = Array.from({length: 10}, (_, i) => (i + 0.5) / 10)
      return tenths.filter((random) => accepts(program, packet(payload), random * 2 ** 32)).length / 10
    }
    const shares = {tagged: 0.8, untagged: 0.1}
    expect(share(good, shares)).toBe(0.1)
    expect(share(`${withTag(good, key)} `, shares)).toBe(0.1)
    expect(share(withTag(good, key), shares)).toBe(0.8)
  })

  it('compares no hints of more keys than a program has room for', () => {
    const many = Array.from({length: 201}, () => 'AAAA')
    expect(accepts(messageFilter(many, ALL), packet(withTag(good, key)))).toBe(true)
    expect(accepts(messageFilter(many.slice(1), ALL), packet(withTag(good, key)))).toBe(false)
    const last = [...many.slice(2), hintOf(key.privateKey)]
    expect(accepts(messageFilter(last, ALL), packet(withTag(good, key)))).toBe(true)
  })

  it('fits the memory that is handed to the kernel', () => {
    const program = messageFilter(hints, ALL)
    expect(encodeFilter(program)).toHaveLength(program.length * 8)
    for (const [, ifTrue, ifFalse] of program) expect(Math.max(ifTrue, ifFalse)).toBeLessThan(256)
  })
})
