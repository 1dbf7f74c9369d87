// What a controller and the agent in a VM say to each other about a switch: commands and answers.
import type {Ipv4, Mac} from './address.ts'
import {
  type Admission,
  COMMON_FIELDS,
  type FieldCheck,
  isAddressText,
  isAgentId,
  type KeyLookup,
  listOf,
  type MessageKind,
  type Opened,
  oneOf,
  openMessage,
  type SigningKey,
  signMessage,
  textLike,
  wholeTo,
} from './agent-jws.ts'

export {
  AGENT_MESSAGE_LIMIT,
  AGENT_PORT,
  isAgentId,
  type KeyLookup,
  NOTE_PORT,
  type Opened,
  type SigningKey,
  type SilentReason,
  signedPart,
  withTag,
} from './agent-jws.ts'

import {readPublicKey} from './agent-keys.ts'

export {newPrivateKey, privateKeyText, publicKeyText, readPrivateKey, readPublicKey} from './agent-keys.ts'

/** `typ` of the protected header: an answer can never be taken for a command, nor the other way round. @internal */
export const COMMAND_TYP = 'gwsw-cmd+jws'
/** @internal */
export const ANSWER_TYP = 'gwsw-ans+jws'
/** Probes that one command may name. */
export const PROBE_LIMIT = 8

export const AGENT_OPS = ['switch', 'confirm', 'rollback', 'query', 'introduce', 'revoke'] as const
/**
 * `switch` changes the gateway; `confirm` and `rollback` end the switch of the same `run`; `query` asks how it stands.
 * `introduce` makes a new key as good as the one that signs, `revoke` takes one away.
 */
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
  /** Of an `introduce`: the name and the public half of the new key, and the seconds since 1970 between which it is valid. */
  readonly new_kid?: string
  readonly new_key?: string
  readonly not_before?: number
  readonly not_after?: number
  /** The key that a `revoke` takes away. */
  readonly old_kid?: string
}

export const AGENT_STATES = ['received', 'applied', 'confirmed', 'rolled_back', 'refused'] as const
/** `refused`: nothing was changed. `rolled_back`: it was, and is no more. `received`: not decided yet, or nothing to tell. */
export type AgentState = (typeof AGENT_STATES)[number]

/** Why a switch was refused or rolled back. */
export const AGENT_REASONS = [
  /** A signed command whose fields make no sense, or of another version. */
  'invalid',
  'wrong_vm',
  /** The key was revoked, or is not valid yet or no more; or it may not do that to another key. */
  'key',
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
  /** Confirmed: the gateway was in use already, and nothing was touched. */
  'already',
  /** Confirmed, but for what `detail` names: a route or a rule of the VM's own keeps it where it was. */
  'partial',
  /** Applied, and what could not be undone is not tried any more but when routes change: `detail` says what is left. */
  'given_up',
  /** Taken away on the VM itself (`agent reset`). */
  'reset',
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
  /** With `replayed`: the highest `seq` of this key, for a sender whose clock was ahead once. */
  readonly last_seq?: number
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

/** Compact JWS of a command. Throws {@link WireError}: `out-of-range` for a field that is none, or if it is too long. */
export const signCommand = (command: AgentCommand, key: SigningKey): string => signMessage(COMMAND, command, key)

/** Compact JWS of an answer. Throws {@link WireError} like {@link signCommand}. */
export const signAnswer = (answer: AgentAnswer, key: SigningKey): string => signMessage(ANSWER, answer, key)

/** What an answer must carry so that its receiver knows what it answers. */
export interface Echo {
  readonly op: AgentOp
  readonly run: string
  readonly seq: number
  readonly nonce: string
}

/** Reads and verifies a command, as the agent does; {@link echoOf} says what an answer to an invalid one needs. */
export const openCommand = (bytes: Uint8Array, keyOf: KeyLookup, admits?: Admission): Opened<AgentCommand> =>
  openMessage(COMMAND, bytes, keyOf, admits)

/** Reads and verifies an answer, as a controller does. The caller compares `vm`, `run`, `seq` and `nonce`. */
export const openAnswer = (bytes: Uint8Array, keyOf: KeyLookup): Opened<AgentAnswer> =>
  openMessage(ANSWER, bytes, keyOf)

/** Of an invalid command's payload; undefined if it cannot be answered. */
export function echoOf(payload: object): Echo | undefined {
  const {op, run, seq, nonce} = payload as Partial<Record<keyof Echo, unknown>>
  const fits = CHECKS.op!(op) && CHECKS.run!(run) && CHECKS.seq!(seq) && CHECKS.nonce!(nonce)
  return fits ? {op: op as AgentOp, run: run as string, seq: seq as number, nonce: nonce as string} : undefined
}

/** RFC 7515, 4.1.4: any string; together with all the rest it must fit a datagram. */
export const isKid = (text: string): boolean => text.length > 0 && text.length <= 256

const positive: FieldCheck = (value) => typeof value === 'number' && value >= 0 && Number.isFinite(value)

const CHECKS: Readonly<Record<string, FieldCheck>> = {
  ...COMMON_FIELDS,
  op: oneOf(AGENT_OPS),
  run: textLike(isAgentId),
  from_gw4: COMMON_FIELDS.gw4!,
  from_gw6: COMMON_FIELDS.gw6!,
  mode: oneOf(SWITCH_MODES),
  probe: listOf(PROBE_LIMIT, textLike(isAddressText)),
  confirm_s: wholeTo(3600),
  drain_s: wholeTo(86_400),
  new_kid: textLike(isKid),
  old_kid: textLike(isKid),
  new_key: textLike((text) => /^[\w-]{43}$/.test(text) && readPublicKey(text) !== undefined),
  not_before: COMMON_FIELDS.iat!,
  not_after: COMMON_FIELDS.exp!,
  state: oneOf(AGENT_STATES),
  reason: oneOf(AGENT_REASONS),
  detail: textLike((text) => text.length <= 300),
  last_seq: COMMON_FIELDS.seq!,
  t_apply_ms: positive,
  t_confirm_ms: positive,
}

const COMMAND: MessageKind = {
  typ: COMMAND_TYP,
  needs: ['v', 'op', 'vm', 'run', 'seq', 'iat', 'exp', 'nonce'],
  may: [
    ...['mac', 'site', 'gw4', 'gw6', 'from_gw4', 'from_gw6', 'mode', 'probe', 'confirm_s', 'drain_s'],
    ...['new_kid', 'new_key', 'not_before', 'not_after', 'old_kid'],
  ],
  checks: CHECKS,
  also(value) {
    const {op, gw4, gw6, new_kid, new_key, old_kid} = value as AgentCommand
    if (op === 'switch' && gw4 === undefined && gw6 === undefined) return 'a switch names gw4 or gw6'
    if (op === 'introduce' && (new_kid === undefined || new_key === undefined)) return 'it names new_kid and new_key'
    if (op === 'revoke' && old_kid === undefined) return 'it names old_kid'
    return undefined
  },
}
const ANSWER: MessageKind = {
  typ: ANSWER_TYP,
  needs: ['v', 'op', 'vm', 'run', 'seq', 'nonce', 'state', 'iat'],
  may: ['reason', 'detail', 'last_seq', 'gw4', 'gw6', 'mode', 't_apply_ms', 't_confirm_ms'],
  checks: CHECKS,
}
