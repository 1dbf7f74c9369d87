// Open TCP sessions across a switch between gateways that translate addresses and forward nothing of a session that they
// did not see begin: what stays where it is, lives.
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {runCommand} from '../../src/net/process/command.ts'
import {FAR4, FAR6, NEW4, NEW6, OLD4, OLD6, type Site, VM4, withSite} from '../services/agent/site.ts'
import type {Traffic} from '../services/agent/start-traffic.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {eventually} from '../support/until.ts'

/** Addresses by which `far` knows the gateways. */
const FAMILIES = [
  {far: FAR4, to: {gw4: NEW4}, back: {gw4: OLD4}, old: '172.16.1.1', fresh: '172.16.2.1'},
  {far: FAR6, to: {gw6: NEW6}, back: {gw6: OLD6}, old: 'fd00:1::1', fresh: 'fd00:2::1'},
]

describe.skipIf(noNamespaces)('through stateful gateways', () => {
  it('the open session dies in replace', async () => {
    await withSite({nat: true}, async (site) => {
      await site.start()
      const traffic = await open(site, FAR4, '172.16.1.1')
      expect(await site.ask({gw4: NEW4, mode: 'replace'})).toMatchObject({state: 'confirmed'})
      await expectDead(traffic)
      expect(await traffic.another()).toBe('172.16.2.1')
    })
  })

  it.each(FAMILIES)(
    'to $far: the open session lives in drain, new ones take the new gateway, until the drain ends',
    async ({far, to, old, fresh}) => {
      await withSite({nat: true}, async (site) => {
        await site.start()
        const traffic = await open(site, far, old)
        expect(await site.ask({...to, mode: 'drain', drain_s: 4})).toMatchObject({state: 'confirmed'})
        await expectAlive(traffic, old)
        expect(await traffic.another()).toBe(fresh)
        await drained(site)
        expect(await site.routing()).not.toMatch(/fwmark 0x67.*table 14|lookup 141|table 141/)
        expect(await site.run('vm', 'nft', 'list', 'tables')).not.toMatch(/gwswitch/)
        // With the drain, the session is over: the new gateway did not see it begin.
        await expectDead(traffic)
      })
    },
  )

  it.each(FAMILIES)(
    'to $far: a session that was opened during a drain outlives the switch back',
    async ({far, to, back, old, fresh}) => {
      await withSite({nat: true}, async (site) => {
        await site.start()
        expect(await site.ask({...to, mode: 'drain', drain_s: 2})).toMatchObject({state: 'confirmed'})
        const during = await open(site, far, fresh)
        await drained(site)
        const after = await open(site, far, fresh)
        expect(await site.ask({...back, mode: 'drain', drain_s: 60})).toMatchObject({state: 'confirmed'})
        expect(await during.another()).toBe(old)
        await expectAlive(during, fresh)
        await expectAlive(after, fresh)
      })
    },
  )

  it.each(FAMILIES)(
    'to $far: there and back while the first drain goes on, every session stays on the gateway that saw it begin',
    async ({far, to, back, old, fresh}) => {
      await withSite({nat: true}, async (site) => {
        await site.start()
        const first = await open(site, far, old)
        for (const round of [1, 2]) {
          expect(await site.ask({...to, mode: 'drain', drain_s: 60})).toMatchObject({state: 'confirmed'})
          const second = await open(site, far, fresh)
          expect(await site.ask({...back, mode: 'drain', drain_s: 60})).toMatchObject({state: 'confirmed'})
          const third = await open(site, far, old)
          for (const [traffic, from] of [
            [first, old],
            [second, fresh],
            [third, old],
          ] as const)
            await expectAlive(traffic, from, `round ${round}`)
          await second.stop()
          await third.stop()
        }
      })
    },
  )

  it('a switch back by rule ends the drain, and what was kept on that gateway goes on there', async () => {
    await withSite({nat: true}, async (site) => {
      await site.start()
      const before = await site.routing()
      const traffic = await open(site, FAR4, '172.16.1.1')
      expect(await site.ask({gw4: NEW4, mode: 'drain', drain_s: 60})).toMatchObject({state: 'confirmed'})
      expect(await site.ask({gw4: OLD4, mode: 'rule'})).toMatchObject({state: 'confirmed'})
      await expectAlive(traffic, '172.16.1.1')
      expect(site.memory().last?.drainUntil).toBeUndefined()
      expect(await site.routing()).toBe(before)
      expect(await site.run('vm', 'nft', 'list', 'tables')).not.toMatch(/gwswitch/)
    })
  })

  it('a command that comes to nothing ends no drain', async () => {
    await withSite({nat: true, config: {windows: {probeMs: 600}}}, async (site) => {
      const agent = await site.start()
      const traffic = await open(site, FAR4, '172.16.1.1')
      expect(await site.ask({run: 'a', gw4: NEW4, mode: 'drain', drain_s: 12})).toMatchObject({state: 'confirmed'})
      await site.run('r1', 'nft', 'add rule inet state forward icmp type echo-request drop')
      await site.run('r1', 'nft', 'insert rule inet state forward icmp type echo-request drop')
      expect(await site.ask({gw4: OLD4, mode: 'drain'})).toMatchObject({state: 'refused', reason: 'probe_failed'})
      await expectAlive(traffic, '172.16.1.1')
      // Nor does it make one that has no end, with an agent that is started again either.
      await agent.kill('SIGKILL')
      await site.start()
      await expectAlive(traffic, '172.16.1.1')
      await drained(site, 20_000)
      expect(await site.run('vm', 'nft', 'list', 'tables')).not.toMatch(/gwswitch/)
    })
  })

  it.each(FAMILIES)(
    'to $far: sessions of what lies behind the VM drain like its own',
    async ({far, to, back, old, fresh}) => {
      await withSite({nat: true}, async (site) => {
        await addContainer(site)
        await site.start()
        const first = await open(site, far, old, 'box')
        expect(await site.ask({...to, mode: 'drain', drain_s: 60})).toMatchObject({state: 'confirmed'})
        await expectAlive(first, old)
        const second = await open(site, far, fresh, 'box')
        expect(await site.ask({...back, mode: 'drain', drain_s: 60})).toMatchObject({state: 'confirmed'})
        await expectAlive(second, fresh)
        await expectAlive(first, old)
        expect(await first.another()).toBe(old)
      })
    },
  )
})

