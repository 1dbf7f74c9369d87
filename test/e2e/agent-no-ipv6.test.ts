// A guest whose kernel was started without IPv6 (ipv6.disable=1, as hardening guides want it): asked for IPv6 routes and
// rules, it tells of those that it has.
import {describe, expect, it} from 'vitest'
import type {SwitchMode} from '../../src/wire/agent-message.ts'
import {agentGuestBase} from '../support/agent-guest.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {useOnceGuest} from '../support/once-guest.ts'
import type {GuestImage} from '../support/qemu-guest.ts'
import {RX, RY} from '../support/site-lab.ts'

const base = noNamespaces ?? (await agentGuestBase())

describe.skipIf(typeof base === 'string')(
  `an agent in a guest without IPv6${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
    const guest = useOnceGuest(base as GuestImage, 'ipv6.disable=1')
    const gateway = async (): Promise<string | undefined> =>
      /via (\S+)/.exec((await guest.run(['ip', 'route', 'get', '203.0.113.10'])).stdout)?.[1]

    it.each<[SwitchMode, string, string]>([
      ['replace', RX, RY],
      ['replace', RY, RX],
      ['rule', RX, RY],
      ['rule', RY, RX],
    ])('switches in mode %s from %s to %s, and says so', {timeout: 120_000}, async (mode, from, to) => {
      const message = guest.signed(to === RY ? 'y' : 'x', {gw4: to, from_gw4: from, mode})
      const {code, stderr, answers} = await guest.once(message)
      expect(answers.at(-1), stderr).toMatchObject({state: 'confirmed', mode, gw4: to})
      expect(answers.at(-1)).not.toHaveProperty('gw6')
      expect(code).toBe(0)
      expect(await gateway()).toBe(to)
    })

    it('leaves nothing behind', async () => {
      expect((await guest.run(['ip', 'rule'])).stdout.split('\n')).toHaveLength(4)
      expect((await guest.run(['ip', 'route', 'show', 'table', 'all'])).stdout).not.toMatch(/table 14/)
    })
  },
)
