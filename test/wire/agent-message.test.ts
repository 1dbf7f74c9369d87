import {generateKeyPairSync, type KeyObject, sign} from 'node:crypto'
import fc from 'fast-check'
import {CompactSign, compactVerify, exportJWK, importJWK} from 'jose'
import {describe, expect, it} from 'vitest'
import {
  AGENT_MESSAGE_LIMIT,
  AGENT_OPS,
  type AgentAnswer,
  type AgentCommand,
  ANSWER_TYP,
  COMMAND_TYP,
  echoOf,
  newPrivateKey,
  openAnswer,
  openCommand,
  privateKeyText,
  publicKeyText,
  readPrivateKey,
  readPublicKey,
  SWITCH_MODES,
  signAnswer,
  signCommand,
  signedPart,
  withTag,
} from '../../src/wire/agent-message.ts'
import {WireError} from '../../src/wire/error.ts'
import {bytes, part, sampleKey, tokenBy} from '../support/tokens.ts'

const {key, keyOf, signing} = sampleKey()

const command: AgentCommand = {
  ...{
    v: 1,
    op: 'switch',
    vm: 'web-07',
    mac: '02:00:00:00:00:10',
    run: 'evac-12',
    seq: 7,
    iat: 1_790_000_000,
    exp: 1_790_000_060,
  },
  ...{nonce: 'AAAAAAAAAAAAAAAA', site: 'y', gw4: '10.0.0.2', gw6: 'fd00::2', from_gw4: '10.0.0.1', mode: 'rule'},
  ...{probe: ['203.0.113.10', '2001:db8::10'], confirm_s: 30, drain_s: 300},
} as const
const answer: AgentAnswer = {
  ...{v: 1, op: 'switch', vm: 'web-07', run: 'evac-12', seq: 7, nonce: 'AAAAAAAAAAAAAAAA', state: 'rolled_back'},
  ...{
    reason: 'probe_failed',
    detail: 'nothing beyond 10.0.0.2 answers',
    gw4: '10.0.0.1',
    mode: 'rule',
    iat: 1_790_000_001,
    t_apply_ms: 3.4,
  },
} as const

const token = (header: unknown, payload: unknown, by: KeyObject = key): string => tokenBy(by, header, payload)
const HEADER = {alg: 'Ed25519', kid: 'site-y', typ: COMMAND_TYP}

describe('a command', () => {
  it('comes back as it was signed, in one datagram', () => {
    const text = signCommand(command, signing)
    expect(text.length).toBeLessThan(AGENT_MESSAGE_LIMIT)
    expect(openCommand(bytes(text), keyOf)).toEqual({ok: true, kid: 'site-y', message: command})
    // A line end, as a pipe brings it.
    expect(openCommand(bytes(`${text}\n`), keyOf).ok).toBe(true)
    // With a tag it is the same, and still fits.
    const tagged = withTag(text, signing)
    expect(tagged).toBe(`${text}.${tagged.slice(-22)}`)
    expect(openCommand(bytes(tagged), keyOf)).toEqual({ok: true, kid: 'site-y', message: command})
    expect(signedPart(bytes(tagged))).toBe(signedPart(bytes(text)))
  })

  it('comes back for any values of its fields', () => {
    const id = fc.stringMatching(/^[\w.:-]{1,64}$/)
    const ip4 = fc.ipV4()
    const fields = fc.record(
      {
        v: fc.constant(1 as const),
        op: fc.constantFrom(...AGENT_OPS),
        vm: id,
        run: id,
        seq: fc.nat({max: Number.MAX_SAFE_INTEGER}),
        iat: fc.nat(1e10),
        exp: fc.nat(1e10),
        nonce: fc.stringMatching(/^[\w-]{16}$/),
        gw4: ip4,
        site: id,
        from_gw4: ip4,
        mode: fc.constantFrom(...SWITCH_MODES),
        probe: fc.array(fc.oneof(ip4, fc.ipV6()), {maxLength: 8}),
        confirm_s: fc.nat(3600),
        new_kid: fc.string({minLength: 1, maxLength: 40, unit: 'grapheme'}),
        new_key: fc.constant(publicKeyText(key)),
        old_kid: fc.string({minLength: 1, maxLength: 40}),
        not_after: fc.nat(1e10),
      },
      {requiredKeys: ['v', 'op', 'vm', 'run', 'seq', 'iat', 'exp', 'nonce', 'gw4', 'new_kid', 'new_key', 'old_kid']},
    )
    fc.assert(
      fc.property(fields, (any) => {
        expect(openCommand(bytes(signCommand(any, signing)), keyOf)).toMatchObject({ok: true, message: any})
      }),
      {numRuns: 200},
    )
  })

  it.each<[string, Partial<Record<keyof AgentCommand, unknown>>]>([
    ['a seq that is none', {seq: 1.5}],
    ['a negative seq', {seq: -1}],
    ['a short nonce', {nonce: 'AAAA'}],
    ['a vm with a space', {vm: 'web 07'}],
    ['a gateway that is no address', {gw4: '10.0.0.256'}],
    ['an IPv4 address as gw6', {gw6: '10.0.0.2'}],
    ['nine probes', {probe: Array(9).fill('203.0.113.1')}],
    ['a mode that there is not', {mode: 'nat'}],
    ['a switch to nowhere', {gw4: undefined, gw6: undefined}],
    ['a new key that is none', {op: 'introduce', new_kid: 'z', new_key: 'A'.repeat(42)}],
    ['a new key without a name', {op: 'introduce', new_key: publicKeyText(key)}],
    ['nothing to revoke', {op: 'revoke'}],
    ['a field that is not known', {gw5: '10.0.0.1'} as object],
  ])('is not signed with %s', (_name, over) => {
    expect(() => signCommand({...command, ...over} as AgentCommand, signing)).toThrow(WireError)
    // Signed by somebody else, it is authenticated and invalid, and can be answered if it says what it is.
    const opened = openCommand(bytes(token(HEADER, {...command, ...over})), keyOf)
    expect(opened).toMatchObject({ok: false, authenticated: true, kid: 'site-y'})
    expect(echoOf((opened as {payload: object}).payload) === undefined).toBe('seq' in over || 'nonce' in over)
  })
})

