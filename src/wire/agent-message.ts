// What a controller and the agent in a VM say to each other: compact JWS (RFC 7515), signed with Ed25519 (RFC 8032) under
// the fully specified algorithm name of RFC 9864, one message in one UDP datagram.
import {createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify} from 'node:crypto'
import {type Ipv4, isIpv4, isMac, type Mac} from './address.ts'
import {WireError} from './error.ts'
import {isIpv6} from './ipv6-address.ts'

/** UDP port of the agent. */
export const AGENT_PORT = 6742
/** Bytes of the longest message that is looked at. */
export const AGENT_MESSAGE_LIMIT = 2048
/** The only algorithm; `EdDSA` is refused, as RFC 9864 deprecates it. */
export const AGENT_ALG = 'Ed25519'
/** `typ` of the protected header: an answer can never be taken for a command, nor the other way round. */
export const COMMAND_TYP = 'gwsw-cmd+jws'
export const ANSWER_TYP = 'gwsw-ans+jws'
/** Probes that one command may name. */
export const PROBE_LIMIT = 8

export const AGENT_OPS = ['switch', 'confirm', 'rollback', 'query'] as const
/** `switch` changes the gateway; `confirm` and `rollback` end the switch of the same `run`; `query` asks how it stands. */
export type AgentOp = (typeof AGENT_OPS)[number]

export const SWITCH_MODES = ['replace', 'rule', 'drain'] as const
/**
 * `replace` rewrites the default route under its exact key. `rule` puts a table of its own and a policy rule over it and
 * leaves it alone. `drain` does as `rule` for new sessions and keeps the open ones on the old gateway for a while.
 */
export type SwitchMode = (typeof SWITCH_MODES)[number]

/** An order to one VM. Field names are those on the wire; a field that is not given is left out there. */
export interface AgentCommand {
  readonly v: 1
  readonly op: AgentOp
  /** The VM's id, as its agent's configuration has it. */
  readonly vm: string
  /** The NIC, where the VM has several. */
  readonly mac?: Mac
  /** Names the switch: `confirm`, `rollback` and `query` speak of the switch of the same run. */
  readonly run: string
  /** Grows from command to command under one key. */
  readonly seq: number
  /** Issued at and expires, in whole seconds since 1970 (NumericDate of RFC 7519). */
  readonly iat: number
  readonly exp: number
  /** 96 bits, base64url: 16 characters. */
  readonly nonce: string
  /** Where the sender says the VM now is. For the record; it decides nothing. */
  readonly site?: string
  /** The new gateway. A `switch` names one of them or both. */
  readonly gw4?: Ipv4
  readonly gw6?: string
  /** Compare and set: refused unless this is the gateway in use. */
  readonly from_gw4?: Ipv4
  readonly from_gw6?: string
  readonly mode?: SwitchMode
  /** Addresses beyond the gateway, of which one must answer an echo. */
  readonly probe?: readonly string[]
  /** Seconds in which a `confirm` must come, or the agent rolls back. Without it the agent confirms by its own probes. */
  readonly confirm_s?: number
  /** Seconds for which `drain` keeps open sessions on the old gateway. */
  readonly drain_s?: number
}

export const AGENT_STATES = ['received', 'applied', 'confirmed', 'rolled_back', 'refused'] as const
/** `refused`: nothing was changed. `rolled_back`: it was, and is no more. `received`: not decided yet, or nothing to tell. */
export type AgentState = (typeof AGENT_STATES)[number]

/** Why a message gets no answer: whoever sent it has not shown that they may ask. */
export const SILENT_REASONS = [
  'oversized',
  'malformed',
  'wrong_alg',
  'unknown_key',
  'bad_signature',
  'wrong_typ',
  'flooded',
] as const
export type SilentReason = (typeof SILENT_REASONS)[number]

