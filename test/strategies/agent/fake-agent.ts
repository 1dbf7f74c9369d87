// An agent at the other end of a peer in memory: real messages, real signatures, an agent's answers as a test wants them.
import {generateKeyPairSync, type KeyObject} from 'node:crypto'
import type {MessagePeer} from '../../../src/net/stream/message-peer.ts'
import type {AgentTarget, SwitchOrder} from '../../../src/strategies/agent/conversation.ts'
import {
  type AgentAnswer,
  type AgentCommand,
  openCommand,
  publicKeyText,
  type SigningKey,
  signAnswer,
} from '../../../src/wire/agent-message.ts'
import type {FakeWorld} from '../../support/world.ts'

const newKey = (kid: string): SigningKey => ({kid, privateKey: generateKeyPairSync('ed25519').privateKey})

export const SITE_KEY = newKey('site-y')
export const AGENT_KEY = newKey('web-07')
export const OTHER_KEY = newKey('web-07')

export const TARGET: AgentTarget = {
  name: 'web-07',
  id: 'web-07',
  ip: '10.0.0.10',
  mac: '02:00:00:00:00:10',
  transport: {kind: 'udp', address: '10.0.0.10', port: 6742},
  agentKey: publicKeyText(AGENT_KEY.privateKey),
  kid: null,
}

export const ORDER: SwitchOrder = {
  run: 'run-1',
  site: 'y',
  to: {v4: '10.0.0.2', v6: null},
  from: {v4: '10.0.0.1', v6: null},
  mode: null,
  probes: ['203.0.113.10'],
  confirmS: 10,
  timeoutMs: 5000,
}

export type Reply = Partial<AgentAnswer> & {readonly afterMs?: number; readonly signedBy?: SigningKey}

export interface FakeAgent {
  readonly peer: MessagePeer
  /** Commands that arrived, copies too. */
  readonly heard: AgentCommand[]
  readonly tokens: string[]
  /** As the system does when nobody listens. */
  refuse(why: string): void
  readonly closed: () => boolean
}

/** `answer` is asked for every message that arrives, with how many came before it; `lost` decides by the message's number. */
export function fakeAgent(
  world: FakeWorld,
  answer: (command: AgentCommand, count: number) => readonly Reply[],
  lost: (count: number) => boolean = () => false,
): FakeAgent {
  const heard: AgentCommand[] = []
  const tokens: string[] = []
  let listener: (bytes: Uint8Array) => void = () => {}
  let unreachable: (why: string) => void = () => {}
  let isClosed = false
  const publicKey: KeyObject = SITE_KEY.privateKey
  let count = 0
  const peer: MessagePeer = {
    send(token) {
      tokens.push(token)
      if (lost(count++)) return
      const opened = openCommand(Buffer.from(token), (kid) => (kid === SITE_KEY.kid ? publicKey : undefined))
      if (!opened.ok) return
      const {message: command} = opened
      const before = heard.length
      heard.push(command)
      for (const {afterMs = 1, signedBy = AGENT_KEY, ...said} of answer(command, before)) {
        const {op, vm, run, seq, nonce} = command
        const full = {v: 1, op, vm, run, seq, nonce, state: 'received', iat: command.iat, ...said} as AgentAnswer
        void world.sleep(afterMs).then(() => listener(Buffer.from(signAnswer(full, signedBy))))
      }
    },
    onMessage(given) {
      listener = given
    },
    onUnreachable(given) {
      unreachable = given
    },
    close() {
      isClosed = true
    },
  }
  return {peer, heard, tokens, refuse: (why) => unreachable(why), closed: () => isClosed}
}
