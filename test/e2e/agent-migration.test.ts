// A VM that runs the agent is live-migrated by QEMU from one site to the other, and its kernel says so (NOTIFY PEERS): both
// ends as people run them, and nobody who tells the agent that it was moved.
import {mkdirSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {countersBetween, gatewayCounters} from '../../src/lab/counters.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {openGuestAgent} from '../../src/net/stream/qga.ts'
import {agentGuestBase, agentGuestImage, GUEST_ETC} from '../support/agent-guest.ts'
import {startEcho} from '../support/echo-stream.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {type GuestImage, type GuestOptions, migrateGuest, type RunningGuest, startGuest} from '../support/qemu-guest.ts'
import {type Program, RX, RY, useSiteLab} from '../support/site-lab.ts'
import {until} from '../support/until.ts'

type Site = 'x' | 'y'
const base = noNamespaces ?? (await agentGuestBase())
const TAP = 'tap-web-07'

describe.skipIf(typeof base === 'string')(
  `a live-migrated guest that runs the agent${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
    const site = useSiteLab({dciDelayMs: 10, wanDelayMs: 1})
    /** In the lab's own folder, and gone with it: it holds an image of a disk. */
    const scratch = (): string => join(dirname(site.lab().inventoryFile), 'guest')
    const programs: Record<Site, Program> = {} as never
    /** Of every QEMU that it ran in. */
    const guests: RunningGuest[] = []
    let image: GuestImage

    const options = (at: Site): GuestOptions => ({
      namespace: site.lab().ns(`sw-${at}`),
      tap: TAP,
      mac: '02:00:00:00:00:10',
      mtu: 1400,
      address: '10.0.0.10/24',
      gateway: RX,
      scratch: scratch(),
      name: `guest-${guests.length}`,
    })
    const agentLog = (): string =>
      guests
        .map((guest) => guest.console())
        .join('')
        .replaceAll('\r', '')

    beforeAll(async () => {
      // The guest takes the place of the lab's own VM, with a port at either site.
      await site.lab().run('web-07', 'ip', 'link', 'set', 'eth0', 'down')
      for (const at of ['x', 'y']) {
        const namespace = site.lab().ns(`sw-${at}`)
        await runCommand('ip', ['-n', namespace, 'tuntap', 'add', TAP, 'mode', 'tap'])
        await runCommand('ip', ['-n', namespace, 'link', 'set', TAP, 'up', 'master', 'br-a'])
      }
      site.configure('beacons: true')
      mkdirSync(scratch())
      image = await agentGuestImage(base as GuestImage, scratch(), {
        'agent.yaml': readFileSync(site.agentConfig, 'utf8').replaceAll(dirname(site.agentConfig), GUEST_ETC),
        'agent.key': readFileSync(site.file('agent.key'), 'utf8'),
      })
      programs.x = await site.serve('x')
      programs.y = await site.serve('y')
      guests.push(await startGuest(image, options('x')))
      await said(agentLog, /this VM is in site x/)
    }, 300_000)
    afterAll(async () => {
      for (const guest of guests) await guest.stop()
      for (const program of Object.values(programs)) await program.end()
    })

    async function inGuest(...argv: string[]): Promise<string> {
      const agent = await openGuestAgent(guests.at(-1)!.agentSocket, AbortSignal.timeout(60_000))
      try {
        return (await agent.run(argv, {timeoutMs: 50_000})).stdout
      } finally {
        agent.close()
      }
    }

    /** What left through the gateways while a user at site y pinged it. */
    async function leaving(): Promise<Record<string, number>> {
      const before = await gatewayCounters(site.lab().prefix)
      await site.lab().run('user-y', 'ping', '-q', '-i', '0.1', '-c', '10', '-w', '20', '10.0.0.10')
      const between = countersBetween(before, await gatewayCounters(site.lab().prefix))
      return Object.fromEntries(between.map(({gateway, egress}) => [gateway, egress.packets]))
    }

    it.for<[Site, string, string, string, string]>([
      ['y', 'rx', 'ry', RY, '10.0.0.2:6743'],
      ['x', 'ry', 'rx', RX, '10.0.0.1:6743'],
    ])(
      'to site %s notices, asks there, and is switched; its open session goes on',
      {timeout: 240_000},
      async ([to, from, gateway, ip, ask], {annotate}) => {
        const controller = programs[to]
        const stream = startEcho(site.lab().ns('user-y'))
        await until(async () => stream.echoed() > 10, 20_000, 'the guest echoes')
        const moved = await migrateGuest(guests.at(-1)!, image, options(to))
        guests.push(moved)
        await said(() => `${agentLog()}${controller.log()}`, /switched after/)

        expect(moved.console().replaceAll('\r', '')).toMatch(
          new RegExp(
            `an interface announces itself: this VM was probably moved\n.*this VM is in site ${to}\n.*` +
              `asked ${ask} for the gateway of site ${to} \\(notify_peers\\)`,
          ),
        )
        expect(controller.log()).toMatch(
          new RegExp(
            `web-07 asks for the gateway of site ${to} \\(notify_peers\\), uses ${from}: switching\n.*` +
              `web-07 from ${from} to ${gateway} by agent: switched after \\d+ ms: ` +
              `web-07 leaves through ${gateway} .*says: confirmed, uses ${ip}`,
          ),
        )
        const so = stream.echoed()
        await until(async () => stream.echoed() > so + 20, 20_000, 'the session goes on')
        const {sent, echoed, longestMs} = await stream.stop()
        expect(echoed).toBe(sent)
        const left = await leaving()
        expect(left[gateway]).toBeGreaterThanOrEqual(10)
        expect(left[from]).toBe(0)
        expect(await inGuest('ip', 'route', 'show', 'default')).toBe(
          `default via ${ip} dev eth0 proto static metric 100 \n`,
        )
        const after = (what: RegExp): number => Math.round(controller.saidAt(what)! - moved.arrivedMs)
        await annotate(
          `arrived; its note came after ${after(/asks for/)} ms, it was switched after ${after(/switched after/)} ms; ` +
            `longest pause of the session ${longestMs} ms`,
        )
      },
    )

    it('asks for nothing when it is announced again where it is', async () => {
      const [before, asked] = [guests.at(-1)!.console().length, programs.x.log().length]
      await guests.at(-1)!.qmp('announce-self', {initial: 50, max: 550, rounds: 5, step: 100})
      const now = (): string => guests.at(-1)!.console().slice(before).replaceAll('\r', '')
      await said(now, /nothing to ask for/)
      expect(now()).toMatch(/probably moved\n.*this VM is in site x\n.*its gateway is in use: nothing to ask for/)
      expect(programs.x.log()).toHaveLength(asked)
    })

    it('tells by agent status where it is and what became of it', async () => {
      const status = JSON.parse(
        await inGuest('gwswitch', 'agent', 'status', '--config', `${GUEST_ETC}/agent.yaml`, '--json'),
      )
      expect(status).toMatchObject({
        where: {site: 'x', phase: 'settled', note: {why: 'notify_peers', site: 'x'}},
        last: {kid: 'site-x', state: 'confirmed'},
      })
    })
  },
)

/** Waits until a log has it; says what it has if that does not come. */
async function said(log: () => string, what: RegExp): Promise<void> {
  await until(async () => what.test(log()), 120_000, `${what}`).catch((error: Error) => {
    throw new Error(`${error.message}: ${log()}`)
  })
}
