// The agent as a process: its files, its messages from standard input, its end.
import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import type {Readable} from 'node:stream'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {Failure} from '../../errors.ts'
import {type AgentAnswer, openAnswer, readPrivateKey, type SigningKey} from '../../wire/agent-message.ts'
import {type Agent, forward, reachable, startAgent} from './daemon.ts'
import {type AgentKernel, systemKernel} from './kernel.ts'

/**
 * The agent's own key; where systemd hands it over (LoadCredential=agent.key, systemd.exec(5)), that copy.
 * @throws Failure `usage` for a file that cannot be read or holds no Ed25519 private key.
 */
export function readAgentKey({key, vm}: AgentConfig, credentials = process.env.CREDENTIALS_DIRECTORY): SigningKey {
  const handed = credentials === undefined ? undefined : join(credentials, 'agent.key')
  const file = handed !== undefined && existsSync(handed) ? handed : key
  const privateKey = readPrivateKey(readNamed(file, '"gwswitch agent keygen" makes one'))
  if (privateKey === undefined)
    throw new Failure('usage', `${file}: holds no Ed25519 private key (want PKCS #8 PEM, or a JWK)`)
  return {kid: vm, privateKey}
}

/** The text of a file that somebody named. @throws Failure `usage`; `want` says what it should have been. */
export function readNamed(path: string, want: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    const why = {ENOENT: 'no such file', EACCES: 'permission denied', EISDIR: 'is a directory'}[code] ?? code
    throw new Failure('usage', `${path}: ${why} (${want})`)
  }
}

export interface RunOptions {
  readonly config: AgentConfig
  readonly signal: AbortSignal
  log(line: string): void
  /** Tests put traps between the steps. */
  readonly kernel?: AgentKernel
}

/** Runs until `signal`. @throws Failure if it cannot start. */
export async function runAgent({config, signal, log, kernel = systemKernel(log)}: RunOptions): Promise<void> {
  const agent = await startAgent({config, key: readAgentKey(config), kernel, network: true})
  log(`${config.vm} listens on ${agent.listening.join(', ')}`)
  await aborted(signal)
  await agent.stop()
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), {once: true})
  })

/** How the messages of `--once` ended: the last answer, if there was one. */
export interface OnceResult {
  readonly answers: readonly {readonly token: string; readonly answer: AgentAnswer}[]
}

/**
 * Acts on the messages that `input` brings, one a line, and ends when it has ended and every switch is decided: for the
 * QEMU guest agent's guest-exec. An agent that runs already gets them, and its answers are passed on.
 */
export async function runOnce(
  options: RunOptions,
  input: Readable,
  onToken: (token: string) => void,
): Promise<OnceResult> {
  const {config} = options
  const key = readAgentKey(config)
  const answers: {token: string; answer: AgentAnswer}[] = []
  const take = (token: string): AgentAnswer | undefined => {
    const opened = openAnswer(Buffer.from(token), () => key.privateKey)
    if (!opened.ok) return undefined
    onToken(token)
    answers.push({token, answer: opened.message})
    return opened.message
  }
  const tokens: string[] = []
  if (config.socket !== undefined && (await reachable(config.socket))) {
    for await (const line of createInterface({input})) if (line !== '') tokens.push(line)
    const deadline = AbortSignal.any([options.signal, AbortSignal.timeout(forwardWait(config))])
    await forward(config.socket, tokens, (token) => isFinal(take(token), tokens.length === 1), deadline)
    return {answers}
  }
  const agent: Agent = await startAgent({
    config,
    key,
    kernel: options.kernel ?? systemKernel(options.log),
    network: false,
  })
  try {
    const under: Promise<void>[] = []
    for await (const line of createInterface({input, signal: options.signal})) {
      if (line !== '') under.push(agent.receive(Buffer.from(line), take))
    }
    await Promise.all(under)
    while (!agent.idle && !options.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 50))
  } finally {
    await agent.stop()
  }
  return {answers}
}

/** With one message, a decided answer is the last; with several, the agent's silence is. */
const isFinal = (answer: AgentAnswer | undefined, alone: boolean): boolean =>
  alone &&
  answer !== undefined &&
  (answer.op !== 'switch' || ['confirmed', 'rolled_back', 'refused'].includes(answer.state))

const forwardWait = ({windows}: AgentConfig): number => windows.probeMs * 4 + windows.confirmS * 1000 + 1000
