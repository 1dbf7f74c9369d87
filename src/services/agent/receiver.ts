// Datagrams and lines in, signed answers out. What is said to whom is decided in domain/agent/reception.
import {createHash} from 'node:crypto'
import {admissions} from '../../domain/agent/admission.ts'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {type AgentMemory, answerTo, remembered, type SwitchRecord, used} from '../../domain/agent/memory.ts'
import {
  type Asker,
  NOBODY,
  type Outcome,
  type ReceptionAction,
  type ReceptionCounts,
  type ReceptionEvent,
  type Reply,
  step,
  withAnswer,
} from '../../domain/agent/reception.ts'
import {Failure} from '../../errors.ts'
import type {Audit} from '../../net/file/audit-log.ts'
import {
  type AgentAnswer,
  type AgentCommand,
  type Echo,
  type Opened,
  openCommand,
  type SigningKey,
  signAnswer,
  signedPart,
} from '../../wire/agent-message.ts'
import {answerEvent, switchEvent} from './audit.ts'
import type {AgentKernel} from './kernel.ts'
import type {AgentKeys} from './keys.ts'
import {gatewaysInUse, readFacts} from './routes.ts'
import type {AgentStore} from './store.ts'
import {makeSwitcher, type Switcher} from './switcher.ts'

export type {ReceptionCounts, Reply} from '../../domain/agent/reception.ts'

export interface Receiver {
  /**
   * Never throws. Resolves when the command is answered for good, or waits for another command. `from`: the address that
   * it came from, if it came by the network; `bytes` are not kept.
   */
  receive(bytes: Uint8Array, reply: Reply, from?: string): Promise<void>
  readonly switcher: Switcher
  readonly counts: ReceptionCounts
}

/** Of messages without a tag: more is a flood, and checking it would be its purpose. */
const UNTAGGED = {perSecond: 100, burst: 200}

export interface ReceiverParts {
  readonly config: AgentConfig
  readonly kernel: AgentKernel
  readonly store: AgentStore
  readonly key: SigningKey
  readonly keys: AgentKeys
  readonly audit: Audit
  /** A switch is obeyed: whoever asked for one has got an answer. */
  onSwitch?(): void
  /** A switch has ended otherwise than confirmed, or is undone after that. */
  onSwitchFailed?(): void
  /** What was confirmed is so no more. */
  onLost?(): void
}

