// The agent as a process: its files, its start, its end.
import {join} from 'node:path'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {Failure} from '../../errors.ts'
import {type Audit, auditLog} from '../../net/file/audit-log.ts'
import {readNamed, readText} from '../../net/file/text-file.ts'
import {readPrivateKey, type SigningKey} from '../../wire/agent-message.ts'
import {type Agent, startAgent} from './daemon.ts'
import {startDeadlineKeeper} from './deadline.ts'
import {type AgentKernel, systemKernel} from './kernel.ts'
import type {AgentEnd} from './switcher.ts'

/**
 * The agent's own key; where systemd hands it over (LoadCredential=agent.key, systemd.exec(5)), that copy.
 * @throws Failure `usage` for a file that cannot be read, that others can read too, or that holds no Ed25519 private key.
 */
export function readAgentKey({key, vm}: AgentConfig, credentials = process.env.CREDENTIALS_DIRECTORY): SigningKey {
  const handed = credentials === undefined ? undefined : join(credentials, 'agent.key')
  const copy = handed === undefined ? undefined : readText(handed)
  const file = handed !== undefined && copy !== undefined ? handed : key
  const privateKey = readPrivateKey(copy ?? readNamed(file, '"gwswitch agent keygen" makes one', 'private'))
  if (privateKey === undefined)
    throw new Failure('usage', `${file}: holds no Ed25519 private key (want PKCS #8 PEM, or a JWK)`)
  return {kid: vm, privateKey}
}

export interface RunOptions {
  readonly config: AgentConfig
  readonly signal: AbortSignal
  /** Asked at the end: `leave` where another agent is to come, as when a service is stopped, perhaps to be started again. */
  end?(): AgentEnd
  log(line: string): void
  /** Tests put traps between the steps. */
  readonly kernel?: AgentKernel
}

/** Runs until `signal`; `onStarted` gets the agent once it listens. @throws Failure if it cannot start. */
export async function runAgent(
  {config, signal, end, log, kernel = systemKernel(log)}: RunOptions,
  onStarted: (agent: Agent) => void = () => {},
): Promise<void> {
  const audit = agentAudit(config, log)
  const agent = await startAgent({config, key: readAgentKey(config), kernel, network: true, audit})
  audit({event: 'start', message: `agent of ${config.vm} started`, fields: {vm: config.vm}})
  log(`${config.vm} listens on ${agent.listening.join(', ')}`)
  onStarted(agent)
  await aborted(signal)
  const pending = await agent.stop(end?.())
  if (pending && !(await startDeadlineKeeper(config)))
    log('a switch is left pending, and what would take it back at its deadline did not start: start the agent again')
  audit({event: 'stop', message: `agent of ${config.vm} stopped`, fields: {vm: config.vm}})
}

/** Beside its state: who wanted what, and what came of it. */
export const agentAudit = ({state}: AgentConfig, log: (line: string) => void): Audit =>
  auditLog(join(state, 'audit.jsonl'), 'gwswitch-agent', (error) => log(`audit log not written: ${error.message}`))

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), {once: true})
  })
