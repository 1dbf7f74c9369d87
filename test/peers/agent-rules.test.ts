// A VM that has policy rules of its own: by rule and drain, they go on to mean what they meant.
import {describe, expect, it} from 'vitest'
import type {SwitchMode} from '../../src/wire/agent-message.ts'
import {FAR4, FAR6, NEW4, NEW6, OLD4, OLD6, type Site, withSite} from '../services/agent/site.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {eventually} from '../support/until.ts'

const OVERLAYS: readonly SwitchMode[] = ['rule', 'drain']
/** Of the VM's second NIC. */
const SECOND4 = '10.1.0.5'
const SECOND6 = 'fd01::5'
const FAMILIES = [
  {flag: '-4', source: SECOND4, far: FAR4, old: OLD4, fresh: NEW4},
  {flag: '-6', source: SECOND6, far: FAR6, old: OLD6, fresh: NEW6},
] as const

describe.skipIf(noNamespaces)("a NIC whose addresses have a table of their own, as a cloud's images set it up", () => {
  it.each<[string, readonly string[]]>([
    ['where ip(8) puts it by itself', []],
    ['right before the main table', ['pref', '32765']],
    ['further up', ['pref', '6800']],
    ['high up', ['pref', '100']],
  ])('answers from them by it, with its rule %s', async (_name, place) => {
    await withSite({}, async (site) => {
      await addSecondNic(site)
      for (const {flag, source} of FAMILIES)
        await site.run('vm', 'ip', flag, 'rule', 'add', 'from', source, 'lookup', '200', ...place)
      await site.start()
      const before = await site.routing()
      for (const mode of OVERLAYS) {
        expect(await site.ask({run: mode, gw4: NEW4, gw6: NEW6, mode})).toMatchObject({state: 'confirmed'})
        for (const {source, far, fresh} of FAMILIES) {
          expect(await routeOf(site, far)).toMatch(`via ${fresh} dev eth0`)
          expect(await routeOf(site, far, 'from', source)).toMatch('dev eth1')
        }
        await site.ask({op: 'rollback', run: mode})
        expect(await site.routing()).toBe(before)
      }
    })
  })

  it.each<[string, readonly string[]]>([
    ['where ip(8) puts it by itself', []],
    ['right before the main table', ['pref', '32765']],
  ])('that is set up after the switch, %s', async (_name, place) => {
    await withSite({}, async (site) => {
      await addSecondNic(site)
      await site.start()
      const before = await site.routing()
      await site.ask({run: 'a', gw4: NEW4, gw6: NEW6, mode: 'drain', drain_s: 60})
      for (const {flag, source, far, fresh} of FAMILIES) {
        const rule = ['from', source, 'lookup', '200', ...place]
        await site.run('vm', 'ip', flag, 'rule', 'add', ...rule)
        await eventually(async () => expect(await routeOf(site, far, 'from', source)).toMatch('dev eth1'))
        // Sessions that drain are no exception.
        await eventually(async () =>
          expect(await routeOf(site, far, 'from', source, 'mark', '0x670000')).toMatch('dev eth1'),
        )
        expect(await routeOf(site, far)).toMatch(`via ${fresh} dev eth0`)
        await site.run('vm', 'ip', flag, 'rule', 'del', ...rule)
      }
      await site.ask({op: 'rollback', run: 'a'})
      expect(await site.routing()).toBe(before)
    })
  })
})

describe.skipIf(noNamespaces)("a tunnel that takes all of the VM's traffic, as wg-quick(8) sets it up", () => {
  it.each(OVERLAYS)('keeps it in mode %s, and itself goes through the new gateway', async (mode) => {
    await withSite({}, async (site) => {
      await addTunnel(site)
      await tunnelUp(site)
      await site.start()
      const before = await site.routing()
      expect(await site.ask({run: 'a', gw4: NEW4, gw6: NEW6, mode, drain_s: 60})).toMatchObject({state: 'confirmed'})
      await expectTunnelled(site, 'new')
      await site.ask({op: 'rollback', run: 'a'})
      await expectTunnelled(site, 'old')
      expect(await site.routing()).toBe(before)
    })
  })

  it.each(OVERLAYS)('is set up after the switch in mode %s, and taken down again', async (mode) => {
    await withSite({}, async (site) => {
      await addTunnel(site)
      await site.start()
      const before = await site.routing()
      expect(await site.ask({run: 'a', gw4: NEW4, gw6: NEW6, mode, drain_s: 60})).toMatchObject({state: 'confirmed'})
      const switched = await site.routing()
      await tunnelUp(site)
      await expectTunnelled(site, 'new')
      await tunnelDown(site)
      // Which takes away rules that look like its own.
      expect(await site.routing()).toBe(switched)
      for (const {far, fresh, old} of FAMILIES) {
        expect(await routeOf(site, far)).toMatch(`via ${fresh} dev eth0`)
        expect(await routeOf(site, old)).not.toMatch('via')
      }
      await site.ask({op: 'rollback', run: 'a'})
      expect(await site.routing()).toBe(before)
    })
  })
})

