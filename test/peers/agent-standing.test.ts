// What was confirmed, and then the VM changes under it: overlays follow the owner of the route, and what is so no more is said.
import {describe, expect, it} from 'vitest'
import type {AgentStatus} from '../../src/services/agent/status.ts'
import {FAR4, FAR6, NEW4, NEW6, OLD4, type Site, VM_MAC, withSite} from '../services/agent/site.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {eventually, until} from '../support/until.ts'

const CONFIG = {probes: [FAR4], windows: {guardS: 0, probeMs: 1500}}
const ip = (site: Site, line: string): Promise<string> => site.run('vm', 'ip', ...line.split(' '))
const agentSays = (site: Site, ...words: string[]) =>
  gwswitch(['agent', ...words, '--config', site.configFile, '--json'], {namespace: site.ns('vm')})
const status = async (site: Site): Promise<AgentStatus> => (await agentSays(site, 'status')).json as AgentStatus
const uses = (site: Site, gateway: string | undefined): Promise<void> =>
  until(async () => (await site.gateway()) === gateway, 10_000, `${gateway} in use`)

/** A second uplink, straight to `far`, for which the VM has a route of a higher metric. */
async function secondUplink(site: Site): Promise<string> {
  await site.run('vm', 'ip', 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'vm', 'netns', site.ns('far'))
  await site.run('far', 'ip', 'address', 'add', '192.168.77.2/24', 'dev', 'vm')
  await site.run('far', 'ip', 'link', 'set', 'vm', 'up')
  await ip(site, 'link set eth1 up')
  await ip(site, 'address add 192.168.77.10/24 dev eth1')
  await ip(site, 'route add default via 192.168.77.2 dev eth1 metric 200')
  return '192.168.77.2'
}

describe.skipIf(noNamespaces)('an overlay that was confirmed', () => {
  it('goes when its interface is outranked or its route moves, and comes back with it', async () => {
    await withSite({config: CONFIG}, async (site) => {
      const second = await secondUplink(site)
      await ip(site, 'route del default via 10.0.0.1')
      await ip(site, `route add default via ${OLD4} dev eth0 metric 100`)
      const agent = await site.start()
      expect(await site.ask({run: 'a', gw4: NEW4, mode: 'rule'})).toMatchObject({state: 'confirmed'})
      // As NetworkManager does when its connectivity check fails.
      await ip(site, `route add default via ${OLD4} dev eth0 metric 20100`)
      await ip(site, `route del default via ${OLD4} dev eth0 metric 100`)
      await uses(site, second)
      expect((await status(site)).standing).toMatchObject([
        {gateway: NEW4, run: 'a', state: 'withdrawn', why: 'the default route is that of eth1 now'},
      ])
      await ip(site, `route add default via ${OLD4} dev eth0 metric 100`)
      await ip(site, `route del default via ${OLD4} dev eth0 metric 20100`)
      await uses(site, NEW4)
      // Its owner moves it to a third gateway: that is what the VM is to use.
      await ip(site, 'route replace default via 10.0.0.77 dev eth0 metric 100')
      await uses(site, '10.0.0.77')
      expect(await ip(site, 'rule')).not.toMatch(/142/)
      expect(agent.log().match(/is withdrawn/g)).toHaveLength(2)
      await ip(site, `route replace default via ${OLD4} dev eth0 metric 100`)
      await uses(site, NEW4)
      await site.ask({op: 'rollback', run: 'a'})
      expect(await site.gateway()).toBe(OLD4)
    })
  })

  it('is found again by its MAC when the interface is replugged', async () => {
    await withSite({config: CONFIG}, async (site) => {
      await site.start()
      expect(await site.ask({run: 'a', gw4: NEW4, mode: 'rule'})).toMatchObject({state: 'confirmed'})
      await ip(site, 'link del eth0')
      await until(async () => !(await ip(site, 'rule')).includes('142'), 10_000, 'no rule')
      const peer = ['type', 'veth', 'peer', 'name', 'vm', 'netns', site.ns('sw')]
      await site.run('vm', 'ip', 'link', 'add', 'eth9', 'address', VM_MAC, ...peer)
      await site.run('sw', 'ip', 'link', 'set', 'vm', 'master', 'br0', 'up')
      for (const line of ['link set eth9 up', 'address add 10.0.0.10/24 dev eth9', `route add default via ${OLD4}`])
        await ip(site, line)
      await uses(site, NEW4)
      expect(await ip(site, 'route show table 142')).toMatch(/^default via 10\.0\.0\.2 dev eth9 /)
      expect(await site.ask({op: 'rollback', run: 'a'})).toMatchObject({state: 'rolled_back', gw4: OLD4})
    })
  })
})

