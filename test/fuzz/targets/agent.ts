// Messages of agents, controllers and sites: as they come, and once their signature is right.
import {openStore} from '../../../src/services/agent/store.ts'
import {BEACON_TYP, NOTE_TYP, openBeacon, openNote} from '../../../src/wire/agent-beacon.ts'
import {claimedTyp, type KeyLookup, type Opened} from '../../../src/wire/agent-jws.ts'
import {readPrivateKey, readPublicKey} from '../../../src/wire/agent-keys.ts'
import {
  ANSWER_TYP,
  COMMAND_TYP,
  openAnswer,
  openCommand,
  privateKeyText,
  publicKeyText,
} from '../../../src/wire/agent-message.ts'
import {WireError} from '../../../src/wire/error.ts'
import {tokenBy} from '../../support/tokens.ts'
import {ofJson, ofText, type Target, utf8} from '../target.ts'

/** Always the same, or no find could be shown again: the key of RFC 8037, appendix A.1. */
const JWK = {
  kty: 'OKP',
  crv: 'Ed25519',
  d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
}
const KEY = readPrivateKey(JSON.stringify(JWK))!
const PUBLIC = readPublicKey(JWK.x)!
const keyOf: KeyLookup = (kid) => (kid === 'site-y' ? PUBLIC : undefined)

const HEAD = {v: 1, vm: 'web-07', run: 'evac-12', seq: 7, iat: 1_790_000_000, nonce: 'AAAAAAAAAAAAAAAA'}
const GATEWAYS = {gw4: '10.0.0.2', gw6: 'fd00::2'}
const MESSAGES = {
  command: {
    typ: COMMAND_TYP,
    open: openCommand,
    sample: {
      ...HEAD,
      ...GATEWAYS,
      ...{op: 'switch', mac: '02:00:00:00:00:10', exp: 1_790_000_060, site: 'y', from_gw4: '10.0.0.1', mode: 'rule'},
      ...{probe: ['203.0.113.10', '2001:db8::10'], confirm_s: 30, drain_s: 300},
    },
  },
  answer: {
    typ: ANSWER_TYP,
    open: openAnswer,
    sample: {
      ...HEAD,
      ...GATEWAYS,
      ...{op: 'switch', state: 'rolled_back', reason: 'probe_failed', detail: 'nothing answers', mode: 'rule'},
      ...{t_apply_ms: 3.4},
    },
  },
  beacon: {
    typ: BEACON_TYP,
    open: openBeacon,
    sample: {v: 1, site: 'y', segment: 'a', iat: 1, exp: 9, seq: 7, ...GATEWAYS, ask: ['10.0.0.3', '[fd00::3]:6743']},
  },
  note: {
    typ: NOTE_TYP,
    open: openNote,
    sample: {
      v: 1,
      vm: 'web-07',
      mac: '02:00:00:00:00:10',
      seq: 7,
      iat: 1,
      nonce: HEAD.nonce,
      ...GATEWAYS,
      why: 'beacons',
      site: 'y',
    },
  },
} as const
type Open = (bytes: Uint8Array, keyOf: KeyLookup) => Opened<unknown>

const headerOf = (typ: string) => ({alg: 'Ed25519', kid: 'site-y', typ})

/** What a message says, signed rightly whatever it is. */
const signed = ([name, {typ, open, sample}]: [string, {typ: string; open: Open; sample: object}]): Target =>
  ofJson({
    name: `agent ${name}`,
    corpus: [JSON.stringify(sample)],
    read(payload) {
      const opened = open(utf8(tokenBy(KEY, headerOf(typ), payload)), keyOf)
      if (opened.ok) return opened.message
      throw new WireError('agent message', 'malformed', 0, opened.authenticated ? opened.problem : opened.reason)
    },
    write: (message) => JSON.stringify(message),
  })

const TOKENS = Object.values(MESSAGES).map(({typ, sample}) => tokenBy(KEY, headerOf(typ), sample))

export const AGENT: readonly Target[] = [
  ...Object.entries(MESSAGES).map(signed),
  ofText({
    name: 'agent token',
    corpus: TOKENS,
    read: (token) => [
      claimedTyp(utf8(token)),
      ...Object.values(MESSAGES).map(({open}: {open: Open}) => open(utf8(token), keyOf).ok),
    ],
  }),
  ofText({
    name: 'agent public key',
    corpus: [JWK.x, JSON.stringify(JWK), PUBLIC.export({type: 'spki', format: 'pem'}) as string],
    read: (text) => {
      const key = readPublicKey(text)
      return key && publicKeyText(key)
    },
    write: (key) => key ?? '',
  }),
  ofText({
    name: 'agent private key',
    corpus: [JSON.stringify(JWK), privateKeyText(KEY)],
    read: (text) => {
      const key = readPrivateKey(text)
      return key && privateKeyText(key)
    },
    write: (key) => key ?? '',
  }),
  ofJson({
    name: 'agent state',
    corpus: [JSON.stringify({version: 1, keys: {'site-y': {seq: 7, nonces: [['AAAA', 9]]}}, answered: []})],
    read: (text) =>
      openStore({state: '/state'}, {read: () => text, readOurs: () => undefined, writeDurably: () => {}}).memory,
  }),
]