export function makeReceiver({
  config,
  kernel,
  store,
  key,
  keys,
  audit,
  onSwitch,
  onSwitchFailed,
  onLost,
}: ReceiverParts): Receiver {
  const open = makeOpener(keys)
  const {stamp, here} = makeStamp(config, kernel, store)
  let state = NOBODY
  function onChange(record: SwitchRecord): void {
    audit(switchEvent(record))
    void take({kind: 'changed', record})
  }
  const switcher = makeSwitcher({config, kernel, store, noted, onChange, onLost: () => onLost?.()})

  const useUp = (memory: AgentMemory, kid: string, command: AgentCommand): AgentMemory =>
    used(memory, kid, command, Math.floor(kernel.now() / 1000))

  function noted(memory: AgentMemory, record: SwitchRecord, uses?: AgentCommand): AgentMemory {
    const known = uses === undefined ? memory : useUp(memory, record.kid, uses)
    return withAnswer(state, {...known, last: record}, record, (echo) => ({...stamp(echo), ...here()}))
  }

  /** Resolves when all that comes of it is done. @throws RouteError if the facts cannot be read */
  async function take(event: ReceptionEvent): Promise<void> {
    const {memory} = store
    const {state: next, actions} = step(state, event, {
      config: {...config, trusted: keys.trusted},
      memory,
      keyProblem: keys.problem,
      facts: () => readFacts(kernel, memory),
    })
    const [first] = actions
    if (first?.kind === 'use_up' && first.decisive) {
      const {asker} = first
      try {
        store.save(useUp(memory, asker.kid, asker.command))
      } catch (error) {
        return take({kind: 'not_saved', asker, detail: (error as Error).message})
      }
    }
    state = next
    await Promise.all(actions.map(act))
  }

  async function act(action: ReceptionAction): Promise<void> {
    switch (action.kind) {
      case 'use_up': {
        const {kid, command} = action.asker
        if (!action.decisive) store.keep(useUp(store.memory, kid, command))
        break
      }
      case 'switch':
      case 'confirm':
      case 'rollback':
        await take(await carryOut(action))
        break
      case 'keys':
        await take({kind: 'told', asker: action.asker, outcome: changeKeys(action.asker)})
        break
      case 'answer':
        answer(action.asker, action.outcome)
        break
      case 'tell':
        tell(action.asker)
        break
      case 'say':
        audit(answerEvent(action.kid, action.echo, action.outcome))
        send(action.reply, {...stamp(action.echo), ...action.outcome})
        break
      case 'switch_obeyed':
        onSwitch?.()
        break
      case 'switch_failed':
        onSwitchFailed?.()
        break
      case 'log':
        kernel.log(action.text)
    }
  }

  function changeKeys({kid, command}: Asker): Outcome {
    try {
      const detail = keys.change(command, kid)
      kernel.log(`${command.op} by ${kid}: ${detail}`)
      return {state: 'confirmed', detail: detail.slice(0, 300)}
    } catch (error) {
      const reason = error instanceof Failure && error.kind === 'refused' ? 'key' : 'persist_failed'
      return {state: 'refused', reason, detail: (error as Error).message.slice(0, 300)}
    }
  }

  async function carryOut(action: Order): Promise<ReceptionEvent> {
    const {asker} = action
    const {kid, command} = asker
    if (action.kind === 'switch') {
      const declined = await switcher.begin(command, kid, action.plan, action.atMs)
      if (declined !== undefined) return {kind: 'declined', asker, ...declined}
    } else if (action.kind === 'confirm') await switcher.confirm()
    else await switcher.rollBack('requested', `asked for by ${kid}`)
    return {kind: 'done', asker}
  }

  function answer({kid, command, digest, reply}: Asker, outcome: Outcome): void {
    const message: AgentAnswer = {...stamp(command), ...outcome, ...here()}
    audit(answerEvent(kid, command, outcome))
    const error = store.keep(remembered(store.memory, {kid, seq: command.seq, digest, answer: message}))
    if (error) kernel.log(`answer not stored: ${error.message}`)
    send(reply, message)
  }

  function tell({kid, command, digest, reply}: Asker): void {
    const entry = answerTo(store.memory, kid, command.seq, digest)
    if (entry) send(reply, entry.answer)
  }

  function send(reply: Reply, message: AgentAnswer): void {
    try {
      reply(signAnswer(message, key))
    } catch (error) {
      kernel.log(`answer not sent: ${(error as Error).message}`)
    }
  }

  return {
    async receive(bytes, reply, from) {
      const atMs = performance.now()
      const opened = open(bytes, from, atMs)
      try {
        await take({kind: 'message', opened, digest: opened.ok ? digestOf(bytes) : '', reply, atMs})
      } catch (error) {
        kernel.log(`${opened.ok ? `run ${opened.message.run}` : 'message'}: ${(error as Error).message}`)
      }
    },
    switcher,
    get counts() {
      return state.counts
    },
  }
}

type Order = Extract<ReceptionAction, {readonly kind: 'switch' | 'confirm' | 'rollback'}>

/** Opens messages, and no more of them than it can afford to verify. */
function makeOpener({keyOf}: AgentKeys) {
  const admits = admissions(UNTAGGED)
  return (bytes: Uint8Array, from: string | undefined, nowMs: number): Opened<AgentCommand> =>
    openCommand(bytes, keyOf, (claim) => admits(claim, from, nowMs))
}

/** What every answer has, and the gateways in use that most of them have. */
function makeStamp({vm}: AgentConfig, kernel: AgentKernel, store: AgentStore) {
  return {
    stamp: ({op, run, seq, nonce}: Echo) =>
      ({v: 1, op, vm, run, seq, nonce, iat: Math.floor(kernel.now() / 1000)}) as const,
    here(): Pick<AgentAnswer, 'gw4' | 'gw6'> {
      try {
        return gatewaysInUse(readFacts(kernel, store.memory))
      } catch (error) {
        // An answer says what it can; without one, a switch would not be written down.
        kernel.log(`gateways not known: ${(error as Error).message}`)
        return {}
      }
    },
  }
}

/** Of the signed part: the very same command, in whatever envelope. */
const digestOf = (bytes: Uint8Array): string =>
  createHash('sha256')
    .update(signedPart(bytes) ?? '')
    .digest('base64url')
