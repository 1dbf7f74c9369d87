// From a datagram to an answer: who signed it, was it answered before, does the policy allow it, and what came of it.
import {createHash, type KeyObject} from 'node:crypto'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {answerTo, outcomeOf, remembered, type SwitchRecord, used} from '../../domain/agent/memory.ts'
import {decide} from '../../domain/agent/policy.ts'
import {
  type AgentAnswer,
  type AgentCommand,
  openCommand,
  readPublicKey,
  type SigningKey,
  type SilentReason,
  signAnswer,
} from '../../wire/agent-message.ts'
import type {AgentKernel} from './kernel.ts'
import {gatewaysInUse, readFacts} from './routes.ts'
import type {AgentStore} from './store.ts'
import {makeSwitcher, type Switcher} from './switcher.ts'

/** Sends a signed answer to whoever asked; a way that is gone is no error. */
export type Reply = (token: string) => void

/** What reached the agent, for `agent status`. */
export interface ReceiverCounts {
  readonly obeyed: number
  readonly refused: number
  readonly repeated: number
  readonly silent: Readonly<Partial<Record<SilentReason, number>>>
}

export interface Receiver {
  /** Never throws. Resolves when the command is answered for good, or waits for another command. */
  receive(bytes: Uint8Array, reply: Reply): Promise<void>
  readonly switcher: Switcher
  readonly counts: ReceiverCounts
  /** A signed note that nobody asked for: the VM was moved. */
  notice(detail: string): string
}

/** Signatures checked per second, and at once: more is a flood, and checking it would be its purpose. */
const RATE = 500
const BURST = 1000

export interface ReceiverParts {
  readonly config: AgentConfig
  readonly kernel: AgentKernel
  readonly store: AgentStore
  readonly key: SigningKey
}

