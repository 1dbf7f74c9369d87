// The filter commands on a real bridge: applied, checked against tampering, kept inbound, removed.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {type DecidedFilter, decideFilter, type FilterOrder} from '../../src/domain/filter/intent.ts'
import type {NftHook} from '../../src/domain/filter/nft-text.ts'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {applyFilter, inspectFilter, removeFilter} from '../../src/orders/filter/apply.ts'
import {type BridgeHost, filterHostIn, type TestBridge, until, withBridge} from '../support/bridge.ts'
import {type CliResult, gwswitch} from '../support/cli.ts'
import {FILTER_INVENTORY, GATEWAY, MUST_DROP} from '../support/filter-frames.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'

const ORDER: FilterOrder = {
  ports: ['vx0'],
  segments: [],
  inboundMoves: false,
  gatewayMacs: false,
  keepInbound: [],
  force: false,
}
const ownIpInventory = parseInventory(FILTER_INVENTORY, 'own-ip.yaml')
const singleIpInventory = parseInventory(FILTER_INVENTORY.replaceAll(/, ownIp: [\d.]+/g, ''), 'single-ip.yaml')
const decided = decideFilter(ORDER, ownIpInventory)

const directory = mkdtempSync(join(tmpdir(), 'gwswitch-filter-'))
afterAll(() => rmSync(directory, {recursive: true}))
const ownIp = join(directory, 'own-ip.yaml')
writeFileSync(ownIp, FILTER_INVENTORY)
const single = join(directory, 'single-ip.yaml')
writeFileSync(single, FILTER_INVENTORY.replaceAll(/, ownIp: [\d.]+/g, ''))

const cli = (bridge: TestBridge, ...args: readonly string[]): Promise<CliResult> =>
  gwswitch(['filter', ...args, '--json'], {namespace: bridge.namespace})

/** The filter of a namespace without a process a call: what the commands call. */
function filterOn({namespace}: TestBridge) {
  const host = filterHostIn(namespace)
  return {
    apply: (hook: NftHook = 'bridge', what: DecidedFilter = decided) => applyFilter(what, host, {hook, dryRun: false}),
    check: (hook: NftHook = 'bridge', what: DecidedFilter = decided) => inspectFilter(what, host, hook),
    remove: (ports: readonly string[] = []) => removeFilter(host, ports, false),
  }
}

