// A signed message is put into a guest by its QEMU guest agent, and `gwswitch agent --once` in there acts on it: nothing of
// it takes the network, and no agent runs before or after.
import {mkdirSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {type CommandResult, runCommand} from '../../src/net/command.ts'
import {openGuestAgent} from '../../src/net/qga.ts'
import {type AgentAnswer, type AgentCommand, openAnswer, signCommand} from '../../src/wire/agent-message.ts'
import {agentGuestBase, agentGuestImage, GUEST_ETC} from '../support/agent-guest.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {type GuestImage, type RunningGuest, startGuest} from '../support/qemu-guest.ts'
import {RX, RY, useSiteLab} from '../support/site-lab.ts'

const base = noNamespaces ?? (await agentGuestBase())
const TAP = 'tap-web-07'

describe.skipIf(typeof base === 'string')(
  `a guest with gwswitch, told by its QEMU guest agent${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
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
      const image = await agentGuestImage(base as GuestImage, scratch, files, {service: false})
      guest = await startGuest(image, {
        ...{namespace: lab().ns('sw-y'), tap: TAP, mac: '02:00:00:00:00:10', mtu: 1400, address: '10.0.0.10/24'},
        ...{gateway: RX, scratch, name: 'guest'},
      })
    }, 180_000)
    afterAll(async () => guest?.stop())

    async function inGuest(argv: readonly string[], input?: string): Promise<CommandResult> {
      const agent = await openGuestAgent(guest!.agentSocket, AbortSignal.timeout(100_000))
      try {
        return await agent.run(argv, {timeoutMs: 90_000, ...(input === undefined ? {} : {input})})
      } finally {
        agent.close()
      }
    }
    const defaultRoute = async (): Promise<string> => (await inGuest(['ip', 'route', 'show', 'default'])).stdout
    const through = (gateway: string): string => `default via ${gateway} dev eth0 proto static metric 100 \n`

    function signed(over: Partial<AgentCommand>): string {
      const now = Math.floor(Date.now() / 1000)
      const seq = Date.now()
      const command: AgentCommand = {
        ...{v: 1, op: 'switch', vm: 'web-07', run: `r${seq}`, seq, iat: now, exp: now + 120},
        ...{nonce: String(seq).padStart(16, '0'), gw4: RY, from_gw4: RX, ...over},
      }
      return signCommand(command, {kid: 'site-y', privateKey: site.keys.y})
    }
    /** As docs/agent.md says it: guest-exec of `gwswitch agent --once`, with the message on its standard input. */
    async function once(token: string): Promise<CommandResult & {readonly answers: readonly AgentAnswer[]}> {
      const result = await inGuest(['gwswitch', 'agent', '--once', '--config', `${GUEST_ETC}/agent.yaml`], token)
      const answers = result.stdout.split('\n').flatMap((line) => {
        const opened = openAnswer(Buffer.from(line), () => site.keys.agent)
        return opened.ok ? [opened.message] : []
      })
      return {...result, answers}
    }

    it('changes its route, proves it, and says so by signed answers and its exit', {timeout: 120_000}, async () => {
      expect(await defaultRoute()).toBe(through(RX))
      const {code, stderr, answers} = await once(signed({run: 'by-guest-exec'}))
      expect(
        answers.map(({state}) => state),
        stderr,
      ).toEqual(['received', 'applied', 'confirmed'])
      expect(answers.at(-1)).toMatchObject({run: 'by-guest-exec', mode: 'replace', gw4: RY})
      expect(code).toBe(0)
      expect(await defaultRoute()).toBe(through(RY))
    })
  },
)