export function makeReceiver({config, kernel, store, key}: ReceiverParts): Receiver {
  const keys = new Map<string, KeyObject>(config.trusted.map(({kid, publicKey}) => [kid, readPublicKey(publicKey)!]))
  const counts = {obeyed: 0, refused: 0, repeated: 0, silent: {} as Partial<Record<SilentReason, number>>}
  const bucket = {tokens: BURST, at: performance.now()}
  /** Who began the switch in progress, by how to tell them. */
  let asker:
    | {readonly command: AgentCommand; readonly kid: string; readonly digest: string; readonly reply: Reply}
    | undefined

  const switcher = makeSwitcher({config, kernel, store, onChange: tellAsker})

  function tellAsker(record: SwitchRecord): void {
    if (record.phase === 'applying' || record.phase === 'rolling_back') return
    if (asker === undefined || asker.command.seq !== record.seq || asker.kid !== record.kid) return rewrite(record)
    answer(asker.command, asker.kid, asker.digest, outcomeOf(record), asker.reply)
  }

  /** After a restart nobody waits, but a repeated command must get the state as it is now. */
  function rewrite(record: SwitchRecord): void {
    const entry = store.memory.answered.find(({kid, seq}) => kid === record.kid && seq === record.seq)
    if (entry === undefined) return
    const {reason: _, detail: __, ...rest} = entry.answer
    store.keep(remembered(store.memory, {...entry, answer: {...rest, ...outcomeOf(record), ...here(), iat: nowS()}}))
  }

  const nowS = (): number => Math.floor(kernel.now() / 1000)
  const here = () => gatewaysInUse(readFacts(kernel, store.memory))

  function answer(command: AgentCommand, kid: string, digest: string, outcome: Outcome, reply: Reply): void {
    const {op, run, seq, nonce} = command
    const message: AgentAnswer = {v: 1, op, vm: config.vm, run, seq, nonce, ...outcome, ...here(), iat: nowS()}
    const error = store.keep(remembered(store.memory, {kid, seq, digest, answer: message}))
    if (error) kernel.log(`answer not stored: ${error.message}`)
    send(reply, message)
  }

  function send(reply: Reply, message: AgentAnswer): void {
    try {
      reply(signAnswer(message, key))
    } catch (error) {
      kernel.log(`answer not sent: ${(error as Error).message}`)
    }
  }

  /** True while there are signatures to spend. */
  function affordable(): boolean {
    const now = performance.now()
    bucket.tokens = Math.min(BURST, bucket.tokens + ((now - bucket.at) / 1000) * RATE)
    bucket.at = now
    if (bucket.tokens < 1) return false
    bucket.tokens--
    return true
  }

  const hush = (reason: SilentReason): void => {
    counts.silent[reason] = (counts.silent[reason] ?? 0) + 1
  }

  async function receive(bytes: Uint8Array, reply: Reply): Promise<void> {
    const receivedAt = performance.now()
    const opened = openCommand(bytes, (kid) => (keys.has(kid) && affordable() ? keys.get(kid) : undefined))
    if (!opened.ok && !opened.authenticated) return hush(bucket.tokens < 1 ? 'flooded' : opened.reason)
    if (!opened.ok) {
      counts.refused++
      if (opened.echo === undefined) return
      return send(reply, {
        v: 1,
        vm: config.vm,
        ...opened.echo,
        state: 'refused',
        reason: 'invalid',
        detail: opened.problem,
        iat: nowS(),
      })
    }
    const {kid, message: command} = opened
    const digest = digestOf(bytes)
    const before = command.vm === config.vm ? answerTo(store.memory, kid, command.seq, digest) : undefined
    if (before) {
      counts.repeated++
      return send(reply, before.answer)
    }
    await obey(command, kid, digest, receivedAt, reply)
  }

  async function obey(
    command: AgentCommand,
    kid: string,
    digest: string,
    receivedAt: number,
    reply: Reply,
  ): Promise<void> {
    const decision = decide(command, kid, config, readFacts(kernel, store.memory))
    if (!decision.accept) {
      counts.refused++
      const {reason, detail, consumes} = decision
      kernel.log(`refused run ${command.run} of ${kid}: ${reason}: ${detail}`)
      if (!consumes) {
        const {op, run, seq, nonce} = command
        return send(reply, {
          v: 1,
          op,
          vm: config.vm,
          run,
          seq,
          nonce,
          state: 'refused',
          reason,
          detail: detail.slice(0, 300),
          iat: nowS(),
        })
      }
      store.keep(used(store.memory, kid, command, nowS()))
      return answer(command, kid, digest, {state: 'refused', reason, detail: detail.slice(0, 300)}, reply)
    }
    try {
      // On disk before anything is done: a command is obeyed at most once, also across a crash.
      store.save(used(store.memory, kid, command, nowS()))
    } catch (error) {
      counts.refused++
      return answer(
        command,
        kid,
        digest,
        {state: 'refused', reason: 'persist_failed', detail: (error as Error).message.slice(0, 300)},
        reply,
      )
    }
    counts.obeyed++
    if (decision.op === 'switch') {
      asker = {command, kid, digest, reply}
      return switcher.begin(command, kid, decision.plan, receivedAt)
    }
    if (decision.op === 'confirm') await switcher.confirm()
    if (decision.op === 'rollback') await switcher.rollBack('requested', `asked for by ${kid}`)
    const {last} = store.memory
    const known = last !== undefined && (decision.op !== 'query' || last.run === command.run)
    answer(command, kid, digest, known ? outcomeOf(last) : {state: 'received'}, reply)
  }

  return {
    receive,
    switcher,
    counts,
    notice(detail) {
      const seq = kernel.now()
      const nonce = createHash('sha256').update(`${seq} ${detail}`).digest('base64url').slice(0, 16)
      return signAnswer(
        {v: 1, op: 'query', vm: config.vm, run: 'moved', seq, nonce, state: 'received', detail, ...here(), iat: nowS()},
        key,
      )
    },
  }
}

type Outcome = Pick<AgentAnswer, 'state' | 'reason' | 'detail' | 'mode' | 't_apply_ms' | 't_confirm_ms'>

/** Of the signed part: the signature's own encoding is no part of what was said. */
function digestOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('latin1').trimEnd()
  return createHash('sha256')
    .update(text.slice(0, text.lastIndexOf('.')))
    .digest('base64url')
}