/** Why a switch was refused or rolled back. */
export const AGENT_REASONS = [
  /** A signed command whose fields make no sense, or of another version. */
  'invalid',
  'wrong_vm',
  /** `iat` lies in the future or `exp` in the past, or they are too far apart: compare the clocks. */
  'clock',
  /** `seq` is not above the last one of this key. */
  'replayed',
  /** The nonce was used before. */
  'nonce',
  /** The VM was cloned: its DMI UUID is not the one that was enrolled. */
  'cloned',
  /** No interface, or not the one that carries this default route. */
  'interface',
  /** The gateway in use is not `from_gw4` / `from_gw6`. */
  'from_gw',
  /** This key may not choose this gateway. */
  'gateway_not_allowed',
  /** The gateway is not in a prefix of the interface. */
  'gateway_off_link',
  /** This mode is not allowed here or does not fit the route. */
  'mode',
  /** Nothing beyond the gateway to ask, and no confirmation wanted: the switch could not be proved. */
  'no_probe',
  /** Another switch is not decided yet. */
  'busy',
  /** There is no such switch to confirm or roll back. */
  'no_switch',
  /** The gateway does not answer ARP or ND. */
  'gateway_silent',
  /** The gateway answers, and nothing beyond it does. */
  'probe_failed',
  /** The operating system refused the change. */
  'apply_failed',
  /** The state could not be written to disk. */
  'persist_failed',
  /** No `confirm` in time. */
  'not_confirmed',
  /** The controller asked for it. */
  'requested',
  /** The agent was stopped between beginning and proving the change. */
  'agent_stopped',
  /** The new gateway stopped to forward after it was confirmed, while the old one still does. */
  'gateway_died',
  /** The VM was restarted: routes do not outlive that. */
  'rebooted',
] as const
export type AgentReason = (typeof AGENT_REASONS)[number]

/** What the agent says to an authenticated command, at once and again when the state changes. */
export interface AgentAnswer {
  readonly v: 1
  readonly op: AgentOp
  readonly vm: string
  /** These three are the command's own: they bind the answer to it. */
  readonly run: string
  readonly seq: number
  readonly nonce: string
  /** Of the switch that the command began or speaks of. */
  readonly state: AgentState
  readonly reason?: AgentReason
  /** One line for people. */
  readonly detail?: string
  /** The gateways now in use on the interface. */
  readonly gw4?: Ipv4
  readonly gw6?: string
  readonly mode?: SwitchMode
  /** Seconds since 1970, by the VM's clock. */
  readonly iat: number
  /** ms from the datagram's arrival to the changed route, and to the confirmation. */
  readonly t_apply_ms?: number
  readonly t_confirm_ms?: number
}

/** A private key and the name under which others know its public half. */
export interface SigningKey {
  readonly kid: string
  readonly privateKey: KeyObject
}

const ID = /^[\w.:-]{1,64}$/
const NONCE = /^[\w-]{16}$/
const BASE64URL = /^[\w-]*$/
const LAYER = 'agent message'

/** Ids of VMs, keys and runs: 1 to 64 letters, digits, `.`, `_`, `:`, `-`. */
export const isAgentId = (text: string): boolean => ID.test(text)

/** Compact JWS of a command. Throws {@link WireError}: `out-of-range` for a field that is none, or if it is too long. */
export const signCommand = (command: AgentCommand, key: SigningKey): string => {
  const wrong = commandProblem(command)
  if (wrong !== undefined) throw new WireError(LAYER, 'out-of-range', 0, wrong)
  return signed(COMMAND_TYP, command, key)
}

/** Compact JWS of an answer. Throws {@link WireError} like {@link signCommand}. */
export const signAnswer = (answer: AgentAnswer, key: SigningKey): string => {
  const wrong = answerProblem(answer)
  if (wrong !== undefined) throw new WireError(LAYER, 'out-of-range', 0, wrong)
  return signed(ANSWER_TYP, answer, key)
}

