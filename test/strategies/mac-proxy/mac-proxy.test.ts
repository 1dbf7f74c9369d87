import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../../src/domain/inventory/switchover.ts'
import {parseProxyRecord} from '../../../src/domain/mac-proxy/record.ts'
import {Failure} from '../../../src/errors.ts'
import type {BridgePort, FdbEntry} from '../../../src/net/bridge-ports.ts'
import type {NftTable} from '../../../src/net/nft/nft-listing.ts'
import {systemVantage} from '../../../src/net/vantage-world.ts'
import type {World} from '../../../src/net/world.ts'
import {macProxyOn} from '../../../src/strategies/mac-proxy/mac-proxy.ts'
import type {ProxyWorld} from '../../../src/strategies/mac-proxy/proxy-world.ts'
import type {Stage} from '../../../src/strategies/strategy.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {segmentOf} from '../../support/segment.ts'
import type {FakeVm} from '../../support/vm.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'

const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
const switchover = (vm: string, of = inventory) => switchoverFrom(resolveSwitchover(of, {vm, to: 'y'}))
const VM = '02:00:00:00:00:10'
const RX = '02:00:00:00:0a:01'
const RY = '02:00:00:00:0b:01'

const port = (name: string): BridgePort => ({
  name,
  bridge: 'br0',
  mac: '02:00:00:00:ff:01',
  up: true,
})
const behind = (mac: string, name: string, own = false): FdbEntry => ({
  mac,
  port: name,
  vlan: undefined,
  own,
  fixed: false,
})

/** What is there after this was loaded, as far as it is looked at. */
function tableOf(text: string): NftTable | undefined {
  if (!text.includes('vm_')) return undefined
  const comments = [...text.matchAll(/add rule bridge gwswitch_proxy (vm_\w+) .*comment "(.*)"/g)]
  const rules = comments.map(([, chain = '', comment]) => ({chain, comment, code: '', counter: {packets: 7, bytes: 0}}))
  return {declarations: [], sets: new Map(), elements: new Map(), devices: [], rules}
}

/** A hypervisor with one bridge; remembers what was loaded, and redirects as the last of it says. */
function hypervisor({
  ports = [port('tap0'), port('uplink')],
  fdb = [behind(VM, 'tap0'), behind(RY, 'uplink')],
  obeys = true,
  sends = RX,
  loaded = [] as string[],
  refuses = false,
} = {}) {
  const redirects = (): boolean => obeys && (loaded.at(-1)?.includes('ether daddr set') ?? false)
  const records: (string | undefined)[] = []
  const host: ProxyWorld = {
    loadNft: async (text) => {
      if (refuses) throw new Failure('runtime', 'nft: no')
      loaded.push(text)
    },
    readTable: async () => tableOf(loaded.at(-1) ?? ''),
    compileTables: async () => new Map(),
    bridgePorts: async () => ports,
    bridgeFdb: async () => fdb,
    recordFile: () => 'mac-proxy.json',
    readRecord: () => records.at(-1),
    writeRecord: (text) => void records.push(text),
    lock: () => ({release: () => {}}),
  }
  const vm: FakeVm = {
    ip: '10.0.0.10',
    mac: VM,
    get gatewayMac() {
      return redirects() && sends === RX ? RY : sends
    },
    set gatewayMac(_mac) {},
  }
  const gateways = [
    {ip: '10.0.0.1', mac: RX},
    {ip: '10.0.0.2', mac: RY},
  ]
  const bridges = Object.fromEntries(ports.map(({name}) => [name, 'br0']))
  const world = fakeWorld({
    interfaces: ['br0', ...ports.map(({name}) => name)].map((name) =>
      ethernetInterface({name, mac: '02:00:00:00:ff:01', addresses: []}),
    ),
    onSend: segmentOf(vm, gateways, '10.0.0.1'),
    bridges,
  })
  const told: string[] = []
  const stage: Stage = {world, signal: new AbortController().signal, observe: ({text}) => void told.push(text)}
  return {strategy: macProxyOn(host), host, loaded, records, told, stage, world}
}

