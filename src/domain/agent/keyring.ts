// Which keys may give orders now: those of the configuration, those that one of them has introduced, without those that were
// revoked. Pure. What was introduced and revoked outlives the agent; the configuration alone makes a key the first of its kind.
import type {AgentCommand} from '../../wire/agent-message.ts'
import type {AgentConfig, TrustedKey} from './config.ts'

/** A key that another one has introduced. It may do what that one may, for as long as the first of the chain is configured. */
export interface IntroducedKey {
  readonly kid: string
  readonly publicKey: string
  /** Public key of the one that introduced it. */
  readonly byKey: string
  /** ms since 1970. */
  readonly notBefore?: number
  readonly notAfter?: number
  readonly atMs: number
}

/** It sticks to the key, whatever it is called later. */
export interface RevokedKey {
  readonly kid: string
  readonly publicKey: string
  readonly by: string
  readonly atMs: number
}

export interface Keyring {
  readonly version: 1
  readonly introduced: readonly IntroducedKey[]
  readonly revoked: readonly RevokedKey[]
}

export const EMPTY_KEYRING: Keyring = {version: 1, introduced: [], revoked: []}

/** More than a site needs in years. */
const KEPT = 64

/** Every key whose signature is worth checking, the configuration's first. Whether it is valid now is for {@link keyProblem}. */
export function knownKeys({trusted}: Pick<AgentConfig, 'trusted'>, {introduced}: Keyring): readonly TrustedKey[] {
  const known: TrustedKey[] = [...trusted]
  // In the order in which they came: whoever introduced one is there already.
  for (const {kid, publicKey, byKey, notBefore, notAfter} of introduced) {
    const by = known.find((key) => key.publicKey === byKey)
    if (by === undefined || known.some((key) => key.kid === kid)) continue
    known.push({
      ...{kid, publicKey, gateways: by.gateways},
      ...(notBefore === undefined ? {} : {notBefore}),
      ...(notAfter === undefined ? {} : {notAfter}),
    })
  }
  return known
}

/** Why a key may give no orders at `nowMs` (ms since 1970); undefined if it may. */
export function keyProblem(key: TrustedKey, {revoked}: Keyring, nowMs: number): string | undefined {
  const {kid, publicKey, notBefore, notAfter} = key
  const when = (ms: number): string => new Date(ms).toISOString()
  const end = revoked.find((each) => each.publicKey === publicKey)
  if (end !== undefined) return `key ${kid} was revoked by ${end.by} at ${when(end.atMs)}`
  if (notBefore !== undefined && nowMs < notBefore) return `key ${kid} is valid from ${when(notBefore)} on`
  if (notAfter !== undefined && nowMs > notAfter) return `key ${kid} was valid until ${when(notAfter)}`
  return undefined
}

export type KeyChange = {readonly ring: Keyring; readonly detail: string} | {readonly refused: string}

/** What a valid command of the key `by` makes of the ring. */
export function changedRing(
  ring: Keyring,
  config: Pick<AgentConfig, 'trusted'>,
  command: AgentCommand,
  by: TrustedKey,
  nowMs: number,
): KeyChange {
  const known = knownKeys(config, ring)
  return command.op === 'introduce'
    ? introduced(ring, known, command, by, nowMs)
    : revoked(ring, known, command.old_kid!, by, nowMs)
}

function introduced(
  ring: Keyring,
  known: readonly TrustedKey[],
  {new_kid: kid, new_key: publicKey, not_before: from, not_after: until}: AgentCommand,
  by: TrustedKey,
  nowMs: number,
): KeyChange {
  const same = known.find((key) => key.kid === kid)
  if (same?.publicKey === publicKey) return {ring, detail: `key ${kid} is trusted already`}
  if (same !== undefined) return {refused: `${kid} is the name of another key: give it a new one`}
  if (known.some((key) => key.publicKey === publicKey) || ring.revoked.some((key) => key.publicKey === publicKey))
    return {refused: 'this key was there before, under another name or until it was revoked: make a new one'}
  if (ring.introduced.length >= KEPT) return {refused: `${KEPT} keys were introduced: enroll by agent.yaml`}
  const key: IntroducedKey = {
    ...{kid: kid!, publicKey: publicKey!, byKey: by.publicKey, atMs: nowMs},
    ...(from === undefined ? {} : {notBefore: from * 1000}),
    ...(until === undefined ? {} : {notAfter: until * 1000}),
  }
  return {ring: {...ring, introduced: [...ring.introduced, key]}, detail: `key ${kid} is trusted for what ${by.kid} is`}
}

/** With all that it has introduced, but for the revoking key and what led to that: a thief's own keys go with the stolen one. */
function revoked(ring: Keyring, known: readonly TrustedKey[], kid: string, by: TrustedKey, nowMs: number): KeyChange {
  const target = known.find((key) => key.kid === kid)
  if (target === undefined) return {refused: `there is no key ${kid}`}
  if (!sameAuthority(target, by)) return {refused: `key ${by.kid} has no say in ${kid}, which chooses other gateways`}
  const line = new Set(ancestry(ring, by.publicKey))
  const gone =
    target.publicKey === by.publicKey ? [] : descendants(ring, target.publicKey).filter((key) => !line.has(key))
  const all = [target.publicKey, ...gone]
  const fresh = all.filter((publicKey) => !ring.revoked.some((each) => each.publicKey === publicKey))
  const names = fresh.map((publicKey) => known.find((key) => key.publicKey === publicKey)?.kid ?? publicKey)
  const entries = fresh.map((publicKey, i) => ({kid: names[i]!, publicKey, by: by.kid, atMs: nowMs}))
  const detail = fresh.length === 0 ? `key ${kid} is revoked already` : `revoked: ${names.join(', ')}`
  return {ring: {...ring, revoked: [...ring.revoked, ...entries]}, detail}
}

const sameAuthority = (a: TrustedKey, b: TrustedKey): boolean =>
  a.gateways.length === b.gateways.length && a.gateways.every((gateway) => b.gateways.includes(gateway))

/** The key itself, and those by which it came to be trusted. */
function ancestry({introduced: keys}: Keyring, publicKey: string): string[] {
  const by = keys.find((key) => key.publicKey === publicKey)?.byKey
  return by === undefined ? [publicKey] : [publicKey, ...ancestry({...EMPTY_KEYRING, introduced: keys}, by)]
}

const descendants = (ring: Keyring, publicKey: string): string[] =>
  ring.introduced
    .filter(({byKey}) => byKey === publicKey)
    .flatMap((key) => [key.publicKey, ...descendants(ring, key.publicKey)])
