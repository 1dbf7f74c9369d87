// Does a switched VM stay on its new gateway? The routers' own neighbour checks decide, sped up here; TCP and UDP pass a
// user-space relay, since on wires alone the sender's confirmations would reach the router and stop its checks.
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {resolveSwitchover, switchoverFrom} from '../../src/domain/inventory/switchover.ts'
import {type SessionReport, startSession} from '../../src/lab/session.ts'
import {moveVm} from '../../src/lab/vms.ts'
import {tryCommand} from '../../src/net/process/command.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {noNamespaces, type TestLab, withLab} from '../support/namespaces.ts'
import {
  arriveAndSwitch,
  BX,
  BY,
  FILTER_TABLE,
  gatewayOfVm,
  inventoryOf,
  loadFilter,
  type Setting,
  setUp,
  suppressAtX,
  switchVm,
  until,
} from './arp-lab.ts'

const DELAYS = {dciDelayMs: 3, wanDelayMs: 3}
const GUARD_MS = 4000

/** Builds the setting with a session between the VM and the user at site Y under way. */
async function withSession<T>(
  setting: Setting,
  fn: (lab: TestLab, session: Awaited<ReturnType<typeof startSession>>) => Promise<T>,
): Promise<T> {
  return withLab(DELAYS, async (lab) => {
    await setUp(lab, setting)
    await using session = await startSession(lab.prefix, 'db-03', 'user-y')
    return await fn(lab, session)
  })
}

const lastPhase = (report: SessionReport) => report.udp.phases.at(-1)!

describe.skipIf(noNamespaces)('a switched VM', () => {
  it('single gateway IP, no filter, inbound by the old site: its router moves it back within seconds, and the guard names it', async () => {
    await withSession({singleIp: true, filter: 'none', inbound: 'x'}, async (lab, session) => {
      let {verdict} = await arriveAndSwitch(lab, {guardMs: GUARD_MS})
      // A check of the old router in its last moment leaves the guard no time to win the VM back.
      if (!verdict.ok) verdict = (await switchVm(lab, {guardMs: GUARD_MS})).verdict
      const evidence = verdict.evidence.join('\n')
      expect(evidence).toMatch(
        /unicast request who-has 10\.1\.0\.10 tell 10\.1\.0\.254, from bx \(site x\), 02:00:00:00:0a:02: won back after/,
      )
      expect(verdict.ok).toBe(true)
      expect((await session.stop()).tcp).toMatchObject({contiguous: true, reconnects: 0})
      // Nobody guards it now: it goes back for good.
      expect(
        await until(
          () => gatewayOfVm(lab),
          (mac) => mac === BX,
        ),
      ).toBe(BX)
    })
  })

  it('single gateway IP, no filter: a broadcast request of the old router for anybody moves it too, once the lock time is over', async () => {
    await withSession({singleIp: true, filter: 'none', inbound: 'y'}, async (lab) => {
      expect((await arriveAndSwitch(lab)).verdict.ok).toBe(true)
      await sleep(1200)
      void lab.run('rx', 'ping', '-c1', '-W1', '10.1.0.77').catch(() => {})
      expect(
        await until(
          () => gatewayOfVm(lab),
          (mac) => mac === BX,
        ),
      ).toBe(BX)
    })
  })

  it('single gateway IP, ARP filter, inbound by the old site: it stays, and inbound dies', async () => {
    await withSession({singleIp: true, filter: 'arp', inbound: 'x'}, async (lab, session) => {
      const {verdict} = await arriveAndSwitch(lab, {guardMs: 3000})
      expect(verdict).toMatchObject({
        ok: true,
        evidence: expect.arrayContaining([expect.stringMatching(/nothing moved it back/)]),
      })
      const state = async () =>
        JSON.parse(await lab.run('rx', 'ip', '-json', 'neigh', 'show', '10.1.0.10'))[0]?.state?.[0] as
          | string
          | undefined
      expect(await until(state, (value) => value === 'FAILED' || value === 'INCOMPLETE')).toMatch(/FAILED|INCOMPLETE/)
      await session.mark('dead')
      await sleep(1500)
      const report = await session.report()
      expect(lastPhase(report)).toMatchObject({echoed: 0})
      expect(lastPhase(report).sent).toBeGreaterThan(20)
    })
  })

  it('the same with the old bridge answering for the VM: it stays, and inbound lives', async () => {
    await withSession({singleIp: true, filter: 'full', inbound: 'x'}, async (lab, session) => {
      await suppressAtX(lab)
      await session.mark('moving')
      const {verdict} = await arriveAndSwitch(lab, {guardMs: GUARD_MS})
      expect(verdict).toMatchObject({
        ok: true,
        evidence: expect.arrayContaining([expect.stringMatching(/nothing moved it back/)]),
      })
      await session.mark('after')
      await sleep(2500)
      const {tcp, udp} = await session.stop()
      expect(tcp).toMatchObject({contiguous: true, reconnects: 0, echoed: tcp.sent})
      // The bridge's answer costs the router's queue nothing, but a datagram may find it full.
      const after = udp.phases.at(-1)!
      expect(after.sent - after.echoed).toBeLessThan(10)
    })
  })

  it('own addresses beside the shared one, ARP filter, inbound by the old site: it stays, without loss', async () => {
    await withSession({filter: 'arp', inbound: 'x'}, async (lab, session) => {
      const {verdict} = await arriveAndSwitch(lab)
      expect(verdict.ok).toBe(true)
      await session.mark('after')
      await sleep(GUARD_MS)
      expect(await gatewayOfVm(lab)).toBe(BY)
      const {tcp, udp} = await session.stop()
      expect(tcp).toMatchObject({contiguous: true, reconnects: 0, echoed: tcp.sent})
      // What is lost is lost at the move, when the port changes sites; nothing after it.
      const after = udp.phases.at(-1)!
      expect(after.echoed).toBeGreaterThanOrEqual(after.sent)
    })
  })

  it.each(['none', 'full'] as const)(
    'own addresses, filter %s, the old router announcing itself again and again',
    async (filter) => {
      await withSession({filter, inbound: 'y'}, async (lab) => {
        const enough = new AbortController()
        const [program = '', ...args] = namespaceCommand(lab.ns('rx'), [
          'arping',
          '-q',
          '-U',
          '-c',
          '60',
          '-I',
          'seg-b',
          '10.1.0.254',
        ])
        const announcing = tryCommand(program, args, {signal: enough.signal}).catch(() => {})
        const {verdict} = await arriveAndSwitch(lab, {guardMs: 3000})
        const evidence = verdict.evidence.join('\n')
        if (filter === 'full') expect(evidence).toMatch(/nothing moved it back/)
        else expect(evidence).toMatch(/broadcast gratuitous request for 10\.1\.0\.254, from bx \(site x\)/)
        enough.abort()
        await announcing
      })
    },
  )

  it('ARP filter, never told: TCP confirms the old entry, and the VM stays on the old gateway', async () => {
    await withSession({filter: 'arp', inbound: 'x'}, async (lab, session) => {
      const timers = 'net.ipv4.neigh.eth0'
      await lab.run(
        'db-03',
        'sysctl',
        '-qw',
        `${timers}.base_reachable_time_ms=800`,
        `${timers}.delay_first_probe_time=1`,
      )
      await (await moveVm(lab.prefix, 'db-03', 'y')).announced
      await sleep(3000)
      expect(await gatewayOfVm(lab)).toBe(BX)
      expect((await session.stop()).tcp).toMatchObject({contiguous: true, reconnects: 0})
    })
  })
})