describe.skipIf(noNamespaces)('a rule of the VM', () => {
  it('for its own address keeps everything where it is: refused before anything is tried', async () => {
    await withSite({}, async (site) => {
      await site.run('vm', 'ip', 'route', 'add', 'default', 'via', OLD4, 'dev', 'eth0', 'table', '100')
      await site.run('vm', 'ip', 'rule', 'add', 'from', '10.0.0.10', 'lookup', '100', 'pref', '100')
      await site.start()
      const before = await site.routing()
      for (const mode of ['replace', ...OVERLAYS] as const)
        expect(await site.ask({gw4: NEW4, mode})).toMatchObject({state: 'refused', reason: 'mode', gw4: OLD4})
      expect(await site.routing()).toBe(before)
    })
  })

  it('that takes every packet before the main table does: refused, for nothing would change', async () => {
    await withSite({}, async (site) => {
      await site.run('vm', 'ip', 'route', 'add', 'default', 'via', OLD4, 'dev', 'eth0', 'table', '100')
      await site.run('vm', 'ip', 'rule', 'add', 'lookup', '100', 'pref', '1000')
      await site.start()
      const before = await site.routing()
      for (const mode of ['replace', ...OVERLAYS] as const) {
        expect(await site.ask({gw4: NEW4, mode})).toMatchObject({
          state: 'refused',
          reason: 'mode',
          detail: expect.stringMatching(/what is sent goes by .* the default route of table 100/),
        })
      }
      expect(await site.routing()).toBe(before)
      // The other family has none.
      expect(await site.ask({gw6: NEW6, mode: 'rule'})).toMatchObject({state: 'confirmed'})
    })
  })

  it('that puts the main table further up: ours go before that one', async () => {
    await withSite({}, async (site) => {
      await site.run('vm', 'ip', 'rule', 'add', 'lookup', 'main', 'pref', '1000')
      await site.start()
      const before = await site.routing()
      for (const mode of OVERLAYS) {
        expect(await site.ask({run: mode, gw4: NEW4, mode})).toMatchObject({state: 'confirmed'})
        expect(await site.gateway()).toBe(NEW4)
        await site.ask({op: 'rollback', run: mode})
        expect(await site.routing()).toBe(before)
      }
    })
  })
})

/** eth1 on a segment of its own, with a table 200 that has its gateway. */
async function addSecondNic(site: Site): Promise<void> {
  const peer = ['type', 'veth', 'peer', 'name', 'eth1', 'netns', site.ns('r1')]
  await site.run('vm', 'ip', 'link', 'add', 'eth1', ...peer)
  await batch(site, 'r1', ['link set eth1 up', 'address add 10.1.0.1/24 dev eth1', 'address add fd01::1/64 dev eth1'])
  await batch(site, 'vm', [
    'link set eth1 up',
    `address add ${SECOND4}/24 dev eth1`,
    `address add ${SECOND6}/64 dev eth1`,
    'route add default via 10.1.0.1 dev eth1 table 200',
    'route add default via fd01::1 dev eth1 table 200',
  ])
}

const WG = {mark: '51820', table: '51820'}

/** wg0: no encryption, but a way to `far` past the gateways, so that what goes by it is answered. */
async function addTunnel(site: Site): Promise<void> {
  const peer = ['type', 'veth', 'peer', 'name', 'wg', 'netns', site.ns('far')]
  await site.run('vm', 'ip', 'link', 'add', 'wg0', ...peer)
  await batch(site, 'far', ['address add 10.66.0.1/24 dev wg', 'address add fd66::1/64 dev wg', 'link set wg up'])
  await batch(site, 'vm', ['address add 10.66.0.2/24 dev wg0', 'address add fd66::2/64 dev wg0', 'link set wg0 up'])
  // A fresh veth drops what it is given for a moment.
  await eventually(async () => void (await site.run('vm', 'ping', '-c1', '-W1', 'fd66::1')))
}

/** In wg-quick's words and order (add_default). */
async function tunnelUp(site: Site): Promise<void> {
  for (const [flag, via] of [
    ['-4', '10.66.0.1'],
    ['-6', 'fd66::1'],
  ] as const) {
    const ip = (...words: string[]): Promise<string> => site.run('vm', 'ip', flag, ...words)
    await ip('rule', 'add', 'not', 'fwmark', WG.mark, 'table', WG.table)
    await ip('rule', 'add', 'table', 'main', 'suppress_prefixlength', '0')
    await ip('route', 'add', 'default', 'via', via, 'dev', 'wg0', 'table', WG.table)
  }
}

/** In wg-quick's words and order (del_if). */
async function tunnelDown(site: Site): Promise<void> {
  for (const flag of ['-4', '-6']) {
    const ip = (...words: string[]): Promise<string> => site.run('vm', 'ip', flag, ...words)
    while ((await ip('rule', 'show')).includes(`lookup ${WG.table}`)) await ip('rule', 'delete', 'table', WG.table)
    while ((await ip('rule', 'show')).includes('from all lookup main suppress_prefixlength 0'))
      await ip('rule', 'delete', 'table', 'main', 'suppress_prefixlength', '0')
    await ip('route', 'flush', 'table', WG.table)
  }
}

async function expectTunnelled(site: Site, gateway: 'old' | 'new'): Promise<void> {
  for (const {far, old, fresh} of FAMILIES) {
    expect(await routeOf(site, far)).toMatch('dev wg0')
    // Those that drain too: they went by it before.
    expect(await routeOf(site, far, 'mark', '0x670000')).toMatch('dev wg0')
    expect(await routeOf(site, far, 'mark', WG.mark)).toMatch(`via ${gateway === 'new' ? fresh : old} dev eth0`)
    // What is on-link stays on-link.
    expect(await routeOf(site, old)).toMatch('dev eth0')
  }
}

/** As the VM's kernel decides. */
const routeOf = (site: Site, to: string, ...how: string[]): Promise<string> =>
  site.run('vm', 'ip', to.includes(':') ? '-6' : '-4', 'route', 'get', to, ...how)

async function batch(site: Site, node: string, lines: readonly string[]): Promise<void> {
  for (const line of lines) await site.run(node, 'ip', ...line.split(' '))
}
