// A guest whose kernel was started without IPv6 (ipv6.disable=1, as hardening guides want it): asked for IPv6 routes and
// rules, it tells of those that it has.
import {beforeAll, describe, expect, it} from 'vitest'
import type {GuestImage} from '../../src/lab/guest/image.ts'
import {agentGuestBase} from '../../src/lab/guest/node-image.ts'
import type {SwitchMode} from '../../src/wire/agent-message.ts'
import {useAgentInGuest} from '../support/agent-in-guest.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {RX, RY} from '../support/site-lab.ts'
import {until} from '../support/until.ts'

const base = noNamespaces ?? (await agentGuestBase())

describe.skipIf(typeof base === 'string')(
  `an agent in a guest without IPv6${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
    const guest = useAgentInGuest(base as GuestImage, {
      ...{lab: {dciDelayMs: 2, wanDelayMs: 1}, at: 'y', kernelWords: 'ipv6.disable=1'},
    })
    const gateway = async (): Promise<string | undefined> =>
      /via (\S+)/.exec((await guest.run(['ip', 'route', 'get', '203.0.113.10'])).stdout)?.[1]
    const tell = (site: 'x' | 'y', ...args: string[]) =>
      gwswitch(
        [
          'notify-agent',
          'web-07',
          '--to',
          site,
          '-f',
          guest.site.inventory,
          '--timeout',
          '60',
          '--confirm-within',
          '60',
          '--json',
          ...args,
        ],
        {
          namespace: guest.site.lab().ns(`r${site}`),
        },
      )

    beforeAll(async () => {
      await guest.startAgent()
      await until(async () => guest.consoles().includes('listens on'), 180_000, 'the agent listens')
    }, 200_000)

    it.each<SwitchMode>(['replace', 'rule'])(
      'switches in mode %s, there and back, says so, and leaves nothing behind',
      {timeout: 200_000},
      async (mode) => {
        for (const [site, from, to] of [
          ['y', RX, RY],
          ['x', RY, RX],
        ] as const) {
          const {code, stderr, json} = await tell(site, '--mode', mode, '--from', from)
          expect(json?.vms[0], stderr + JSON.stringify(json)).toMatchObject({
            state: 'confirmed',
            mode,
            gateways: {v4: to, v6: null},
          })
          expect(code).toBe(0)
          expect(await gateway()).toBe(to)
        }
        expect((await guest.run(['ip', 'rule'])).stdout.split('\n')).toHaveLength(4)
        expect((await guest.run(['ip', 'route', 'show', 'table', 'all'])).stdout).not.toMatch(/table 14/)
      },
    )
  },
)