describe('the strategy mac-proxy', () => {
  it('plans one rule, for packets that leave the segment, and touches nothing', async () => {
    const {strategy, loaded, world} = hypervisor()
    const plan = await strategy.plan(switchover('web-07'), {}, world)
    expect(plan).toMatchObject({bridge: 'br0', port: 'tap0', watch: ['uplink'], from: {mac: RX}, to: {mac: RY}})
    expect(plan.ruleset).toContain(
      `iifname "tap0" ether daddr ${RX} meta protocol ip ip daddr != 10.0.0.0/24 counter ether daddr set ${RY}`,
    )
    expect(plan.ruleset, 'the new gateway routes no IPv6').not.toContain('ip6')
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
    expect(strategy.describe(plan).join('\n')).toContain('web-07 notices nothing')
    expect(loaded).toEqual([])
    expect(world.sent).toEqual([])
  })

  it('redirects IPv6 too where the new gateway has it, but not what is for the old one itself', async () => {
    const {strategy, world} = hypervisor()
    const {segment, from, to, vm} = switchover('web-07')
    const old = {...from, ip6: ['fe80::1', '2001:db8::1']}
    const next = {...to, ip6: ['2001:db8::2']}
    const six = {vm, segment: {...segment, gateways: [old, next]}, from: old, to: next}
    const {ruleset} = await strategy.plan(six, {}, world)
    expect(ruleset).toContain('meta protocol ip6 ip6 daddr != { fe80::/10, ff00::/8, 2001:db8::1 } counter')
  })

  it('takes a frame for the bridge itself where the bridge is the gateway', async () => {
    const {strategy, world} = hypervisor({fdb: [behind(VM, 'tap0'), behind(RY, 'br0', true)]})
    const plan = await strategy.plan(switchover('web-07'), {}, world)
    expect(plan.watch).toEqual(['br0'])
    expect(plan.ruleset).toContain('meta pkttype set host ether daddr set')
  })

  it('proves it, and proves that it is taken back, twice over', async () => {
    const {strategy, stage, world, loaded} = hypervisor()
    const {plan, ends} = await strategy.look(await strategy.plan(switchover('web-07'), {}, world), stage)
    expect(ends).toBeNull()
    expect(loaded, 'looking changes nothing').toEqual([])
    await strategy.execute(plan, stage)
    expect(await strategy.verify(plan, stage, undefined)).toMatchObject({ok: true, code: 'served', uses: {name: 'ry'}})
    for (let i = 0; i < 2; i++)
      expect(await strategy.rollback(plan, stage)).toMatchObject({ok: true, uses: {name: 'rx'}})
    expect(loaded.at(-1), 'nothing is left').toBe('delete table bridge gwswitch_proxy\n')
    expect(world.openLinks).toBe(0)
  })

  it('taken back, says where the new gateway still has the VM', async () => {
    const {strategy, stage, world} = hypervisor()
    const {plan} = await strategy.look(await strategy.plan(switchover('web-07'), {}, world), stage)
    const entry = () => ({mac: VM, external: false})
    const tables = () => ({entry, write() {}, wayTo: () => 'br0', close() {}})
    const here: World = {...world, speaker: async () => ({vantage: systemVantage, tables})}
    const announced = {...plan, announce: {...plan.announce!, leg: 'br0'}}
    const {evidence} = await strategy.rollback(announced, {...stage, world: here})
    expect(evidence.at(-1)).toBe(
      `ry still has web-07 at br0: 10.0.0.10 is at ${VM} (ip neigh del 10.0.0.10 dev br0 takes that away)`,
    )
  })

  it('is taken back also where nobody can look any more', async () => {
    const {strategy, stage, world, loaded} = hypervisor()
    const {plan} = await strategy.look(await strategy.plan(switchover('web-07'), {}, world), stage)
    await strategy.execute(plan, stage)
    const down: World['openLink'] = async () => {
      throw new Failure('runtime', 'uplink is down')
    }
    const verdict = await strategy.rollback(plan, {...stage, world: {...world, openLink: down}})
    expect(verdict).toMatchObject({ok: false, code: 'unverified', uses: null, evidence: ['uplink is down']})
    expect(loaded.at(-1)).toBe('delete table bridge gwswitch_proxy\n')
  })

  it('redirects what goes to any other gateway: one family may use another than the other', async () => {
    const {strategy, stage, world, loaded} = hypervisor({sends: RY})
    const {segment, ...rest} = switchover('web-07')
    const third = {...segment.gateways[0]!, name: 'rz', site: 'z', ip: '10.0.0.3', mac: '02:00:00:00:0c:01'}
    const three = {...rest, segment: {...segment, gateways: [...segment.gateways, third]}}
    const {plan} = await strategy.look(await strategy.plan(three, {}, world), stage)
    await strategy.execute({...plan, before: {...plan.before!, sends: [RY, RX]}}, stage)
    expect(loaded.at(-1)).toContain(`ether daddr { ${RX}, 02:00:00:00:0c:01 } meta protocol ip`)
  })

  it('says where the packets go instead', async () => {
    const {strategy, stage, world} = hypervisor({obeys: false})
    const {plan} = await strategy.look(await strategy.plan(switchover('web-07'), {}, world), stage)
    await strategy.execute(plan, stage)
    const verdict = await strategy.verify(plan, stage, undefined)
    expect(verdict).toMatchObject({ok: false, code: 'elsewhere', uses: {name: 'rx'}})
    expect(verdict.evidence[0]).toBe(`web-07 leaves through rx (${RX})`)
  })

  it('has nothing to do for a VM that sends to the new gateway by itself, and redirects it nowhere', async () => {
    const {strategy, stage, world, loaded} = hypervisor({sends: RY})
    const {plan, ends, uses} = await strategy.look(await strategy.plan(switchover('web-07'), {}, world), stage)
    expect({code: ends?.code, uses: uses?.name}).toEqual({code: 'already', uses: 'ry'})
    await strategy.execute(plan, stage)
    expect(loaded.join(), 'an inverse redirection would only do harm').not.toContain('ether daddr set')
  })

  it('takes the redirection away when a VM goes back that says nothing now, and adds no inverse one', async () => {
    const first = hypervisor()
    const there = await first.strategy.look(
      await first.strategy.plan(switchover('web-07'), {}, first.world),
      first.stage,
    )
    await first.strategy.execute(there.plan, first.stage)
    const back = switchoverFrom(resolveSwitchover(inventory, {vm: 'web-07', to: 'x'}))
    const {strategy, stage, world, loaded} = hypervisor({loaded: [...first.loaded]})
    const {plan} = await strategy.look(await strategy.plan(back, {}, world), stage)
    await strategy.execute({...plan, before: {...plan.before!, sends: []}}, stage)
    expect(loaded.at(-1)).toBe('delete table bridge gwswitch_proxy\n')
  })

  it('writes down what it redirects before it does, and nothing that the kernel did not take', async () => {
    const {strategy, stage, world, records} = hypervisor()
    const {plan} = await strategy.look(await strategy.plan(switchover('web-07'), {}, world), stage)
    await strategy.execute(plan, stage)
    expect(parseProxyRecord(records.at(-1)!, 'f')).toMatchObject([
      {
        vm: {name: 'web-07', mac: VM},
        port: 'tap0',
        from: [{name: 'rx', site: 'x', mac: RX}],
        to: {name: 'ry', mac: RY},
      },
    ])
    await strategy.rollback(plan, stage)
    expect(records.at(-1)).toBeUndefined()

    const full = hypervisor({refuses: true})
    const planned = await full.strategy.plan(switchover('web-07'), {}, full.world)
    await expect(full.strategy.execute(planned, full.stage)).rejects.toThrow('nft: no')
    expect(full.records.map((text) => text !== undefined)).toEqual([true, false])
  })

  it.each([
    ['no bridge', {ports: []}, {}, 'there is no bridge here'],
    ['a VM that no bridge knows', {fdb: []}, {}, 'name its port with -i'],
    ['another port', {}, {interfaceName: 'eth9'}, 'eth9 is no port of a bridge'],
  ])('refuses %s', async (_what, machine, options, message) => {
    const {strategy, world} = hypervisor(machine)
    await expect(strategy.plan(switchover('web-07'), options, world)).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining(message),
    })
  })

  it('has nothing to do between gateways with one MAC', async () => {
    const {strategy, world} = hypervisor()
    const same = parseInventory(INVENTORY.replaceAll(/02:00:00:00:0[ab]:02/g, '02:00:00:00:0c:02'), 'gwswitch.yaml')
    await expect(strategy.plan(switchover('db-03', same), {}, world)).rejects.toThrow('have the same MAC')
  })
})
