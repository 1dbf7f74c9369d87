// A NIC in a bridge, which has its MAC, as a bond, a VLAN or a failover pair has: what is meant by the MAC is the one with
// the default route.
import {randomUUID} from 'node:crypto'
import {describe, expect, it} from 'vitest'
import {tryCommand} from '../../src/net/process/command.ts'
import type {GuestAgent} from '../../src/net/stream/qga.ts'
import {qgaConversation} from '../../src/strategies/agent/qga-switch.ts'
import {FAR4, FAR6, NEW4, NEW6, OLD4, OLD6, type Site, VM_MAC, VM4, withSite} from '../services/agent/site.ts'
import {noNamespaces} from '../support/namespaces.ts'

describe.skipIf(noNamespaces)('a NIC that shares its MAC with the bridge that it is in', () => {
  it.each(['replace', 'rule', 'drain'] as const)('is not what the agent switches in mode %s', async (mode) => {
    await withSite({plain: false, config: {interfaces: [{mac: VM_MAC}]}}, async (site) => {
      await bridged(site)
      await site.start()
      const before = await site.routing()
      // Named by the message, and by the configuration alone.
      for (const named of [{mac: VM_MAC}, {}]) {
        const order = {run: `run-${mode}-${Object.keys(named)}`, gw4: NEW4, gw6: NEW6, mode, ...named}
        expect(await site.ask(order)).toMatchObject({state: 'confirmed', gw4: NEW4, gw6: NEW6})
        expect([await site.gateway(FAR4), await site.gateway(FAR6)]).toEqual([NEW4, NEW6])
        await site.ask({op: 'rollback', run: order.run})
        expect(await site.routing()).toBe(before)
      }
    })
  })

  it('is not what is switched through the QEMU guest agent', async () => {
    await withSite({plain: false}, async (site) => {
      await bridged(site)
      const said: string[] = []
      const conversation = qgaConversation(
        {
          ...{name: 'web-07', id: 'web-07', ip: VM4, mac: VM_MAC, agentKey: null, kid: null},
          transport: {kind: 'qga', socket: '/none'},
        },
        {
          ...{run: `test-${randomUUID()}`, site: null, mode: null, confirmS: 0, timeoutMs: 5000},
          ...{from: {v4: OLD4, v6: OLD6}, to: {v4: NEW4, v6: NEW6}, probes: [FAR4, FAR6]},
        },
        async () => guestOf(site),
        {
          world: {now: () => process.hrtime.bigint(), sleep: async () => {}},
          signal: new AbortController().signal,
          observe: ({text}) => void said.push(text),
        },
      )
      expect(await conversation.begin(), said.join('\n')).toMatchObject({
        state: 'confirmed',
        gateways: {v4: NEW4, v6: NEW6},
      })
      expect([await site.gateway(FAR4), await site.gateway(FAR6)]).toEqual([NEW4, NEW6])
      conversation.close()
    })
  })
})

/** eth0 in br-vm, with the addresses and the default routes on the latter. */
async function bridged(site: Site): Promise<void> {
  for (const line of [
    `link add br-vm address ${VM_MAC} type bridge`,
    'link set eth0 master br-vm',
    'link set br-vm up',
    `address add ${VM4}/24 dev br-vm`,
    'address add fd00::10/64 dev br-vm nodad',
    `route add default via ${OLD4} dev br-vm`,
    `route add default via ${OLD6} dev br-vm`,
  ])
    await site.run('vm', 'ip', ...line.split(' '))
  for (let tries = 0; tries < 50; tries++) {
    const ping = await tryCommand('ip', ['netns', 'exec', site.ns('vm'), 'ping', '-c1', '-W1', FAR6])
    if (ping.code === 0) return
  }
  throw new Error('the bridge does not forward')
}

/** What QEMU's agent would be in the VM, with the namespace for the guest. */
function guestOf(site: Site): GuestAgent {
  const inVm = ['netns', 'exec', site.ns('vm')]
  return {
    async interfaces() {
      const links = JSON.parse(await site.run('vm', 'ip', '-json', 'address')) as {
        ifname: string
        address: string
        addr_info: {local: string; prefixlen: number}[]
      }[]
      return links.map(({ifname, address, addr_info}) => ({
        name: ifname,
        mac: address,
        addresses: addr_info.map(({local, prefixlen}) => ({ip: local, length: prefixlen})),
      }))
    },
    run: (argv) => tryCommand('ip', [...inVm, ...argv]),
    async start(argv) {
      return site.spawn('vm', ...argv).child.pid!
    },
    close() {},
  }
}
