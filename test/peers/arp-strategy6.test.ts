// The arp strategy on a host with both families: everything moves, is proved, and comes back together.
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../src/domain/inventory/switchover.ts'
import {arp} from '../../src/strategies/arp/arp.ts'
import {announcementFrame} from '../../src/strategies/arp/frames.ts'
import {carryOut} from '../../src/strategies/switch.ts'
import {INVENTORY} from '../support/inventory.ts'
import {noNamespaces, type PairEnd, withPair} from '../support/namespaces.ts'
import {BX, BY, until} from './arp-lab.ts'
import {linkIn, worldIn} from './arp-link.ts'

const VM6 = '2001:db8:1::10'

/** The lab of two namespaces: one is the VM, the other its port. Both families hold the gateway at X. */
async function withVm<T>(ip6: {bx: string; by: string}, fn: (vm: PairEnd, wire: PairEnd) => Promise<T>): Promise<T> {
  return withPair(async (vm, wire) => {
    const sysctl = ['accept_dad=0', 'router_solicitations=0', 'disable_ipv6=0']
      .map((setting) => `net.ipv6.conf.eth0.${setting}`)
      .join(' ')
    await vm.run(
      'sh',
      '-ec',
      `sysctl -qw ${sysctl}
       ip address add 10.1.0.10/24 dev eth0; ip address add ${VM6}/64 dev eth0 nodad
       ip neigh replace 10.1.0.254 lladdr ${BX} dev eth0 nud reachable`,
    )
    await using link = await linkIn(wire.namespace, wire.interface)
    link.send(announcementFrame('ra', {ip: ip6.bx, mac: BX}, {vm: {ip: VM6, mac: vm.mac}}, link.mac).bytes)
    await until(
      () => routers(vm),
      (all) => all.length > 0,
    )
    return await fn(vm, wire)
  })
}

async function planned(ip6: {bx: string; by: string}, vm: PairEnd, wire: PairEnd) {
  const text = INVENTORY.replaceAll('02:00:00:00:01:10"', `${vm.mac}", ip6: [${VM6}]`)
    .replace(`mac: "${BX}"`, `mac: "${BX}", ip6: ["${ip6.bx}"]`)
    .replace(`mac: "${BY}"`, `mac: "${BY}", ip6: ["${ip6.by}"]`)
  const switchover = switchoverFrom(resolveSwitchover(parseInventory(text, 'gwswitch.yaml'), {vm: 'db-03', to: 'y'}))
  return arp.plan(switchover, {interfaceName: wire.interface}, worldIn(wire.namespace))
}

const neighbour = async (vm: PairEnd, ip: string): Promise<string | undefined> =>
  (JSON.parse(await vm.run('ip', '-json', 'neigh', 'show', ip)) as {lladdr?: string}[])[0]?.lladdr
async function routers(vm: PairEnd): Promise<string[]> {
  const routes = JSON.parse(await vm.run('ip', '-json', '-6', 'route', 'show', 'default')) as {gateway: string}[]
  return routes.map(({gateway}) => gateway)
}

describe.skipIf(noNamespaces)('the arp strategy with IPv6', () => {
  it('moves the shared addresses of both families', async () => {
    const ip6 = {bx: 'fe80::1', by: 'fe80::1'}
    await withVm(ip6, async (vm, wire) => {
      const world = worldIn(wire.namespace)
      const plan = await planned(ip6, vm, wire)
      const {verdict} = await carryOut(arp, plan, world, new AbortController().signal)
      expect(verdict).toEqual({
        ok: true,
        evidence: [`db-03 sends to by (${BY})`, `db-03 sends to by (${BY}) for fe80::1`],
      })
      expect([await neighbour(vm, '10.1.0.254'), await neighbour(vm, 'fe80::1')]).toEqual([BY, BY])
      expect(await routers(vm)).toEqual(['fe80::1'])
    })
  })

  it('takes the default route to a router with an address of its own, and back', async () => {
    const ip6 = {bx: 'fe80::a', by: 'fe80::b'}
    await withVm(ip6, async (vm, wire) => {
      const world = worldIn(wire.namespace)
      const plan = await planned(ip6, vm, wire)
      expect((await carryOut(arp, plan, world, new AbortController().signal)).verdict).toMatchObject({ok: true})
      expect(await routers(vm)).toEqual(['fe80::b'])
      const stage = {world, signal: new AbortController().signal, observe: () => {}}
      expect(await arp.rollback(plan, stage)).toMatchObject({ok: true})
      expect(await routers(vm)).toEqual(['fe80::a'])
      expect(await neighbour(vm, '10.1.0.254')).toBe(BX)
    })
  })

  it('takes both families back where one does not follow', async () => {
    const ip6 = {bx: 'fe80::1', by: 'fe80::1'}
    await withVm(ip6, async (vm, wire) => {
      await sleep(50)
      await vm.run('ip', 'neigh', 'replace', 'fe80::1', 'lladdr', BX, 'dev', 'eth0', 'nud', 'permanent')
      const plan = await planned(ip6, vm, wire)
      const {verdict, rollback} = await carryOut(arp, plan, worldIn(wire.namespace), new AbortController().signal)
      expect(verdict).toMatchObject({
        ok: false,
        evidence: expect.arrayContaining([`db-03 sends to bx (${BX}) for fe80::1`]),
      })
      expect(rollback).toMatchObject({ok: true})
      expect(await neighbour(vm, '10.1.0.254')).toBe(BX)
    })
  })
})