function signed(typ: string, payload: object, {kid, privateKey}: SigningKey): string {
  const input = `${encode({alg: AGENT_ALG, kid, typ})}.${encode(payload)}`
  const token = `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`
  if (token.length > AGENT_MESSAGE_LIMIT) {
    throw new WireError(LAYER, 'out-of-range', 0, `${token.length} bytes, more than ${AGENT_MESSAGE_LIMIT}`)
  }
  return token
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A message whose signature was checked, or why it was not one. */
export type Opened<T> =
  | {readonly ok: true; readonly kid: string; readonly message: T}
  /** Unauthenticated: say nothing. */
  | {readonly ok: false; readonly authenticated: false; readonly reason: SilentReason}
  /** Signed by `kid`, but no valid message. `echo` is there if it can be answered. */
  | {
      readonly ok: false
      readonly authenticated: true
      readonly kid: string
      readonly problem: string
      readonly echo: Echo | undefined
    }

/** What an answer must carry so that its receiver knows what it answers. */
export interface Echo {
  readonly op: AgentOp
  readonly run: string
  readonly seq: number
  readonly nonce: string
}

/** The public key of a kid; undefined for one that is not trusted. */
export type KeyLookup = (kid: string) => KeyObject | undefined

/** Reads and verifies a command, as the agent does. Never throws. Checks size, alg, kid, signature, typ, fields, in this order. */
export function openCommand(bytes: Uint8Array, keyOf: KeyLookup): Opened<AgentCommand> {
  return opened(bytes, COMMAND_TYP, keyOf, (value) => commandProblem(value as AgentCommand))
}

/** Reads and verifies an answer, as a controller does. The caller compares `vm`, `run`, `seq` and `nonce`. */
export function openAnswer(bytes: Uint8Array, keyOf: KeyLookup): Opened<AgentAnswer> {
  return opened(bytes, ANSWER_TYP, keyOf, (value) => answerProblem(value as AgentAnswer))
}

function opened<T>(
  bytes: Uint8Array,
  typ: string,
  keyOf: KeyLookup,
  problemOf: (value: object) => string | undefined,
): Opened<T> {
  const silent = (reason: SilentReason) => ({ok: false, authenticated: false, reason}) as const
  if (bytes.length > AGENT_MESSAGE_LIMIT) return silent('oversized')
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1').trimEnd()
  const parts = text.split('.')
  if (parts.length !== 3 || !parts.every((part) => BASE64URL.test(part))) return silent('malformed')
  const header = decode(parts[0]!)
  if (header === undefined || Object.keys(header).some((name) => !['alg', 'kid', 'typ'].includes(name)))
    return silent('malformed')
  const {alg, kid, typ: said} = header as {alg?: unknown; kid?: unknown; typ?: unknown}
  if (alg !== AGENT_ALG) return silent('wrong_alg')
  const key = typeof kid === 'string' && ID.test(kid) ? keyOf(kid) : undefined
  if (key === undefined) return silent('unknown_key')
  const signature = Buffer.from(parts[2]!, 'base64url')
  if (signature.length !== 64 || !verify(null, Buffer.from(`${parts[0]}.${parts[1]}`), key, signature))
    return silent('bad_signature')
  if (said !== typ) return silent('wrong_typ')
  const payload = decode(parts[1]!)
  if (payload === undefined) return silent('malformed')
  const problem = problemOf(payload)
  if (problem === undefined) return {ok: true, kid: kid as string, message: payload as T}
  return {ok: false, authenticated: true, kid: kid as string, problem, echo: echoOf(payload)}
}

function decode(part: string): object | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

function echoOf(payload: object): Echo | undefined {
  const {op, run, seq, nonce} = payload as Partial<Record<keyof Echo, unknown>>
  const fits = CHECKS.op!(op) && CHECKS.run!(run) && CHECKS.seq!(seq) && CHECKS.nonce!(nonce)
  return fits ? {op: op as AgentOp, run: run as string, seq: seq as number, nonce: nonce as string} : undefined
}

type Check = (value: unknown) => boolean

const oneOf =
  (words: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && words.includes(value)
const textLike =
  (fits: (text: string) => boolean): Check =>
  (value) =>
    typeof value === 'string' && fits(value)
const wholeTo =
  (max: number): Check =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max
const positive: Check = (value) => typeof value === 'number' && value >= 0 && Number.isFinite(value)

const isAddress = (text: string): boolean => isIpv4(text) || isIpv6(text)

/** What each field must be. What is not listed here is refused: a field that is not understood is not obeyed in part. */
const CHECKS: Readonly<Record<string, Check>> = {
  v: (value) => value === 1,
  op: oneOf(AGENT_OPS),
  vm: textLike(isAgentId),
  mac: textLike(isMac),
  run: textLike(isAgentId),
  seq: wholeTo(Number.MAX_SAFE_INTEGER),
  iat: wholeTo(1e11),
  exp: wholeTo(1e11),
  nonce: textLike((text) => NONCE.test(text)),
  site: textLike(isAgentId),
  gw4: textLike(isIpv4),
  gw6: textLike(isIpv6),
  from_gw4: textLike(isIpv4),
  from_gw6: textLike(isIpv6),
  mode: oneOf(SWITCH_MODES),
  probe: (value) => Array.isArray(value) && value.length <= PROBE_LIMIT && value.every(textLike(isAddress)),
  confirm_s: wholeTo(3600),
  drain_s: wholeTo(86_400),
  state: oneOf(AGENT_STATES),
  reason: oneOf(AGENT_REASONS),
  detail: textLike((text) => text.length <= 300),
  t_apply_ms: positive,
  t_confirm_ms: positive,
}
const COMMAND_NEEDS = ['v', 'op', 'vm', 'run', 'seq', 'iat', 'exp', 'nonce'] as const
const COMMAND_MAY = [
  'mac',
  'site',
  'gw4',
  'gw6',
  'from_gw4',
  'from_gw6',
  'mode',
  'probe',
  'confirm_s',
  'drain_s',
] as const
const ANSWER_NEEDS = ['v', 'op', 'vm', 'run', 'seq', 'nonce', 'state', 'iat'] as const
const ANSWER_MAY = ['reason', 'detail', 'gw4', 'gw6', 'mode', 't_apply_ms', 't_confirm_ms'] as const

function commandProblem(command: AgentCommand): string | undefined {
  const wrong = fieldProblem(command, COMMAND_NEEDS, COMMAND_MAY)
  if (wrong !== undefined || command.op !== 'switch') return wrong
  return command.gw4 === undefined && command.gw6 === undefined ? 'a switch names gw4 or gw6' : undefined
}

const answerProblem = (answer: AgentAnswer): string | undefined => fieldProblem(answer, ANSWER_NEEDS, ANSWER_MAY)

function fieldProblem(value: object, needs: readonly string[], may: readonly string[]): string | undefined {
  for (const name of needs) if (!(name in value)) return `${name} is missing`
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue
    if (!needs.includes(name) && !may.includes(name)) return `${name.slice(0, 40)} is not a field of it`
    if (!CHECKS[name]!(field)) return `${name} ${JSON.stringify(field)?.slice(0, 60)} is out of range`
  }
  return undefined
}

/** A new Ed25519 key. */
export const newPrivateKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey

/** PKCS #8 PEM (RFC 8410), the form of private key files. */
export const privateKeyText = (key: KeyObject): string => key.export({type: 'pkcs8', format: 'pem'}) as string

/** The 32 bytes of the public half in base64url, 43 characters: the `x` of its JWK (RFC 8037). */
export function publicKeyText(key: KeyObject): string {
  const half = key.type === 'private' ? createPublicKey(key) : key
  return (half.export({format: 'jwk'}) as {x: string}).x
}

/** A public key from its 43 characters, a JWK in JSON, or PEM; undefined if it is none of Ed25519. */
export function readPublicKey(text: string): KeyObject | undefined {
  const trimmed = text.trim()
  const x = /^[\w-]{43}$/.test(trimmed) ? trimmed : (decodedJwk(trimmed)?.x as string | undefined)
  return ed25519(() =>
    createPublicKey(x === undefined ? trimmed : {key: {kty: 'OKP', crv: 'Ed25519', x}, format: 'jwk'}),
  )
}

/** A private key from PEM or a JWK in JSON; undefined if it is none of Ed25519. */
export function readPrivateKey(text: string): KeyObject | undefined {
  const jwk = decodedJwk(text)
  return ed25519(() => createPrivateKey(jwk === undefined ? text : {key: jwk, format: 'jwk'}))
}

function decodedJwk(text: string): Record<string, string> | undefined {
  try {
    const value = JSON.parse(text) as Record<string, string> | null
    return value?.crv === 'Ed25519' ? value : undefined
  } catch {
    return undefined
  }
}

function ed25519(make: () => KeyObject): KeyObject | undefined {
  try {
    const key = make()
    return key.asymmetricKeyType === 'ed25519' ? key : undefined
  } catch {
    return undefined
  }
}