describe.skipIf(noNamespaces)('the plan, made where the DCI is filtered', () => {
  it('finds the filter, whole or not, and broadcasts only behind a whole one', async () => {
    await withLab(DELAYS, async (lab) => {
      const switchover = switchoverFrom(resolveSwitchover(inventoryOf(lab), {vm: 'db-03', to: 'y'}))
      const plan = async (ports?: readonly string[]) => {
        const {segment} = switchover
        const asked = {...switchover, segment: {...segment, ...(ports && {ports})}}
        const script = `
          const {arp} = await import(process.argv[1] + '/src/strategies/arp/arp.ts')
          const {systemWorld} = await import(process.argv[1] + '/src/net/system-world.ts')
          console.log(JSON.stringify(await arp.plan(JSON.parse(process.argv[2]), {interfaceName: 'db-03'}, systemWorld(() => {}))))`
        const root = join(import.meta.dirname, '../..')
        return JSON.parse(
          await lab.run('sw-y', process.execPath, '--input-type=module', '-e', script, root, JSON.stringify(asked)),
        )
      }
      expect(await plan()).toMatchObject({filter: 'missing', forms: [{form: 'ask'}, {form: 'reply'}]})
      await loadFilter(lab)
      expect(await plan()).toMatchObject({
        filter: 'verified',
        cautions: [],
        forms: [{form: 'ask'}, {form: 'reply'}, {form: 'ask', broadcast: true}],
      })
      const local = JSON.parse(await lab.run('sw-y', 'ip', '-json', 'link', 'show', 'master', 'br-b')) as {
        ifname: string
      }[]
      const other = local.find(({ifname}) => ifname !== 'dci-b')!.ifname
      expect(await plan(['dci-b'])).toMatchObject({filter: 'verified'})
      expect(await plan(['dci-b', other]), 'a port that leads there and has none').toMatchObject({
        filter: 'different',
        forms: {length: 2},
      })
      await lab.run('sw-y', 'nft', 'add', 'rule', 'bridge', FILTER_TABLE, 'gwlocal', 'counter')
      expect(await plan()).toMatchObject({filter: 'different', forms: [{form: 'ask'}, {form: 'reply'}]})
    })
  })
})
