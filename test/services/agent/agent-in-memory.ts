// An agent without sockets on a kernel in memory, and a key to give it orders.
import {type AgentConfig, parseAgentConfig} from '../../../src/domain/agent/config.ts'
import type {AgentMemory} from '../../../src/domain/agent/memory.ts'
import {type Agent, startAgent} from '../../../src/services/agent/daemon.ts'
import {
  type AgentAnswer,
  type AgentCommand,
  newPrivateKey,
  openAnswer,
  publicKeyText,
  signCommand,
} from '../../../src/wire/agent-message.ts'
import type {FakeKernel} from './fake-kernel.ts'

export const STATE = '/state/agent-state.json'

export interface Orders {
  readonly key: {readonly kid: string; readonly privateKey: ReturnType<typeof newPrivateKey>}
  readonly site: ReturnType<typeof newPrivateKey>
  config(over?: object): AgentConfig
  command(over?: Partial<AgentCommand>): AgentCommand
  signed(order: AgentCommand): Buffer
  on(
    kernel: FakeKernel,
    over?: object,
  ): Promise<{readonly agent: Agent; ask(order: AgentCommand | Buffer): Promise<AgentAnswer[]>}>
}

export function orders(): Orders {
  const site = newPrivateKey()
  const key = {kid: 'web-07', privateKey: newPrivateKey()}
  const config = (over: object = {}): AgentConfig =>
    parseAgentConfig(
      JSON.stringify({
        ...{version: 1, vm: 'web-07', probes: ['203.0.113.10'], socket: false, state: '/state', windows: {guardS: 0}},
        trusted: {'site-y': {key: publicKeyText(site), gateways: ['10.0.0.1', '10.0.0.2']}},
        ...over,
      }),
      'agent.yaml',
    )
  let seq = 0
  const signed = (order: AgentCommand): Buffer => Buffer.from(signCommand(order, {kid: 'site-y', privateKey: site}))
  return {
    ...{key, site, config, signed},
    command(over = {}) {
      const now = Math.floor(Date.now() / 1000)
      seq++
      return {
        ...{v: 1, op: 'switch', vm: 'web-07', run: `r${seq}`, seq, iat: now, exp: now + 60},
        ...{nonce: String(seq).padStart(16, '0'), gw4: '10.0.0.2', ...over},
      }
    },
    async on(kernel, over = {}) {
      const agent = await startAgent({config: config(over), key, kernel, network: false})
      return {
        agent,
        /** Resolves when the agent has said what it can say now. */
        async ask(order) {
          const answers: AgentAnswer[] = []
          await agent.receive(Buffer.isBuffer(order) ? order : signed(order), (token) => {
            const opened = openAnswer(Buffer.from(token), () => key.privateKey)
            if (opened.ok) answers.push(opened.message)
          })
          return answers
        },
      }
    },
  }
}

export const memoryOf = ({files}: Pick<FakeKernel, 'files'>): AgentMemory =>
  JSON.parse(files.get(STATE)!) as AgentMemory