describe.skipIf(noNamespaces)('gwswitch filter', () => {
  it('applies, once as good as twice, checks and removes', () =>
    withBridge({flooding: true}, async (bridge) => {
      const same = ['-i', 'vx0', '-f', ownIp]
      expect((await cli(bridge, 'check', ...same)).json).toMatchObject({state: 'missing', exitCode: 10})
      const dry = await cli(bridge, 'apply', ...same, '--dry-run')
      expect(dry.json).toMatchObject({changed: true, dryRun: true})
      expect(await bridge.run(['nft', 'list', 'ruleset'])).toBe('')
      const applied = await cli(bridge, 'apply', ...same)
      expect(applied.json).toMatchObject({schema: 'gwswitch.filter-apply/1', changed: true, state: 'as-meant'})
      expect(applied.code).toBe(0)

      const {apply, check, remove} = filterOn(bridge)
      for (const {bytes} of MUST_DROP.slice(0, 3)) bridge.far.send(bytes)
      const asks = async () => (await check()).counters.find(({rule}) => rule.startsWith('ARP that asks'))?.packets
      expect(await until(async () => (await asks()) === 3)).toBe(true)
      expect(await apply()).toMatchObject({changed: false})
      expect(await asks(), 'counters survive a second apply').toBe(3)

      await expect(remove(['other'])).rejects.toThrow('the filter covers vx0 too')
      expect((await cli(bridge, 'remove', '-i', 'vx0')).json).toMatchObject({changed: true, ports: ['vx0']})
      expect(await bridge.run(['nft', 'list', 'ruleset'])).toBe('')
      expect(await remove()).toMatchObject({changed: false, exitCode: 0})
    }))

  const TAMPERINGS: readonly (readonly [what: string, nft: string])[] = [
    ['an element is gone', 'delete element bridge gwswitch gw4 { 10.1.0.254 }'],
    ['a port is gone', 'flush set bridge gwswitch dci'],
    ['a chain was emptied', 'flush chain bridge gwswitch to_dci'],
    ['a rule was added in front', 'insert rule bridge gwswitch gwlocal accept'],
    ['a rule was added behind', 'add rule bridge gwswitch gwlocal ether type ip drop'],
    ['a chain drops all', 'add chain bridge gwswitch from_dci { policy drop; }'],
    ['the table sleeps', 'add table bridge gwswitch { flags dormant; }'],
    ['a set has more', 'add element bridge gwswitch gw4 { 10.1.0.10 }'],
    ['a chain was added', 'add chain bridge gwswitch more { type filter hook forward priority 0; policy drop; }'],
  ]
  it('notices whatever was changed behind its back, and puts it right', () =>
    withBridge({}, async (bridge) => {
      const {apply, check} = filterOn(bridge)
      for (const [what, command] of TAMPERINGS) {
        expect(await apply(), what).toMatchObject({changed: true, state: 'as-meant'})
        await bridge.run(['nft', command])
        const {state, exitCode, differences} = await check()
        expect({state, exitCode}, what).toEqual({state: 'different', exitCode: 10})
        expect(differences.length, what).toBeGreaterThan(0)
      }
      expect(await apply()).toMatchObject({state: 'as-meant'})
    }))

  it('is not fooled by a listing that was loaded again', () =>
    withBridge({}, async (bridge) => {
      const {apply} = filterOn(bridge)
      await apply()
      const listing = await bridge.run(['nft', 'list', 'ruleset'])
      await bridge.run(['nft', '-f', '-'], `flush ruleset\n${listing}`)
      expect(await bridge.run(['nft', 'list', 'ruleset']), 'the listings are equal').toBe(listing)
      const checked = await cli(bridge, 'check', '-i', 'vx0', '-f', ownIp)
      expect(checked.code).toBe(10)
      expect(checked.json.state).toBe('different')
      expect(checked.json.differences.join('\n')).toContain('a listing was loaded again')
      expect(await apply()).toMatchObject({changed: true, state: 'as-meant'})
    }))

  it('holds at the ports themselves too, and replaces the other form', () =>
    withBridge({}, async (bridge) => {
      const {apply, check, remove} = filterOn(bridge)
      await apply()
      expect(await apply('netdev')).toMatchObject({changed: true, state: 'as-meant'})
      expect(await bridge.run(['nft', 'list', 'tables'])).toBe('table netdev gwswitch\n')
      expect((await check('netdev')).state).toBe('as-meant')
      expect((await check()).state).toBe('missing')
      expect(await remove(['vx0'])).toMatchObject({changed: true})
      expect(await bridge.run(['nft', 'list', 'ruleset'])).toBe('')
    }))

  it('covers several ports with one filter, in both forms', () =>
    withBridge({}, async (bridge) => {
      const {apply, check, remove} = filterOn(bridge)
      // Made in another order than their names, and named in a third.
      const two = decideFilter({...ORDER, ports: ['vx0', 'loc']}, ownIpInventory)
      for (const hook of ['bridge', 'netdev'] as const) {
        expect(await apply(hook, two), hook).toMatchObject({changed: true, state: 'as-meant'})
        expect((await check(hook)).state, hook).toBe('different')
        await expect(remove(['vx0']), hook).rejects.toThrow('the filter covers loc too')
        expect((await remove(['vx0', 'loc'])).ports, hook).toEqual(['loc', 'vx0'])
      }
    }))

  it('refuses on the command line what is known to cut inbound, and touches nothing', () =>
    withBridge({}, async (bridge) => {
      const refused = await cli(bridge, 'apply', '-i', 'vx0', '-f', single)
      expect(refused.code).toBe(2)
      for (const cure of ['ownIp', '--inbound-moves', '--keep-inbound', '--force'])
        expect(refused.json.error.message).toContain(cure)
      expect(await bridge.run(['nft', 'list', 'ruleset'])).toBe('')
      expect((await cli(bridge, 'apply', '-i', 'vx0', '-f', single, '--force')).json.overridden).toHaveLength(1)
      expect((await cli(bridge, 'apply', '-i', 'nope', '-f', ownIp)).json.error.message).toContain('bridge ports are: ')
    }))

  it("hears a gateway's own address, and then needs no cure", () =>
    withBridge(
      {
        local: {mac: GATEWAY.mac, addresses: ['10.1.0.252/24']},
        far: {mac: '02:00:00:00:0b:02', addresses: ['10.1.0.253/24']},
      },
      async (bridge) => {
        // Each router asks for something, as routers do.
        const asking = setInterval(() => {
          for (const host of [bridge.local, bridge.far])
            void host.run('ping', '-c1', '-W1', '10.1.0.99').catch(() => {})
        }, 300)
        try {
          const {json} = await cli(bridge, 'show', '-i', 'vx0', '-f', single, '--observe', '3')
          expect(json.segments[0]).toMatchObject({kind: 'own-ip-and-vip'})
          expect(json.refusals).toEqual([])
        } finally {
          clearInterval(asking)
        }
      },
    ))
})

