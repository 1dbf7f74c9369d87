// The filter commands on a real bridge: applied beside each other, checked against tampering, removed.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {type TestBridge, until, withBridge} from '../support/bridge.ts'
import {type CliResult, gwswitch} from '../support/cli.ts'
import {FILTER_INVENTORY, GATEWAY, MUST_DROP} from '../support/filter-frames.ts'
import {filterOn} from '../support/filter-host.ts'
import {noNamespaces} from '../support/namespaces.ts'

const SECOND = `  tenant-c:
    prefix: 10.2.0.0/24
    gateways:
      - { name: cx, site: x, ip: 10.2.0.254, mac: "02:00:00:00:0a:03", ownIp: 10.2.0.252 }
      - { name: cy, site: y, ip: 10.2.0.254, mac: "02:00:00:00:0b:03", ownIp: 10.2.0.253 }
`
const TWO_SEGMENTS = FILTER_INVENTORY.replace('vms:', `${SECOND}vms:`)
const inventory = parseInventory(FILTER_INVENTORY, 'own-ip.yaml')
const twoSegments = parseInventory(TWO_SEGMENTS, 'two.yaml')
const TABLE = 'bridge gwswitch/tenant-b/vx0'

const directory = mkdtempSync(join(tmpdir(), 'gwswitch-filter-'))
afterAll(() => rmSync(directory, {recursive: true}))
const fileOf = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}
const ownIp = fileOf('own-ip.yaml', FILTER_INVENTORY)
const single = fileOf('single-ip.yaml', FILTER_INVENTORY.replaceAll(/, ownIp: [\d.]+/g, ''))
const WITH_PORTS = FILTER_INVENTORY.replace('prefix:', 'ports: [vx0, vx7]\n    prefix:')

const cli = (bridge: TestBridge, ...args: readonly string[]): Promise<CliResult> =>
  gwswitch(['filter', ...args, '--json'], {namespace: bridge.namespace})

/** What the version before wrote: one table for all segments and ports, which remembers who is kept. */
const OLD = `
table bridge gwswitch {
  set dci { type ifname; elements = { "vx0" } }
  set gw4 { type ipv4_addr; elements = { 10.1.0.254, 10.2.0.254 } }
  set kept4 { type ipv4_addr . ether_addr; elements = { 10.1.0.10 . 02:00:00:00:01:10 } }
  set suppressed { type ifname; elements = { "vx0" } }
  chain gwlocal { meta protocol arp arp daddr ip @gw4 counter drop; }
}
`