/** A session that is open, and seen to come from there. */
async function open(site: Site, far: string, from: string, node = 'vm'): Promise<Traffic> {
  const traffic = await site.traffic(far, node, true)
  await eventually(async () => expect((await traffic.look()).from).toBe(from))
  return traffic
}

async function expectAlive(traffic: Traffic, from: string, message?: string): Promise<void> {
  const before = await traffic.look()
  await eventually(async () => expect((await traffic.look()).echoes, message).toBeGreaterThan(before.echoes + 20))
  expect((await traffic.look()).from, message).toBe(from)
}

async function expectDead(traffic: Traffic): Promise<void> {
  await delay(1500)
  expect((await traffic.look()).sinceMs).toBeGreaterThan(1000)
}

const drained = (site: Site, withinMs = 15_000): Promise<void> =>
  eventually(async () => expect(site.memory().last?.drainUntil).toBeUndefined(), withinMs)

/** A namespace behind the VM, as a container's: the VM forwards, and translates its addresses. */
async function addContainer(site: Site): Promise<void> {
  const run = (node: string, line: string): Promise<string> => site.run(node, 'ip', ...line.split(' '))
  await runCommand('ip', ['netns', 'add', site.ns('box')])
  for (const line of [
    `link add box type veth peer name eth0 netns ${site.ns('box')}`,
    'address add 10.88.0.1/24 dev box',
    'address add fd88::1/64 dev box nodad',
    'link set box up',
  ])
    await run('vm', line)
  for (const line of [
    'link set lo up',
    'link set eth0 up',
    'address add 10.88.0.2/24 dev eth0',
    'address add fd88::2/64 dev eth0 nodad',
    'route add default via 10.88.0.1',
    'route add default via fd88::1',
  ])
    await run('box', line)
  await site.run('vm', 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  await site.run(
    'vm',
    'nft',
    'add table inet nat; add chain inet nat post { type nat hook postrouting priority srcnat; }; add rule inet nat post oifname "eth0" masquerade',
  )
  await eventually(async () => void (await site.run('box', 'ping', '-c1', '-W1', 'fd88::1')))
  await eventually(async () => void (await site.run('box', 'ping', '-c1', '-W1', VM4)))
}