/** Deletes the gateway's entry for the VM and pings it: answered only if somebody answers ARP for the VM. */
async function finds(gateway: BridgeHost, vm: string): Promise<boolean> {
  await gateway.run('ip', 'neigh', 'flush', 'all')
  await gateway.run('ping', '-c1', '-W1', vm).catch(() => {})
  const entry = await gateway.run('ip', 'neigh', 'show', vm)
  return entry.includes('02:00:00:00:01:10')
}

describe.skipIf(noNamespaces)('gwswitch filter apply --keep-inbound', () => {
  it('lets the old gateway find a VM that has left, and is undone', async ({skip}) => {
    if (!(await hasProgram('ping'))) skip('ping(8) is not installed: iputils-ping')
    const hosts = {
      local: {mac: GATEWAY.mac, addresses: [`${GATEWAY.ip}/24`, `${GATEWAY.global}/64`]},
      far: {mac: '02:00:00:00:01:10', addresses: ['10.1.0.10/24', '2001:db8:1::10/64']},
    }
    await withBridge(hosts, async (bridge) => {
      const {apply, check, remove} = filterOn(bridge)
      const bare = decideFilter(ORDER, singleIpInventory)
      const keeping = decideFilter({...ORDER, keepInbound: ['db-03']}, singleIpInventory)
      expect(await finds(bridge.local, '10.1.0.10'), 'without a filter').toBe(true)
      await apply('bridge', bare)
      expect(await finds(bridge.local, '10.1.0.10'), 'the filter cuts it').toBe(false)
      expect(await finds(bridge.local, '2001:db8:1::10'), 'IPv6 too').toBe(false)

      const kept = await cli(bridge, 'apply', '-i', 'vx0', '-f', single, '--keep-inbound', 'db-03')
      expect(kept.json).toMatchObject({state: 'as-meant', overridden: [], keptInbound: ['10.1.0.10', '2001:db8:1::10']})
      expect(await finds(bridge.local, '10.1.0.10'), 'the bridge answers').toBe(true)
      expect(await finds(bridge.local, '2001:db8:1::10'), 'IPv6 too').toBe(true)
      expect(await check('bridge', keeping)).toMatchObject({state: 'as-meant'})
      expect(await apply('bridge', keeping)).toMatchObject({changed: false})

      await bridge.run(['ip', 'neigh', 'del', '10.1.0.10', 'dev', 'br0'])
      const broken = await check('bridge', keeping)
      expect(broken.state).toBe('different')
      expect(broken.differences.join()).toContain('no permanent neighbour entry for 10.1.0.10')
      expect(await apply('bridge', keeping)).toMatchObject({changed: true, state: 'as-meant'})

      expect(await remove()).toMatchObject({changed: true})
      expect(await bridge.run(['ip', 'neigh', 'show', 'dev', 'br0', 'nud', 'permanent'])).not.toContain(
        '02:00:00:00:01:10',
      )
      expect(await bridge.run(['ip', '-d', 'link', 'show', 'vx0'])).toContain('neigh_suppress off')
      expect(await bridge.run(['bridge', 'fdb', 'show', 'dev', 'vx0'])).not.toContain('static')
      expect(await finds(bridge.local, '10.1.0.10'), 'and everything is as before').toBe(true)
    })
  })

  it('puts everything back where it cannot be set up', () =>
    withBridge({}, async (bridge) => {
      // Without IPv6 on the bridge it cannot answer for the VM's IPv6 address.
      const {apply} = filterOn(bridge)
      await expect(
        apply('bridge', decideFilter({...ORDER, keepInbound: ['db-03']}, singleIpInventory)),
      ).rejects.toThrow('has IPv6 disabled')
      expect(await bridge.run(['nft', 'list', 'ruleset'])).toBe('')
      expect(await bridge.run(['ip', 'neigh', 'show', 'dev', 'br0', 'nud', 'permanent'])).toBe('')
      expect(await bridge.run(['ip', '-d', 'link', 'show', 'vx0'])).toContain('neigh_suppress off')
    }))
})
