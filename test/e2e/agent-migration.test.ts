// A VM that runs the agent is live-migrated by QEMU from one site to the other, and its kernel says so (NOTIFY PEERS): both
// ends as people run them, and nobody who tells the agent that it was moved.
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {countersBetween, gatewayCounters} from '../../src/lab/counters.ts'
import type {GuestImage} from '../../src/lab/guest/image.ts'
import {agentGuestBase, GUEST_ETC, GUEST_STATE} from '../../src/lab/guest/node-image.ts'
import {useAgentInGuest} from '../support/agent-in-guest.ts'
import {startEcho} from '../support/echo-stream.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {type Program, RX, RY} from '../support/site-lab.ts'
import {until} from '../support/until.ts'

const base = noNamespaces ?? (await agentGuestBase())
type Site = 'x' | 'y'
const MOVES = [
  {to: 'y', from: 'rx', gateway: 'ry', ip: RY, ask: '10.0.0.2:6743'},
  {to: 'x', from: 'ry', gateway: 'rx', ip: RX, ask: '10.0.0.1:6743'},
] as const

describe.skipIf(typeof base === 'string')(
  `a guest with gwswitch${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
    const guest = useAgentInGuest(base as GuestImage, {
      ...{lab: {dciDelayMs: 10, wanDelayMs: 1}, at: 'x', config: ['beacons: true']},
    })
    const {site} = guest
    const defaultRoute = async (): Promise<string> => (await guest.run(['ip', 'route', 'show', 'default'])).stdout
    const through = (gateway: string): string => `default via ${gateway} dev eth0 proto static metric 100 \n`

    // Nothing of it takes the network, and no agent runs before or after.
    it('in which no agent runs, told by its QEMU guest agent: changes its route, proves it, says so by signed answers and its exit', {
      timeout: 240_000,
    }, async () => {
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

    describe('that runs the agent, live-migrated', () => {
      const programs: Record<Site, Program> = {} as never

      beforeAll(async () => {
        // As it was at first, whatever was done to it before.
        const clean = `rm -rf ${GUEST_STATE} && ip route replace default via ${RX} dev eth0 proto static metric 100`
        expect(await guest.run(['sh', '-c', clean])).toMatchObject({code: 0})
        programs.x = await site.serve('x')
        programs.y = await site.serve('y')
        await guest.startAgent()
        await said(guest.consoles, /this VM is in site x/)
      }, 300_000)
      afterAll(async () => {
        for (const program of Object.values(programs)) await program.end()
      })

      /** What left through the gateways while a user at site y pinged it. */
      async function leaving(): Promise<Record<string, number>> {
        const before = await gatewayCounters(site.lab().prefix)
        await site.lab().run('user-y', 'ping', '-q', '-i', '0.1', '-c', '10', '-w', '20', '10.0.0.10')
        const between = countersBetween(before, await gatewayCounters(site.lab().prefix))
        return Object.fromEntries(between.map(({gateway, egress}) => [gateway, egress.packets]))
      }

      /** To the other site, with a session open; resolves to what to tell of it. */
      async function migrated({to, from, gateway, ip, ask}: (typeof MOVES)[number]): Promise<string> {
        const controller = programs[to]
        const stream = startEcho(site.lab().ns('user-y'))
        await until(async () => stream.echoed() > 10, 60_000, 'the guest echoes')
        const moved = await guest.migrate(to)
        await said(() => `${guest.consoles()}${controller.log()}`, /switched after/)

        expect(moved.console().replaceAll('\r', '')).toMatch(
          new RegExp(
            // Where the guest is busy, both sites' beacons look as near at first.
            `an interface announces itself: this VM was probably moved\n(?:.*\n)*?.*this VM is in site ${to}\n.*` +
              `asked ${ask} for the gateway of site ${to} \\((?:notify_peers|beacons)\\)`,
          ),
        )
        expect(controller.log()).toMatch(
          new RegExp(
            `web-07 asks for the gateway of site ${to} \\((?:notify_peers|beacons)\\), uses ${from}: switching\n` +
              // It asks again where that takes long.
              '(?:.*not acted on: under_way.*\n)*.*' +
              `web-07 from ${from} to ${gateway} by agent: switched after \\d+ ms: ` +
              `web-07 leaves through ${gateway} .*says: confirmed, uses ${ip}`,
          ),
        )
        const so = stream.echoed()
        await until(async () => stream.echoed() > so + 20, 60_000, 'the session goes on')
        const {sent, echoed, longestMs} = await stream.stop()
        expect(echoed).toBe(sent)
        const left = await leaving()
        expect(left[gateway]).toBeGreaterThanOrEqual(10)
        expect(left[from]).toBe(0)
        expect(await defaultRoute()).toBe(through(ip))
        const since = (what: RegExp): number => Math.round(controller.saidAt(what)! - moved.arrivedMs)
        return (
          `arrived at ${to}; its note came after ${since(/asks for/)} ms, it was switched after ` +
          `${since(/switched after/)} ms; longest pause of the session ${longestMs} ms`
        )
      }

      it('there and back: notices, asks there, is switched, tells so; its open session goes on', async ({annotate}) => {
        for (const move of MOVES) await annotate(await migrated(move))
        const asked = ['gwswitch', 'agent', 'status', '--config', `${GUEST_ETC}/agent.yaml`, '--json']
        expect(JSON.parse((await guest.run(asked)).stdout)).toMatchObject({
          where: {site: 'x', phase: 'settled', note: {why: 'notify_peers', site: 'x'}},
          last: {kid: 'site-x', state: 'confirmed'},
        })
      }, 400_000)

      it('asks for nothing when it is announced again where it is', {timeout: 200_000}, async () => {
        const where = guest.where()
        const [before, asked] = [guest.now().console().length, programs[where].log().length]
        await guest.now().qmp('announce-self', {initial: 50, max: 550, rounds: 5, step: 100})
        const now = (): string => guest.now().console().slice(before).replaceAll('\r', '')
        await said(now, /nothing to ask for/)
        expect(now()).toMatch(
          new RegExp(`probably moved\n.*this VM is in site ${where}\n.*its gateway is in use: nothing to ask for`),
        )
        expect(programs[where].log()).toHaveLength(asked)
      })
    })
  },
)

/** Waits until a log has it; says what it has if that does not come. */
async function said(log: () => string, what: RegExp): Promise<void> {
  await until(async () => what.test(log()), 180_000, `${what}`).catch((error: Error) => {
    throw new Error(`${error.message}: ${log()}`)
  })
}
