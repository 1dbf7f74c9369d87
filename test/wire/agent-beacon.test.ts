import type {KeyObject} from 'node:crypto'
import fc from 'fast-check'
import {CompactSign, compactVerify, importJWK} from 'jose'
import {describe, expect, it} from 'vitest'
import {
  type AgentNote,
  BEACON_TYP,
  NOTE_REASONS,
  NOTE_TYP,
  openBeacon,
  openNote,
  type SiteBeacon,
  signBeacon,
  signNote,
} from '../../src/wire/agent-beacon.ts'
import {claimedTyp, type KeyLookup, type Opened, type SigningKey} from '../../src/wire/agent-jws.ts'
import {
  AGENT_MESSAGE_LIMIT,
  ANSWER_TYP,
  COMMAND_TYP,
  newPrivateKey,
  openAnswer,
  openCommand,
  privateKeyText,
  publicKeyText,
  readPrivateKey,
  signAnswer,
  signCommand,
} from '../../src/wire/agent-message.ts'
import {WireError} from '../../src/wire/error.ts'
import {bytes, part, sampleKey, tokenBy} from '../support/tokens.ts'

const {key, keyOf, signing} = sampleKey()

const beacon: SiteBeacon = {
  ...{v: 1, site: 'y', segment: 'tenant-a', iat: 1_790_000_000, exp: 1_790_000_005, seq: 1_790_000_000_000_000},
  ...{gw4: '10.0.0.2', gw6: 'fd00::2', ask: ['10.0.0.2:6743', '[fd00::2]:6743']},
} as const
const note: AgentNote = {
  ...{v: 1, vm: 'web-07', mac: '02:00:00:00:00:10', seq: 1_790_000_000_000_000, iat: 1_790_000_000},
  ...{nonce: 'AAAAAAAAAAAAAAAA', gw4: '10.0.0.1', gw6: 'fd00::1', why: 'notify_peers', site: 'y'},
} as const

const token = (header: unknown, payload: unknown, by: KeyObject = key): string => tokenBy(by, header, payload)

interface Kind {
  readonly name: string
  readonly typ: string
  readonly value: SiteBeacon | AgentNote
  readonly sign: (value: never, key: SigningKey) => string
  readonly open: (bytes: Uint8Array, keyOf: KeyLookup) => Opened<SiteBeacon | AgentNote>
  readonly any: fc.Arbitrary<SiteBeacon | AgentNote>
  readonly wrong: readonly (readonly [string, Readonly<Record<string, unknown>>])[]
}

const id = fc.stringMatching(/^[\w.:-]{1,64}$/)
const whole = fc.nat({max: Number.MAX_SAFE_INTEGER})
const endpoint = fc.tuple(fc.ipV4(), fc.integer({min: 1, max: 65_535})).map(([ip, port]) => `${ip}:${port}`)

const KINDS: readonly Kind[] = [
  {
    ...{name: 'beacon', typ: BEACON_TYP, value: beacon, sign: signBeacon, open: openBeacon},
    any: fc.record(
      {
        ...{v: fc.constant(1 as const), site: id, segment: id, iat: fc.nat(1e10), exp: fc.nat(1e10), seq: whole},
        ...{gw4: fc.ipV4(), gw6: fc.ipV6(), ask: fc.array(endpoint, {maxLength: 2})},
      },
      {requiredKeys: ['v', 'site', 'iat', 'exp', 'seq', 'gw4']},
    ),
    wrong: [
      ['no gateway', {gw4: undefined, gw6: undefined}],
      ['no site', {site: undefined}],
      ['a site with a space', {site: 'site y'}],
      ['three to ask', {ask: ['10.0.0.2:1', '10.0.0.2:2', '10.0.0.2:3']}],
      ['a name to ask', {ask: ['controller:6743']}],
      ['one to ask, in no list', {ask: '10.0.0.2:6743'}],
      ['a port that is none', {ask: ['10.0.0.2:0']}],
      ["a command's field", {op: 'switch'}],
    ],
  },
  {
    ...{name: 'note', typ: NOTE_TYP, value: note, sign: signNote, open: openNote},
    any: fc.record(
      {
        ...{v: fc.constant(1 as const), vm: id, mac: fc.constant('02:00:00:00:00:10'), seq: whole, iat: fc.nat(1e10)},
        ...{nonce: fc.stringMatching(/^[\w-]{16}$/), gw4: fc.ipV4(), gw6: fc.ipV6(), site: id},
        why: fc.constantFrom(...NOTE_REASONS),
      },
      {requiredKeys: ['v', 'vm', 'seq', 'iat', 'nonce', 'why']},
    ),
    wrong: [
      ['no reason', {why: undefined}],
      ['a reason that there is not', {why: 'bored'}],
      ['a short nonce', {nonce: 'AAAA'}],
      ['a MAC that is none', {mac: 'eth0'}],
      ['a wish', {to: '10.0.0.2'}],
    ],
  },
]

