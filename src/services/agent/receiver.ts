// From a datagram to an answer: who signed it, was it answered before, does the policy allow it, and what came of it.
import {createHash, type KeyObject} from 'node:crypto'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {
  type AgentMemory,
  answerTo,
  outcomeOf,
  remembered,
  type SwitchRecord,
  toldAgain,
  used,
} from '../../domain/agent/memory.ts'
import {decide} from '../../domain/agent/policy.ts'
import {tokenBucket} from '../../domain/agent/token-bucket.ts'
import {
  type AgentAnswer,
  type AgentCommand,
  type AgentReason,
  type Echo,
  echoOf,
  openCommand,
  readPublicKey,
  type SigningKey,
  type SilentReason,
  signAnswer,
} from '../../wire/agent-message.ts'
import type {AgentKernel} from './kernel.ts'
import {gatewaysInUse, readFacts} from './routes.ts'
import type {AgentStore} from './store.ts'
import {makeSwitcher, type Switcher, SwitchRefused} from './switcher.ts'

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
}

/** Signatures checked per second, and at once: more is a flood, and checking it would be its purpose. */
const RATE = 100
const BURST = 200

/** Who is told without asking again. */
const WAITING = 16

export interface ReceiverParts {
  readonly config: AgentConfig
  readonly kernel: AgentKernel
  readonly store: AgentStore
  readonly key: SigningKey
  /** A switch is obeyed: whoever asked for one has got an answer. */
  onSwitch?(): void
  /** A switch has ended otherwise than confirmed, or is undone after that. */
  onSwitchFailed?(): void
}

