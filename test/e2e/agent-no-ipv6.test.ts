// A guest whose kernel was started without IPv6 (ipv6.disable=1, as hardening guides want it): asked for IPv6 routes and
// rules, it tells of those that it has.
import {mkdirSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {type CommandResult, runCommand} from '../../src/net/command.ts'
import {openGuestAgent} from '../../src/net/qga.ts'
import {openAnswer, type SwitchMode, signCommand} from '../../src/wire/agent-message.ts'
import {agentGuestBase, agentGuestImage, GUEST_ETC} from '../support/agent-guest.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {type GuestImage, type RunningGuest, startGuest} from '../support/qemu-guest.ts'
import {RX, RY, useSiteLab} from '../support/site-lab.ts'

const base = noNamespaces ?? (await agentGuestBase())
const TAP = 'tap-web-07'

describe.skipIf(typeof base === 'string')(
  `an agent in a guest without IPv6${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
    const site = useSiteLab({dciDelayMs: 2, wanDelayMs: 1})
    let guest: RunningGuest | undefined

    beforeAll(async () => {
      const {lab} = site
      await lab().run('web-07', 'ip', 'link', 'set', 'eth0', 'down')
      await runCommand('ip', ['-n', lab().ns('sw-y'), 'tuntap', 'add', TAP, 'mode', 'tap'])
      await runCommand('ip', ['-n', lab().ns('sw-y'), 'link', 'set', TAP, 'up', 'master', 'br-a'])
      site.configure()
      const scratch = join(dirname(lab().inventoryFile), 'guest')
      mkdirSync(scratch)
      const files = {
        'agent.yaml': readFileSync(site.agentConfig, 'utf8').replaceAll(dirname(site.agentConfig), GUEST_ETC),
        'agent.key': readFileSync(site.file('agent.key'), 'utf8'),
      }
      const image = await agentGuestImage(base as GuestImage, scratch, files, {service: false})
      guest = await startGuest(image, {
        ...{namespace: lab().ns('sw-y'), tap: TAP, mac: '02:00:00:00:00:10', mtu: 1400, address: '10.0.0.10/24'},
        ...{gateway: RX, scratch, name: 'guest', kernelWords: 'ipv6.disable=1'},
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
    const gateway = async (): Promise<string | undefined> =>
      /via (\S+)/.exec((await inGuest(['ip', 'route', 'get', '203.0.113.10'])).stdout)?.[1]

    it.each<[SwitchMode, string, string]>([
      ['replace', RX, RY],
      ['replace', RY, RX],
      ['rule', RX, RY],
      ['rule', RY, RX],
    ])('switches in mode %s from %s to %s, and says so', {timeout: 120_000}, async (mode, from, to) => {
      const now = Math.floor(Date.now() / 1000)
      const seq = Date.now()
      const token = signCommand(
        {
          ...{v: 1, op: 'switch', vm: 'web-07', run: `r${seq}`, seq, iat: now, exp: now + 120},
          ...{nonce: String(seq).padStart(16, '0'), gw4: to, from_gw4: from, mode},
        },
        {kid: to === RY ? 'site-y' : 'site-x', privateKey: site.keys[to === RY ? 'y' : 'x']},
      )
      const argv = ['gwswitch', 'agent', '--once', '--config', `${GUEST_ETC}/agent.yaml`]
      const {code, stdout, stderr} = await inGuest(argv, token)
      const answers = stdout.split('\n').flatMap((line) => {
        const opened = openAnswer(Buffer.from(line), () => site.keys.agent)
        return opened.ok ? [opened.message] : []
      })
      expect(answers.at(-1), stderr).toMatchObject({state: 'confirmed', mode, gw4: to})
      expect(answers.at(-1)).not.toHaveProperty('gw6')
      expect(code).toBe(0)
      expect(await gateway()).toBe(to)
    })

    it('leaves nothing behind', async () => {
      expect((await inGuest(['ip', 'rule'])).stdout.split('\n')).toHaveLength(4)
      expect((await inGuest(['ip', 'route', 'show', 'table', 'all'])).stdout).not.toMatch(/table 14/)
    })
  },
)