describe.each(KINDS)('a $name', ({typ, value, sign: signed, open, any, wrong}) => {
  const good = signed(value as never, signing)
  const [header, payload, signature] = good.split('.') as [string, string, string]
  const HEADER = {alg: 'Ed25519', kid: 'site-y', typ}

  it('comes back as it was signed, in one datagram, and says what it claims to be', () => {
    expect(good.length).toBeLessThan(1000)
    expect(open(bytes(good), keyOf)).toEqual({ok: true, kid: 'site-y', message: value})
    expect(claimedTyp(bytes(good))).toBe(typ)
  })

  it('comes back for any values of its fields', () => {
    fc.assert(
      fc.property(any, (each) => {
        expect(open(bytes(signed(each as never, signing)), keyOf)).toEqual({ok: true, kid: 'site-y', message: each})
      }),
      {numRuns: 200},
    )
  })

  it.each([
    ...wrong,
    ['another version', {v: 2}],
    ['a seq that is none', {seq: 1.5}],
    ['a gateway that is no address', {gw4: '10.0.0.256'}],
    ['a field that is not known', {x: 1}],
    ['a field from Object', {constructor: 1}],
  ] as const)('is not signed with %s, and invalid if another signs it', (_name, over) => {
    expect(() => signed({...value, ...over} as never, signing)).toThrow(WireError)
    expect(open(bytes(token(HEADER, {...value, ...over})), keyOf)).toMatchObject({
      ...{ok: false, authenticated: true, kid: 'site-y'},
    })
  })

  it('is nothing when it is cut anywhere', () => {
    for (let length = 0; length < good.length; length++)
      expect(open(bytes(good.slice(0, length)), keyOf), `${length}`).toMatchObject({ok: false, authenticated: false})
  })

  it.each<[string, string, string]>([
    ['a header with a key of its own', token({...HEADER, jwk: {}}, value), 'malformed'],
    ['alg none', `${part({...HEADER, alg: 'none'})}.${payload}.${'A'.repeat(86)}`, 'wrong_alg'],
    ['alg EdDSA', token({...HEADER, alg: 'EdDSA'}, value), 'wrong_alg'],
    ['a kid that is not known', token({...HEADER, kid: 'site-z'}, value), 'unknown_key'],
    ["another's signature", token(HEADER, value, newPrivateKey()), 'bad_signature'],
    ['a changed payload', `${header}.${part({...value, gw4: '10.0.0.66'})}.${signature}`, 'bad_signature'],
    ['no typ', token({alg: 'Ed25519', kid: 'site-y'}, value), 'wrong_typ'],
    ['a payload that is a list', token(HEADER, [value]), 'malformed'],
    ['more than 2 kB', `${good}${' '.repeat(AGENT_MESSAGE_LIMIT)}`, 'oversized'],
  ])('gets silence with %s', (_name, text, reason) => {
    expect(open(bytes(text), keyOf)).toEqual({ok: false, authenticated: false, reason})
  })

  it('gets silence whatever bytes it is made of, and after any change of one character', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 3000}), (noise) => {
        expect(open(noise, keyOf)).toMatchObject({ok: false, authenticated: false})
        expect(claimedTyp(noise)).toBeUndefined()
      }),
    )
    fc.assert(
      fc.property(fc.nat(good.length - 3), fc.constantFrom(...'ABCxyz019-_.'), (at, character) => {
        fc.pre(good[at] !== character)
        expect(open(bytes(good.slice(0, at) + character + good.slice(at + 1)), keyOf).ok).toBe(false)
      }),
      {numRuns: 300},
    )
  })

  it('shares no memory with what was read', () => {
    const read = bytes(good)
    const opened = open(read, keyOf)
    read.fill(0xa5)
    expect(opened).toMatchObject({message: value})
  })

  it('is what jose signs and verifies', async () => {
    const jwk = await importJWK({kty: 'OKP', crv: 'Ed25519', x: publicKeyText(key)}, 'Ed25519')
    const verified = await compactVerify(good, jwk, {algorithms: ['Ed25519']})
    expect(JSON.parse(new TextDecoder().decode(verified.payload))).toEqual(value)
    expect(verified.protectedHeader).toEqual(HEADER)
    const theirs = await new CompactSign(new TextEncoder().encode(JSON.stringify(value)))
      .setProtectedHeader(HEADER)
      .sign(readPrivateKey(privateKeyText(key))!)
    expect(open(bytes(theirs), keyOf)).toMatchObject({ok: true, message: value})
  })
})

it('no kind of message is ever taken for another', () => {
  const common = {v: 1, op: 'query', vm: 'web-07', run: 'r', seq: 1, iat: 1, nonce: 'AAAAAAAAAAAAAAAA'} as const
  const tokens: Readonly<Record<string, string>> = {
    [BEACON_TYP]: signBeacon(beacon, signing),
    [NOTE_TYP]: signNote(note, signing),
    [COMMAND_TYP]: signCommand({...common, exp: 2}, signing),
    [ANSWER_TYP]: signAnswer({...common, state: 'received'}, signing),
  }
  const open = {[BEACON_TYP]: openBeacon, [NOTE_TYP]: openNote, [COMMAND_TYP]: openCommand, [ANSWER_TYP]: openAnswer}
  for (const [typ, text] of Object.entries(tokens)) {
    for (const [wanted, opener] of Object.entries(open)) {
      const opened = opener(bytes(text), keyOf)
      if (typ === wanted) expect(opened.ok, typ).toBe(true)
      else expect(opened, `${typ} as ${wanted}`).toEqual({ok: false, authenticated: false, reason: 'wrong_typ'})
    }
  }
})