describe.skipIf(noNamespaces)('gwswitch filter', () => {
  it('applies, once as good as twice, checks and removes', () =>
    withBridge({flooding: true}, async (bridge) => {
      const same = ['-i', 'vx0', '-f', ownIp]
      const [missing, dry] = await Promise.all([
        cli(bridge, 'check', ...same),
        cli(bridge, 'apply', ...same, '--dry-run'),
      ])
      expect(missing.json).toMatchObject({state: 'missing', exitCode: 10})
      expect(dry.json).toMatchObject({changed: true, dryRun: true})
      expect(await bridge.run(['nft', 'list', 'ruleset'])).toBe('')
      const applied = await cli(bridge, 'apply', ...same)
      expect(applied.json).toMatchObject({schema: 'gwswitch.filter-apply/1', changed: true, state: 'as-meant'})
      expect(applied.code).toBe(0)

      const {apply, check, remove} = filterOn(bridge, inventory)
      for (const {bytes} of MUST_DROP.slice(0, 3)) bridge.far.send(bytes)
      const asks = async () => (await check()).counters.find(({rule}) => rule.startsWith('ARP that asks'))?.packets
      expect(await until(async () => (await asks()) === 3)).toBe(true)
      expect(await apply()).toMatchObject({changed: false})
      expect(await asks(), 'counters survive a second apply').toBe(3)

      await expect(remove(['other'])).rejects.toThrow('no interface "other"')
      expect((await cli(bridge, 'remove', '-i', 'vx0')).json).toMatchObject({changed: true, ports: ['vx0']})
      expect(await bridge.run(['nft', 'list', 'ruleset'])).toBe('')
      expect(await remove()).toMatchObject({changed: false, exitCode: 0})
    }))

  it('stands beside those of other segments and ports, and each goes alone', () =>
    withBridge({}, async (bridge) => {
      const {apply, check, recorded, remove} = filterOn(bridge, twoSegments)
      const [b, c] = [{segments: ['tenant-b']}, {segments: ['tenant-c']}]
      await apply('bridge', b)
      expect(await apply('bridge', c)).toMatchObject({changed: true, state: 'as-meant'})
      await apply('bridge', {...b, ports: ['loc', 'vx0']})
      const tables = async () =>
        (await bridge.run(['nft', 'list', 'tables']))
          .trim()
          .split('\n')
          .map((line) => line.split('/').slice(1).join(' '))
      expect(await tables()).toEqual(['tenant-b vx0', 'tenant-c vx0', 'tenant-b loc vx0'])
      for (const one of [b, c]) expect(await check('bridge', one)).toMatchObject({state: 'as-meant'})
      expect(await recorded()).toMatchObject({state: 'as-meant', exitCode: 0, filters: {length: 3}})

      await expect(remove(['vx0'])).rejects.toThrow('the filter covers loc too')
      expect(await remove([], ['tenant-b'])).toMatchObject({ports: ['loc', 'vx0'], segments: ['tenant-b']})
      expect(await tables()).toEqual(['tenant-c vx0'])
      expect(await remove(['loc', 'vx0'])).toMatchObject({segments: ['tenant-c']})
    }))

  it('of several processes at once is all there', () =>
    withBridge({}, async (bridge) => {
      const {apply, check} = filterOn(bridge, twoSegments)
      const both = await Promise.all(['tenant-b', 'tenant-c'].map((name) => apply('bridge', {segments: [name]})))
      expect(both).toMatchObject([{state: 'as-meant'}, {state: 'as-meant'}])
      expect(await check()).toMatchObject({state: 'as-meant', filters: [{}, {}]})
    }))

  it('takes the place of the one table of version 0.1.0, with what that remembers, and never a part of it', () =>
    withBridge({}, async (bridge) => {
      const {apply, check, remove} = filterOn(bridge, twoSegments)
      const load = async (): Promise<void> => {
        await bridge.run(['nft', '-f', '-'], OLD)
        await bridge.run(['bridge', 'link', 'set', 'dev', 'vx0', 'neigh_suppress', 'on'])
        await bridge.run('ip neigh replace 10.1.0.10 lladdr 02:00:00:00:01:10 dev br0 nud permanent'.split(' '))
      }
      await load()
      expect(await check()).toMatchObject({state: 'missing'})
      await expect(apply('bridge', {segments: ['tenant-b']})).rejects.toThrow('keeps 10.2.0.254 local on vx0 too')
      // The VM has IPv6 by the inventory, and the bridge does not: who was kept is taken as the table has it.
      expect(await apply()).toMatchObject({state: 'as-meant', keptInbound: ['10.1.0.10']})
      expect(await bridge.run(['nft', 'list', 'tables'])).not.toMatch(/ gwswitch$/m)
      await remove()
      const after = async (): Promise<string> =>
        `${await bridge.run(['ip', 'neigh', 'show', 'dev', 'br0', 'nud', 'permanent'])}${await bridge.run(['ip', '-d', 'link', 'show', 'vx0'])}`
      expect(await after()).toMatch(/^(?!.*10\.1\.0\.10)[\s\S]*neigh_suppress off/)
      await load()
      expect(await remove()).toMatchObject({changed: true, keptInbound: ['10.1.0.10']})
      expect(await after()).toMatch(/^(?!.*10\.1\.0\.10)[\s\S]*neigh_suppress off/)
    }))

  const TAMPERINGS: readonly (readonly [what: string, nft: string])[] = [
    ['an element is gone', `delete element ${TABLE} gw4 { 10.1.0.254 }`],
    ['a port is gone', `flush set ${TABLE} dci`],
    ['a chain was emptied', `flush chain ${TABLE} to_dci`],
    ['a rule was added in front', `insert rule ${TABLE} gwlocal accept`],
    ['a rule was added behind', `add rule ${TABLE} gwlocal ether type ip drop`],
    ['a chain drops all', `add chain ${TABLE} from_dci { policy drop; }`],
    ['the table sleeps', `add table ${TABLE} { flags dormant; }`],
    ['a set has more', `add element ${TABLE} gw4 { 10.1.0.10 }`],
    ['a chain was added', `add chain ${TABLE} more { type filter hook forward priority 0; policy drop; }`],
  ]
  it('notices whatever was changed behind its back, and puts it right', () =>
    withBridge({}, async (bridge) => {
      const {apply, check} = filterOn(bridge, inventory)
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
      const {apply} = filterOn(bridge, inventory)
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
      const {apply, check, remove} = filterOn(bridge, inventory)
      await apply()
      // Made in another order than their names, and named in a third.
      expect(await apply('netdev', {ports: ['vx0', 'loc']})).toMatchObject({changed: true, state: 'as-meant'})
      expect(await apply('netdev')).toMatchObject({changed: true, state: 'as-meant'})
      expect(await bridge.run(['nft', 'list', 'tables'])).not.toContain('table bridge')
      expect((await check('netdev')).state).toBe('as-meant')
      expect((await check()).state).toBe('missing')
      expect(await remove()).toMatchObject({changed: true, hooks: ['netdev']})
      expect(await bridge.run(['nft', 'list', 'ruleset'])).toBe('')
    }))

  it('refuses on the command line what is known to cut inbound, and ports that are not here, and touches nothing', () =>
    withBridge({}, async (bridge) => {
      const refused = await cli(bridge, 'apply', '-i', 'vx0', '-f', single)
      expect(refused.code).toBe(2)
      for (const cure of ['ownIp', '--inbound-moves', '--keep-inbound', '--force'])
        expect(refused.json.error.message).toContain(cure)
      const {apply, check, remove} = filterOn(bridge, inventory)
      const nope = {ports: ['nope']}
      for (const ask of [() => apply('bridge', nope), () => check('bridge', nope), () => remove(['nope'])])
        await expect(ask()).rejects.toMatchObject({kind: 'usage', message: expect.stringContaining('"nope" here')})
      const shown = await cli(bridge, 'show', '-i', 'nope', '-f', ownIp)
      expect(shown).toMatchObject({code: 2, json: {error: {message: expect.stringContaining('"nope" here')}}})
      // At what is no bridge's port, Open vSwitch's too, the form for ports works.
      await bridge.run('ip link add lone type veth peer name other'.split(' '))
      await expect(apply('bridge', {ports: ['lone']})).rejects.toThrow(
        'lone is no port of a bridge here; bridge ports are: loc, vx0; --hook netdev filters at the port itself',
      )
      expect(await bridge.run(['nft', 'list', 'ruleset'])).toBe('')
      expect(await apply('netdev', {ports: ['lone']})).toMatchObject({state: 'as-meant'})
      await remove()
      const bare = parseInventory(FILTER_INVENTORY.replaceAll(/, ownIp: [\d.]+/g, ''), 'single-ip.yaml')
      expect((await apply('bridge', {force: true}, bare)).overridden).toHaveLength(1)
    }))

  it('takes its ports from the inventory, as far as they are on this host', () =>
    withBridge({}, async (bridge) => {
      const {apply, check} = filterOn(bridge, inventory)
      const [nowhere, of] = [{ports: []}, parseInventory(WITH_PORTS, 'ports.yaml')]
      await expect(apply('bridge', nowhere)).rejects.toThrow('which ports lead to the other site?')
      expect(await check('bridge', nowhere, of)).toMatchObject({state: 'missing', exitCode: 10})
      expect(await apply('bridge', nowhere, of)).toMatchObject({
        ports: ['vx0'],
        notes: ['tenant-b: vx7 of the inventory is not on this host'],
      })
      expect(await check('bridge', nowhere, of)).toMatchObject({state: 'as-meant', exitCode: 0})
    }))

  it("hears a gateway's own address, and then needs no cure; says in words what it holds back", () =>
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
          expect(json.filters[0].frames).toContain('every VLAN and none')
          expect(json.filters[0].cuts.join('\n')).toMatch(/every router on the segment[\s\S]*gateway is dead has none/)
        } finally {
          clearInterval(asking)
        }
      },
    ))
})
