// The keys that an agent obeys, with what was introduced and revoked on disk.
import type {KeyObject} from 'node:crypto'
import {join} from 'node:path'
import type {AgentConfig, TrustedKey} from '../../domain/agent/config.ts'
import {changedRing, EMPTY_KEYRING, type Keyring, keyProblem, knownKeys} from '../../domain/agent/keyring.ts'
import {Failure} from '../../errors.ts'
import {type AgentCommand, readPublicKey} from '../../wire/agent-message.ts'
import {hintOf} from '../../wire/agent-tag.ts'
import type {AgentKernel} from './kernel.ts'

export interface AgentKeys {
  /** All that are known, valid now or not. */
  readonly trusted: readonly TrustedKey[]
  keyOf(kid: string): KeyObject | undefined
  /** Why this key may give no orders now; undefined if it may. */
  problem(kid: string): string | undefined
  /** Does what a command says of keys, on disk when it returns. @throws Failure `refused` with why not, or as the disk. */
  change(command: AgentCommand, kid: string): string
  /** With which the tags of their messages begin. */
  readonly hints: readonly string[]
  /** Called after every change. */
  onChange(listener: () => void): void
}

const ringFile = (state: string): string => join(state, 'agent-keys.json')

/** @throws Failure `runtime` for a file that cannot be understood: without it, revoked keys would be obeyed again. */
export function readKeyring(state: string, kernel: Pick<AgentKernel, 'read'>): Keyring {
  const text = kernel.read(ringFile(state))
  if (text === undefined) return EMPTY_KEYRING
  try {
    const ring = JSON.parse(text) as Partial<Keyring> | null
    if (ring?.version === 1 && Array.isArray(ring.introduced) && Array.isArray(ring.revoked)) return ring as Keyring
  } catch {
    // Said below.
  }
  throw new Failure('runtime', `${ringFile(state)}: are no keys of this agent; move it away to trust agent.yaml alone`)
}

/** @throws as {@link readKeyring}. */
export function openKeys(config: AgentConfig, kernel: Pick<AgentKernel, 'read' | 'writeDurably' | 'now'>): AgentKeys {
  let ring = readKeyring(config.state, kernel)
  let listener: () => void = () => {}
  let trusted: readonly TrustedKey[] = []
  let objects = new Map<string, KeyObject>()
  const look = (): void => {
    trusted = knownKeys(config, ring)
    objects = new Map(trusted.map(({kid, publicKey}) => [kid, readPublicKey(publicKey)!]))
  }
  look()
  const named = (kid: string): TrustedKey | undefined => trusted.find((key) => key.kid === kid)
  return {
    get trusted() {
      return trusted
    },
    keyOf: (kid) => objects.get(kid),
    problem(kid) {
      const key = named(kid)
      return key && keyProblem(key, ring, kernel.now())
    },
    change(command, kid) {
      const changed = changedRing(ring, config, command, named(kid)!, kernel.now())
      if ('refused' in changed) throw new Failure('refused', changed.refused)
      if (changed.ring !== ring) kernel.writeDurably(ringFile(config.state), `${JSON.stringify(changed.ring)}\n`)
      ring = changed.ring
      look()
      listener()
      return changed.detail
    },
    get hints() {
      return [...objects.values()].map(hintOf)
    },
    onChange(given) {
      listener = given
    },
  }
}