describe('what is not a command gets silence', () => {
  const good = signCommand(command, signing)
  const [header, payload, signature] = good.split('.') as [string, string, string]
  const stranger = newPrivateKey()
  const rsa = generateKeyPairSync('rsa', {modulusLength: 2048})
  const table: [string, string, string][] = [
    ['nothing', '', 'malformed'],
    ['two parts', `${header}.${payload}`, 'malformed'],
    ['four parts', `${good}.AAAA`, 'malformed'],
    ['padding', `${header}=.${payload}.${signature}`, 'malformed'],
    ['standard base64', good.replace('.', '.+/'), 'malformed'],
    ['a header that is no JSON', `${part('{')}.${payload}.${signature}`, 'malformed'],
    ['a header that is a list', token([HEADER], command), 'malformed'],
    ['a header with crit', token({...HEADER, crit: ['b64'], b64: false}, command), 'malformed'],
    [
      'a header with a key of its own',
      token({...HEADER, jwk: {kty: 'OKP', crv: 'Ed25519', x: publicKeyText(stranger)}}, command, stranger),
      'malformed',
    ],
    ['alg none, no signature', `${part({...HEADER, alg: 'none'})}.${payload}.`, 'malformed'],
    ['alg none', `${part({...HEADER, alg: 'none'})}.${payload}.${signature}`, 'wrong_alg'],
    ['alg EdDSA', token({...HEADER, alg: 'EdDSA'}, command), 'wrong_alg'],
    ['alg HS256 keyed with the public key', token({...HEADER, alg: 'HS256'}, command), 'wrong_alg'],
    ['alg in lower case', token({...HEADER, alg: 'ed25519'}, command), 'wrong_alg'],
    ['no alg', token({kid: 'site-y', typ: COMMAND_TYP}, command), 'wrong_alg'],
    ['a kid that is not known', token({...HEADER, kid: 'site-z'}, command), 'unknown_key'],
    ['a kid that is a number', token({...HEADER, kid: 7}, command), 'unknown_key'],
    ['no kid', token({alg: 'Ed25519', typ: COMMAND_TYP}, command), 'unknown_key'],
    ["another's signature", token(HEADER, command, stranger), 'bad_signature'],
    ['a changed payload', `${header}.${part({...command, gw4: '10.0.0.66'})}.${signature}`, 'bad_signature'],
    [
      'a changed header',
      `${part({typ: COMMAND_TYP, kid: 'site-y', alg: 'Ed25519'})}.${payload}.${signature}`,
      'bad_signature',
    ],
    ['a cut signature', good.slice(0, -4), 'malformed'],
    ['a longer signature', `${good}AA`, 'malformed'],
    ['no signature', `${header}.${payload}.`, 'malformed'],
    ['a signature of zeros', `${header}.${payload}.${'A'.repeat(86)}`, 'bad_signature'],
    [
      'an RSA signature',
      `${header}.${payload}.${sign('sha256', bytes(`${header}.${payload}`), rsa.privateKey).toString('base64url')}`,
      'malformed',
    ],
    ['a tag of another length', `${good}.${'A'.repeat(21)}`, 'malformed'],
    ['a fifth part', `${withTag(good, signing)}.AAAA`, 'malformed'],
    ["another key's tag", withTag(good, {...signing, privateKey: stranger}), 'bad_tag'],
    ["another message's tag", `${good}${withTag(signAnswer(answer, signing), signing).slice(-23)}`, 'bad_tag'],
    ['a right tag and a wrong signature', withTag(token(HEADER, command, stranger), signing), 'bad_signature'],
    ['an answer', signAnswer(answer, signing), 'wrong_typ'],
    ['no typ', token({alg: 'Ed25519', kid: 'site-y'}, command), 'wrong_typ'],
    ['a payload that is no JSON', token(HEADER, 'switch!'), 'malformed'],
    ['a payload that is a list', token(HEADER, [command]), 'malformed'],
    ['more than 2 kB', `${good}${' '.repeat(AGENT_MESSAGE_LIMIT)}`, 'oversized'],
  ]

  it.each(table)('%s', (_name, text, reason) => {
    expect(openCommand(bytes(text), keyOf)).toEqual({ok: false, authenticated: false, reason})
  })

  it('whatever bytes it is made of', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 3000}), (any) => {
        expect(openCommand(any, keyOf)).toMatchObject({ok: false, authenticated: false})
      }),
    )
  })

  it('after any change of one character', () => {
    fc.assert(
      fc.property(fc.nat(good.length - 3), fc.constantFrom(...'ABCxyz019-_.'), (at, character) => {
        fc.pre(good[at] !== character)
        expect(openCommand(bytes(good.slice(0, at) + character + good.slice(at + 1)), keyOf).ok).toBe(false)
      }),
      {numRuns: 500},
    )
  })
})

