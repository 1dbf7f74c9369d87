// A real guest with gwswitch in it and no agent running, on web-07's segment at site y: messages get in by its QEMU guest
// agent alone.
import {mkdirSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {afterAll, beforeAll} from 'vitest'
import {type CommandResult, runCommand} from '../../src/net/process/command.ts'
import {openGuestAgent} from '../../src/net/stream/qga.ts'
import {type AgentAnswer, type AgentCommand, openAnswer, signCommand} from '../../src/wire/agent-message.ts'
import {agentGuestImage, GUEST_ETC} from './agent-guest.ts'
import {type GuestImage, type RunningGuest, startGuest} from './qemu-guest.ts'
import {RX, useSiteLab} from './site-lab.ts'

const TAP = 'tap-web-07'

export interface OnceGuest {
  run(argv: readonly string[], input?: string): Promise<CommandResult>
  /** A switch, signed by the controller of a site. */
  signed(site: 'x' | 'y', over: Partial<AgentCommand>): string
  /** As docs/agent.md says it: guest-exec of `gwswitch agent --once`, with the message on its standard input. */
  once(token: string): Promise<CommandResult & {readonly answers: readonly AgentAnswer[]}>
}

/** The guest for all tests of the block; it begins with site x's gateway. `kernelWords`: for its kernel's command line. */
export function useOnceGuest(base: GuestImage, kernelWords?: string): OnceGuest {
  const site = useSiteLab({dciDelayMs: 2, wanDelayMs: 1})
  let guest: RunningGuest | undefined

  beforeAll(async () => {
    const {lab} = site
    await lab().run('web-07', 'ip', 'link', 'set', 'eth0', 'down')
    await runCommand('ip', ['-n', lab().ns('sw-y'), 'tuntap', 'add', TAP, 'mode', 'tap'])
    await runCommand('ip', ['-n', lab().ns('sw-y'), 'link', 'set', TAP, 'up', 'master', 'br-a'])
    site.configure()
    // In the lab's own folder, and gone with it: it holds an image of a disk.
    const scratch = join(dirname(lab().inventoryFile), 'guest')
    mkdirSync(scratch)
    const files = {
      'agent.yaml': readFileSync(site.agentConfig, 'utf8').replaceAll(dirname(site.agentConfig), GUEST_ETC),
      'agent.key': readFileSync(site.file('agent.key'), 'utf8'),
    }
    const image = await agentGuestImage(base, scratch, files, {service: false})
    guest = await startGuest(image, {
      ...{namespace: lab().ns('sw-y'), tap: TAP, mac: '02:00:00:00:00:10', mtu: 1400, address: '10.0.0.10/24'},
      ...{gateway: RX, scratch, name: 'guest', ...(kernelWords === undefined ? {} : {kernelWords})},
    })
  }, 300_000)
  afterAll(async () => guest?.stop())

  const self: OnceGuest = {
    async run(argv, input) {
      const agent = await openGuestAgent(guest!.agentSocket, AbortSignal.timeout(100_000))
      try {
        return await agent.run(argv, {timeoutMs: 90_000, ...(input === undefined ? {} : {input})})
      } finally {
        agent.close()
      }
    },
    signed(of, over) {
      const now = Math.floor(Date.now() / 1000)
      const seq = Date.now()
      const command: AgentCommand = {
        ...{v: 1, op: 'switch', vm: 'web-07', run: `r${seq}`, seq, iat: now, exp: now + 120},
        ...{nonce: String(seq).padStart(16, '0'), ...over},
      }
      return signCommand(command, {kid: `site-${of}`, privateKey: site.keys[of]})
    },
    async once(token) {
      const result = await self.run(['gwswitch', 'agent', '--once', '--config', `${GUEST_ETC}/agent.yaml`], token)
      const answers = result.stdout.split('\n').flatMap((line) => {
        const opened = openAnswer(Buffer.from(line), () => site.keys.agent)
        return opened.ok ? [opened.message] : []
      })
      return {...result, answers}
    },
  }
  return self
}
