// A signed message is put into a guest by its QEMU guest agent, and `gwswitch agent --once` in there acts on it: nothing of
// it takes the network, and no agent runs before or after.
import {describe, expect, it} from 'vitest'
import {agentGuestBase} from '../support/agent-guest.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {useOnceGuest} from '../support/once-guest.ts'
import type {GuestImage} from '../support/qemu-guest.ts'
import {RX, RY} from '../support/site-lab.ts'

const base = noNamespaces ?? (await agentGuestBase())

describe.skipIf(typeof base === 'string')(
  `a guest with gwswitch, told by its QEMU guest agent${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
    const guest = useOnceGuest(base as GuestImage)
    const defaultRoute = async (): Promise<string> => (await guest.run(['ip', 'route', 'show', 'default'])).stdout
    const through = (gateway: string): string => `default via ${gateway} dev eth0 proto static metric 100 \n`

    it('changes its route, proves it, and says so by signed answers and its exit', {timeout: 120_000}, async () => {
      expect(await defaultRoute()).toBe(through(RX))
      const message = guest.signed('y', {run: 'by-guest-exec', gw4: RY, from_gw4: RX})
      const {code, stderr, answers} = await guest.once(message)
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
