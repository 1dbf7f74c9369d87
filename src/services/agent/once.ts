// `agent --once`: messages from standard input, their answers, and how it all ended. For the QEMU guest agent's guest-exec.
import type {KeyObject} from 'node:crypto'
import {createInterface} from 'node:readline'
import type {Readable} from 'node:stream'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {knownKeys} from '../../domain/agent/keyring.ts'
import {EXIT} from '../../errors.ts'
import {readText} from '../../net/file/text-file.ts'
import {isListening} from '../../net/stream/unix-socket.ts'
import {type AgentAnswer, type AgentCommand, openAnswer, openCommand, readPublicKey} from '../../wire/agent-message.ts'
import {startAgent} from './daemon.ts'
import {systemKernel} from './kernel.ts'
import {readKeyring} from './keys.ts'
import {agentAudit, type RunOptions, readAgentKey} from './run-agent.ts'
import {forward} from './running-agent.ts'

/** How the messages of `--once` ended: their answers, in the order in which they came. */
export interface OnceResult {
  readonly answers: readonly {readonly token: string; readonly answer: AgentAnswer}[]
}

/**
 * Acts on the messages that `input` brings, one a line, and ends when it has ended and every switch is decided. An agent
 * that runs already gets them, and its answers are passed on, for as long as the messages give it time.
 * @throws Failure as startAgent does.
 */
export async function runOnce(
  options: RunOptions,
  input: Readable,
  onToken: (token: string) => void,
): Promise<OnceResult> {
  const {config, signal} = options
  const key = readAgentKey(config)
  const answers: {token: string; answer: AgentAnswer}[] = []
  const take = (token: string): void => {
    const opened = openAnswer(Buffer.from(token), () => key.privateKey)
    if (!opened.ok) return
    onToken(token)
    answers.push({token, answer: opened.message})
  }
  if (config.socket !== undefined && (await isListening(config.socket))) {
    const tokens: string[] = []
    for await (const line of createInterface({input})) if (line !== '') tokens.push(line)
    const commands = commandsIn(tokens, config)
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(forwardMs(commands, config))])
    const onAnswer = (token: string): boolean => {
      take(token)
      // What is no message to us may be one to the agent that runs: its answer is waited for too.
      return commands.length === tokens.length && allDecided(commands, answers)
    }
    await forward(config.socket, tokens, onAnswer, inTime)
    return {answers}
  }
  const kernel = options.kernel ?? systemKernel(options.log)
  const agent = await startAgent({config, key, kernel, network: false, audit: agentAudit(config, options.log)})
  try {
    const under: Promise<void>[] = []
    for await (const line of createInterface({input, signal})) {
      if (line !== '') under.push(agent.receive(Buffer.from(line), take))
    }
    await Promise.all(under)
    while (!agent.idle && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 50))
  } finally {
    await agent.stop()
  }
  return {answers}
}

/** Those of the messages that are commands of a trusted key. */
function commandsIn(tokens: readonly string[], config: AgentConfig): AgentCommand[] {
  const known = knownKeys(config, readKeyring(config.state, {read: readText}))
  const keys = new Map<string, KeyObject>(known.map(({kid, publicKey}) => [kid, readPublicKey(publicKey)!]))
  return tokens.flatMap((token) => {
    const opened = openCommand(Buffer.from(token), (kid) => keys.get(kid))
    return opened.ok ? [opened.message] : []
  })
}

/** Putting the old route back may take this, and a busy VM needs some time for everything. */
const SLACK_MS = 10_000

/** A switch that nobody confirms is decided when its own time is over (`confirm_s`, at most an hour). @internal */
export function forwardMs(commands: readonly AgentCommand[], {windows}: AgentConfig): number {
  const switchMs = ({confirm_s: s}: {confirm_s?: number}): number =>
    // Two families, each tried before the change and after it.
    windows.probeMs * 4 + (s || windows.confirmS) * 1000
  const switches = commands.filter(({op}) => op === 'switch')
  return SLACK_MS + switches.reduce((ms, command) => ms + switchMs(command), 0)
}

/** A `query` is answered by any state; everything else wants an end of the switch that it speaks of. */
const isDecided = ({op, state}: AgentAnswer): boolean => op === 'query' || (state !== 'received' && state !== 'applied')

/** The last answer to each message. */
const latest = (answers: readonly AgentAnswer[]): Map<string, AgentAnswer> =>
  new Map(answers.map((answer) => [answer.nonce, answer]))

function allDecided(commands: readonly AgentCommand[], answers: readonly {readonly answer: AgentAnswer}[]): boolean {
  const last = latest(answers.map(({answer}) => answer))
  return commands.every(({nonce}) => last.has(nonce) && isDecided(last.get(nonce)!))
}

/** Exit code of `agent --once`: of the last answer, unless something is not decided. */
export function onceExit(answers: readonly AgentAnswer[]): number {
  const last = answers.at(-1)
  if (last === undefined || ![...latest(answers).values()].every(isDecided)) return EXIT.silent
  if (last.state === 'refused') return EXIT.refused
  return last.state === 'rolled_back' && last.op !== 'rollback' ? EXIT['rolled-back'] : 0
}