export function makeReceiver({config, kernel, store, key, onSwitch, onSwitchFailed}: ReceiverParts): Receiver {
  const keys = new Map<string, KeyObject>(config.trusted.map(({kid, publicKey}) => [kid, readPublicKey(publicKey)!]))
  const counts = {obeyed: 0, refused: 0, repeated: 0, silent: {} as Partial<Record<SilentReason, number>>}
  const bucket = tokenBucket(RATE, BURST)
  /** Who began the switch in progress, by how to tell them. */
  let asker: Asker | undefined
  /** Who asked for a rollback that could not be done at once. */
  const waiting: Asker[] = []
  /** Digests of the commands that are being carried out now. */
  const underway = new Set<string>()
  let beginning = false

  const switcher = makeSwitcher({config, kernel, store, withAnswer, onChange: tellAsker})

  /** The answer to the command that began the switch, as it is now: also after a restart, when nobody waits for it. */
  function withAnswer(memory: AgentMemory, record: SwitchRecord): AgentMemory {
    const begun = asker?.command.seq === record.seq && asker.kid === record.kid ? asker : undefined
    const before = memory.answered.find(({kid, seq}) => kid === record.kid && seq === record.seq)
    const digest = begun?.digest ?? before?.digest
    const told = toldAgain(memory, record)
    if (digest === undefined) return told
    const {kid, run, seq, nonce} = record
    const answer: AgentAnswer = {...echoed({op: 'switch', run, seq, nonce}), ...outcomeOf(record), ...here()}
    return remembered(told, {kid, seq, digest, answer})
  }

  function tellAsker(record: SwitchRecord): void {
    if (record.phase === 'done' && record.state !== 'confirmed') onSwitchFailed?.()
    if (record.phase === 'done') for (const each of waiting.splice(0)) tell(each)
    if (asker === undefined || asker.command.seq !== record.seq || asker.kid !== record.kid) return
    // What is under way is told when it is decided, or when it turns out that this may take long.
    if (record.phase === 'applying' || (record.phase === 'rolling_back' && record.trouble === undefined)) return
    tell(asker)
  }

  /** What is stored for it by now. */
  function tell({kid, command, digest, reply}: Asker): void {
    const entry = answerTo(store.memory, kid, command.seq, digest)
    if (entry) send(reply, entry.answer)
  }

  const nowS = (): number => Math.floor(kernel.now() / 1000)
  const here = (): Partial<AgentAnswer> => {
    try {
      return gatewaysInUse(readFacts(kernel, store.memory))
    } catch (error) {
      // An answer says what it can; without one, a switch would not be written down.
      kernel.log(`gateways not known: ${(error as Error).message}`)
      return {}
    }
  }

  const echoed = ({op, run, seq, nonce}: Echo) => ({v: 1, op, vm: config.vm, run, seq, nonce, iat: nowS()}) as const

  function answer(command: AgentCommand, kid: string, digest: string, outcome: Outcome, reply: Reply): void {
    const message: AgentAnswer = {...echoed(command), ...outcome, ...here()}
    const error = store.keep(remembered(store.memory, {kid, seq: command.seq, digest, answer: message}))
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

  const hush = (reason: SilentReason): void => {
    counts.silent[reason] = (counts.silent[reason] ?? 0) + 1
  }

  async function receive(bytes: Uint8Array, reply: Reply): Promise<void> {
    const receivedAt = performance.now()
    let flooded = false
    const opened = openCommand(bytes, (kid) => {
      const known = keys.get(kid)
      flooded = known !== undefined && !bucket.take(receivedAt)
      return flooded ? undefined : known
    })
    if (!opened.ok && !opened.authenticated) return hush(flooded ? 'flooded' : opened.reason)
    if (!opened.ok) {
      counts.refused++
      const {problem: detail} = opened
      const echo = echoOf(opened.payload)
      if (echo) send(reply, {...echoed(echo), state: 'refused', reason: 'invalid', detail})
      return
    }
    const {kid, message: command} = opened
    const digest = digestOf(bytes)
    const before = command.vm === config.vm ? answerTo(store.memory, kid, command.seq, digest) : undefined
    if (before) {
      counts.repeated++
      if (asker?.kid === kid && asker.digest === digest) asker = {...asker, reply}
      return send(reply, before.answer)
    }
    // Its first copy is being carried out, and will be answered.
    if (underway.has(digest)) return
    underway.add(digest)
    try {
      await obey(command, kid, digest, receivedAt, reply)
    } catch (error) {
      kernel.log(`run ${command.run}: ${(error as Error).message}`)
    } finally {
      underway.delete(digest)
    }
  }

  async function obey(
    command: AgentCommand,
    kid: string,
    digest: string,
    receivedAt: number,
    reply: Reply,
  ): Promise<void> {
    const decision = decide(command, kid, config, readFacts(kernel, store.memory))
    // On disk before anything is done, trying the gateway included: a command is obeyed at most once, also across a crash.
    const note = (memory: AgentMemory): AgentMemory => used(memory, kid, command, nowS())
    const refuse = (reason: AgentReason, detail: string, consumes: boolean): void => {
      counts.refused++
      kernel.log(`refused run ${command.run} of ${kid}: ${reason}: ${detail}`)
      const outcome = {state: 'refused', reason, detail: detail.slice(0, 300)} as const
      if (consumes) {
        store.keep(note(store.memory))
        answer(command, kid, digest, outcome, reply)
      } else send(reply, {...echoed(command), ...outcome})
    }
    if (!decision.accept) return refuse(decision.reason, decision.detail, decision.consumes)
    if (decision.op === 'switch') {
      if (beginning) return refuse('busy', 'another switch is just beginning', true)
      beginning = true
      asker = {command, kid, digest, reply}
      onSwitch?.()
    }
    try {
      if (decision.op !== 'switch') store.save(note(store.memory))
      else await switcher.begin(command, kid, decision.plan, {receivedAt, note})
    } catch (error) {
      if (decision.op === 'switch') onSwitchFailed?.()
      const reason = error instanceof SwitchRefused ? error.reason : 'persist_failed'
      return refuse(reason, (error as Error).message, true)
    } finally {
      if (decision.op === 'switch') beginning = false
    }
    counts.obeyed++
    if (decision.op === 'switch') return
    if (decision.op === 'confirm') await switcher.confirm()
    if (decision.op === 'rollback') await switcher.rollBack('requested', `asked for by ${kid}`)
    const {last} = store.memory
    const known = last !== undefined && (decision.op !== 'query' || last.run === command.run)
    answer(command, kid, digest, known ? outcomeOf(last) : {state: 'received'}, reply)
    if (decision.op === 'rollback' && last?.phase === 'rolling_back') {
      waiting.push({command, kid, digest, reply})
      if (waiting.length > WAITING) waiting.shift()
    }
  }

  return {receive, switcher, counts}
}

interface Asker {
  readonly command: AgentCommand
  readonly kid: string
  readonly digest: string
  readonly reply: Reply
}

type Outcome = Pick<AgentAnswer, 'state' | 'reason' | 'detail' | 'mode' | 't_apply_ms' | 't_confirm_ms'>

/** Of the signed part: the signature's own encoding is no part of what was said. */
function digestOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('latin1').trimEnd()
  return createHash('sha256')
    .update(text.slice(0, text.lastIndexOf('.')))
    .digest('base64url')
}