describe.skipIf(noNamespaces)('a route that was rewritten', () => {
  it('and is the old one again, is told of once', async () => {
    await withSite({config: CONFIG}, async (site) => {
      const agent = await site.start()
      expect(await site.ask({run: 'a', gw4: NEW4, mode: 'replace'})).toMatchObject({state: 'confirmed'})
      await ip(site, 'link set eth0 down')
      await ip(site, 'link set eth0 up')
      await ip(site, `route add default via ${OLD4}`)
      await until(async () => agent.log().includes('is not in use any more'), 15_000, 'a line')
      // Its line may speak of the moment in which there was no route at all.
      expect((await status(site)).standing).toMatchObject([
        {gateway: NEW4, state: 'lost', why: `the VM sends by ${OLD4} (eth0)`},
      ])
      await ip(site, `route replace default via ${NEW4}`)
      await until(async () => agent.log().includes('is in use again'), 15_000, 'another line')
      expect(agent.log().match(/is not in use any more/g)).toHaveLength(1)
    })
  })
})

describe.skipIf(noNamespaces)('a rollback that cannot be done', () => {
  it('in one family is done in the other, and keeps no command waiting', async () => {
    await withSite({config: CONFIG}, async (site) => {
      await site.start()
      await site.ask({run: 'a', gw4: NEW4, gw6: NEW6, confirm_s: 2, mode: 'replace'}, ({state}) => state === 'applied')
      await site.run('vm', 'sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=1')
      await uses(site, OLD4)
      await until(async () => site.memory().last?.state === 'rolled_back', 10_000, 'the end of it')
      expect(site.memory().last?.detail).toMatch(/IPv6 on eth0 is gone/)
      expect(await site.ask({gw4: NEW4})).toMatchObject({state: 'confirmed'})
    })
  })

  it('because the VM was renumbered, leaves it to the next command', async () => {
    await withSite({config: CONFIG}, async (site) => {
      await site.start()
      await site.ask({run: 'a', gw4: NEW4, confirm_s: 2}, ({state}) => state === 'applied')
      await ip(site, 'address add 10.0.1.10/24 dev eth0')
      await ip(site, 'address del 10.0.0.10/24 dev eth0')
      await until(async () => site.memory().last?.trouble !== undefined, 10_000, 'an attempt')
      await ip(site, 'address add 10.0.0.10/24 dev eth0')
      // Nothing waits for the next attempt; and what was not undone is, before or after.
      await eventually(async () => expect(await site.ask({gw4: OLD4})).toMatchObject({state: 'confirmed'}))
      await uses(site, OLD4)
    })
  })
})

describe.skipIf(noNamespaces)('agent reset', () => {
  it('takes everything away at once, with an agent and without', async () => {
    await withSite({config: {...CONFIG, probes: [FAR4, FAR6]}}, async (site) => {
      const agent = await site.start()
      const before = await site.routing()
      for (const by of ['agent', 'command', 'kernel'] as const) {
        const running = by === 'agent' ? agent : await site.start()
        expect(await site.ask({run: by, gw4: NEW4, gw6: NEW6, mode: 'drain', drain_s: 600})).toMatchObject({
          state: 'confirmed',
        })
        if (by !== 'agent') await running.kill('SIGKILL')
        if (by === 'kernel') await site.run('vm', 'sh', '-c', `echo '{' >${site.directory}/state/agent-state.json`)
        const {code, json} = await agentSays(site, 'reset')
        expect(json, by).toMatchObject({by, left: null, gateways: {v4: OLD4}})
        expect(code).toBe(0)
        expect(await site.routing(), by).toBe(before)
        expect(await site.run('vm', 'nft', 'list', 'tables'), by).not.toMatch(/gwswitch/)
        if (by === 'agent') {
          // It goes on, and knows of it.
          expect(await site.ask({op: 'query', run: by})).toMatchObject({state: 'rolled_back', reason: 'reset'})
          await agent.kill('SIGTERM')
        }
      }
    })
  })

  it('leaves the only route that leads anywhere', async () => {
    await withSite({config: CONFIG}, async (site) => {
      const agent = await site.start()
      await site.ask({gw4: NEW4, mode: 'rule'})
      await agent.kill('SIGKILL')
      await ip(site, 'route del default')
      expect((await agentSays(site, 'reset')).json).toMatchObject({left: null, gateways: {v4: NEW4}})
      expect(await ip(site, 'rule')).not.toMatch(/142/)
      expect(await site.gateway()).toBe(NEW4)
    })
  })
})
