import {chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {afterAll, expect, it} from 'vitest'
import {readAgentConfig} from '../../../src/services/agent/config-file.ts'
import {type EnrollOrder, enroll, makeKey} from '../../../src/services/agent/enroll.ts'
import {readAgentKey} from '../../../src/services/agent/run-agent.ts'
import {publicKeyText, readPrivateKey} from '../../../src/wire/agent-message.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-enroll-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))
const KEY = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
const file = join(scratch, 'agent.yaml')
const order = (over: Partial<EnrollOrder> = {}): EnrollOrder => ({
  ...{
    file,
    vm: undefined,
    kid: 'site-y',
    key: KEY,
    gateways: ['10.0.0.2'],
    probes: [],
    dmiUuid: undefined,
    dryRun: false,
  },
  ...over,
})

it('a key is made once, for its owner alone, and only force makes another', () => {
  const path = join(scratch, 'deep/agent.key')
  const made = makeKey(path, false)
  expect(made).toMatchObject({created: true, publicKey: publicKeyText(readPrivateKey(readFileSync(path, 'utf8'))!)})
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(makeKey(path, false)).toEqual({...made, created: false})
  expect(makeKey(path, true).publicKey).not.toBe(made.publicKey)
  const other = join(scratch, 'other')
  writeFileSync(other, 'not a key')
  expect(() => makeKey(other, false)).toThrow(/other: exists and holds no Ed25519 private key/)
  expect(readFileSync(other, 'utf8')).toBe('not a key')
})

it('a fingerprint is the thumbprint of RFC 8037 appendix A.3', () => {
  expect(enroll(order({vm: 'a', dryRun: true})).fingerprint).toBe(
    'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k'.slice(0, 16),
  )
})

it('a trusted key is written so that the agent reads it, and comments stay', () => {
  expect(() => enroll(order())).toThrow(/has no vm: say which with --vm/)
  expect(enroll(order({vm: 'web-07', dryRun: true})).text).toMatch(/vm: web-07/)
  expect(existsSync(file)).toBe(false)
  enroll(order({vm: 'web-07', probes: ['203.0.113.10'], dmiUuid: 'aaaa'}))
  writeFileSync(file, readFileSync(file, 'utf8').replace('version: 1', 'version: 1 # ours'))
  // From a file too.
  writeFileSync(join(scratch, 'x.pub'), `${KEY}\n`)
  enroll(order({kid: 'site-x', key: join(scratch, 'x.pub'), gateways: ['10.0.0.1', 'fd00::1']}))
  const text = readFileSync(file, 'utf8')
  for (const part of [
    /version: 1 # ours/,
    /probes: \[ 203\.0\.113\.10 \]/,
    /dmiUuid: aaaa/,
    /site-x:\n {4}key: 11q.*\n {4}gateways: \[ 10\.0\.0\.1, fd00::1 \]/,
  ]) {
    expect(text).toMatch(part)
  }
  expect(() => enroll(order({key: 'nonsense'}))).toThrow(/--key nonsense: is no Ed25519 public key/)
  expect(() => enroll(order({gateways: ['ten']}))).toThrow(/"ten" is not an IP address/)
  expect(() => enroll(order({kid: ''}))).toThrow(/invalid key/)
  expect(readFileSync(file, 'utf8')).toBe(text)
  // The name of a key may be anything.
  const kid = 'two words, a/slash and ünicode'
  enroll(order({kid}))
  expect(readAgentConfig(file).trusted.map((key) => key.kid)).toContain(kid)
})

it.each([
  [
    'a configuration that others can change',
    0o666,
    0o700,
    /agent\.yaml: every user may write it \(mode 0666\): chmod o-w/,
  ],
  ['one that they can replace', 0o644, 0o777, /every user may put another file in its place: chmod o-w/],
])('%s is refused', (_name, mode, folder, why) => {
  chmodSync(file, mode)
  chmodSync(dirname(file), folder)
  expect(() => readAgentConfig(file)).toThrow(why)
  chmodSync(dirname(file), 0o1777)
  chmodSync(file, 0o644)
  expect(readAgentConfig(file).vm).toBe('web-07')
})

it('a private key that others can read is refused, by the agent too', () => {
  const path = join(scratch, 'open.key')
  makeKey(path, false)
  chmodSync(path, 0o604)
  const config = {...readAgentConfig(file), key: path}
  expect(() => readAgentKey(config, undefined)).toThrow(
    /open\.key: holds a secret that every user may read \(mode 0604\)/,
  )
  chmodSync(path, 0o640)
  expect(readAgentKey(config, undefined).kid).toBe('web-07')
})