describe('an answer', () => {
  it('comes back as it was signed, and is no command', () => {
    const text = signAnswer(answer, signing)
    expect(openAnswer(bytes(text), keyOf)).toEqual({ok: true, kid: 'site-y', message: answer})
    expect(openAnswer(bytes(signCommand(command, signing)), keyOf)).toMatchObject({ok: false, reason: 'wrong_typ'})
  })
})

describe('jose', () => {
  it('verifies what we sign', async () => {
    const jwk = {kty: 'OKP', crv: 'Ed25519', x: publicKeyText(key)}
    const {payload, protectedHeader} = await compactVerify(
      signCommand(command, signing),
      await importJWK(jwk, 'Ed25519'),
      {algorithms: ['Ed25519']},
    )
    expect(JSON.parse(new TextDecoder().decode(payload))).toEqual(command)
    expect(protectedHeader).toEqual({alg: 'Ed25519', kid: 'site-y', typ: COMMAND_TYP})
  })

  it('signs what we open, with our key file', async () => {
    const text = await new CompactSign(new TextEncoder().encode(JSON.stringify(answer)))
      .setProtectedHeader({alg: 'Ed25519', kid: 'site-y', typ: ANSWER_TYP})
      .sign(readPrivateKey(privateKeyText(key))!)
    expect(openAnswer(bytes(text), keyOf)).toMatchObject({ok: true, message: answer})
  })

  it('is refused when it uses the deprecated name of the algorithm', async () => {
    const text = await new CompactSign(new TextEncoder().encode(JSON.stringify(command)))
      .setProtectedHeader({alg: 'EdDSA', kid: 'site-y', typ: COMMAND_TYP})
      .sign(key)
    expect(openCommand(bytes(text), keyOf)).toMatchObject({ok: false, reason: 'wrong_alg'})
  })

  it('makes keys that we read', async () => {
    const jwk = await exportJWK(key)
    expect(publicKeyText(readPrivateKey(JSON.stringify(jwk))!)).toBe(publicKeyText(key))
    expect(publicKeyText(readPublicKey(JSON.stringify({kty: 'OKP', crv: 'Ed25519', x: jwk.x}))!)).toBe(
      publicKeyText(key),
    )
  })
})

describe('keys', () => {
  it.each(['', 'hello', 'A'.repeat(44), '{"kty":"RSA"}'])('%j is none', (text) => {
    expect(readPublicKey(text)).toBeUndefined()
    expect(readPrivateKey(text)).toBeUndefined()
  })

  it('of another curve are none', () => {
    const {publicKey: other, privateKey} = generateKeyPairSync('x25519')
    expect(readPublicKey(other.export({type: 'spki', format: 'pem'}) as string)).toBeUndefined()
    expect(readPrivateKey(privateKey.export({type: 'pkcs8', format: 'pem'}) as string)).toBeUndefined()
  })
})
