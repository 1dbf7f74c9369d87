// What `agent keys` shows: whom this VM obeys.
import type {AgentConfig} from '../../domain/agent/config.ts'
import {keyProblem, knownKeys} from '../../domain/agent/keyring.ts'
import {readText} from '../../net/file/text-file.ts'
import {fingerprint} from './enroll.ts'
import {readKeyring} from './keys.ts'

export interface KeyReport {
  readonly kid: string
  readonly publicKey: string
  readonly fingerprint: string
  readonly gateways: readonly string[]
  /** The key that introduced it; null for one of agent.yaml. */
  readonly introducedBy: string | null
  /** ISO 8601. */
  readonly notBefore: string | null
  readonly notAfter: string | null
  /** Why it may give no orders now; null if it may. */
  readonly problem: string | null
}

export interface KeysDocument {
  readonly schema: 'gwswitch.agent-keys/1'
  readonly vm: string
  readonly keys: readonly KeyReport[]
}

/** @throws Failure as {@link readKeyring} does. */
export function keysDocument(config: AgentConfig, nowMs = Date.now()): KeysDocument {
  const ring = readKeyring(config.state, {read: readText})
  const known = knownKeys(config, ring)
  const iso = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString())
  const keys = known.map((key): KeyReport => {
    const byKey = ring.introduced.find(({publicKey}) => publicKey === key.publicKey)?.byKey
    return {
      ...{kid: key.kid, publicKey: key.publicKey, fingerprint: fingerprint(key.publicKey), gateways: key.gateways},
      introducedBy: known.find(({publicKey}) => publicKey === byKey)?.kid ?? null,
      ...{notBefore: iso(key.notBefore), notAfter: iso(key.notAfter)},
      problem: keyProblem(key, ring, nowMs) ?? null,
    }
  })
  return {schema: 'gwswitch.agent-keys/1', vm: config.vm, keys}
}

/** Lines for people. */
export function keysText({vm, keys}: KeysDocument): string[] {
  const span = ({notBefore, notAfter}: KeyReport): string =>
    `${notBefore === null ? '' : `, from ${notBefore}`}${notAfter === null ? '' : `, until ${notAfter}`}`
  return [
    keys.length === 0 ? `${vm} obeys no key` : `${vm} obeys`,
    ...keys.map(
      (key) =>
        `  ${key.problem === null ? 'valid  ' : 'INVALID'} ${key.kid} (${key.fingerprint}): ${key.gateways.join(', ')}` +
        `${span(key)}; ${key.introducedBy === null ? 'of agent.yaml' : `introduced by ${key.introducedBy}`}` +
        `${key.problem === null ? '' : `; ${key.problem}`}`,
    ),
  ]
}
