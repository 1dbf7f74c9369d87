// A bridge that answers for VMs that have left: set up, lost, found again, undone.
import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import type {FilterWorld} from '../../src/probe/filter/filter-world.ts'
import {type BridgeHost, type TestBridge, withBridge} from '../support/bridge.ts'
import {FILTER_INVENTORY, GATEWAY} from '../support/filter-frames.ts'
import {filterOn} from '../support/filter-host.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'

const SINGLE = FILTER_INVENTORY.replaceAll(/, ownIp: [\d.]+/g, '')
const inventory = parseInventory(SINGLE, 'single-ip.yaml')
const MANY = Array.from({length: 5}, (_, n) => `vm-${n}`)
/** VMs without IPv6, for bridges without it. */
const many = parseInventory(
  `${SINGLE.replace(/^ {2}db-03.*$/m, '')}${MANY.map(
    (name, n) => `  ${name}: { segment: tenant-b, ip: 10.1.0.${20 + n}, mac: "02:00:00:00:02:0${n}" }\n`,
  ).join('')}`,
  'many.yaml',
)
const NEVER = {force: true}

/** Deletes the gateway's entry for the VM and pings it: answered only if somebody answers ARP for the VM. */
async function finds(gateway: BridgeHost, vm: string): Promise<boolean> {
  await gateway.run('ip', 'neigh', 'flush', 'all')
  await gateway.run('ping', '-c1', '-W1', vm).catch(() => {})
  const entry = await gateway.run('ip', 'neigh', 'show', vm)
  return entry.includes('02:00:00:00:01:10')
}

/** All that lets the bridge answer, as the kernel has it. */
async function standing(bridge: TestBridge): Promise<string[]> {
  const [neighbours, places, link] = await Promise.all([
    bridge.run(['ip', 'neigh', 'show', 'dev', 'br0', 'nud', 'permanent']),
    bridge.run(['bridge', 'fdb', 'show', 'br', 'br0']),
    bridge.run(['ip', '-d', 'link', 'show', 'vx0']),
  ])
  return [
    ...neighbours.split('\n').filter((line) => line.includes('lladdr 02:')),
    ...places.split('\n').filter((line) => line.includes('static')),
    ...(link.includes('neigh_suppress on') ? ['neigh_suppress'] : []),
  ]
}

/** As SIGKILL would end a process before this step: it comes to no further one, and its lock is let go. */
function dyingAt(step: 'setNeighbours' | 'fixMacs' | 'suppressNeighbours' | 'loadNft', host: FilterWorld) {
  const dies = Promise.withResolvers<void>()
  let held: ReturnType<FilterWorld['lock']>
  const hang = (): Promise<void> => {
    held?.release()
    dies.resolve()
    return new Promise(() => {})
  }
  const lock = (): typeof held => {
    held = host.lock()
    return held
  }
  return {dead: dies.promise, host: {...host, lock, [step]: hang}}
}

describe.skipIf(noNamespaces)('gwswitch filter, with inbound kept', () => {
  it('lets the old gateway find a VM that has left, survives a flush, and is undone', async ({skip}) => {
    if (!(await hasProgram('ping'))) skip('ping(8) is not installed: iputils-ping')
    const hosts = {
      local: {mac: GATEWAY.mac, addresses: [`${GATEWAY.ip}/24`, `${GATEWAY.global}/64`]},
      far: {mac: '02:00:00:00:01:10', addresses: ['10.1.0.10/24', '2001:db8:1::10/64']},
    }
    await withBridge(hosts, async (bridge) => {
      const {apply, check, keep, recorded, remove, restore} = filterOn(bridge, inventory)
      expect(await finds(bridge.local, '10.1.0.10'), 'without a filter').toBe(true)
      await apply('bridge', NEVER)
      expect(await finds(bridge.local, '10.1.0.10'), 'the filter cuts it').toBe(false)
      expect(await finds(bridge.local, '2001:db8:1::10'), 'IPv6 too').toBe(false)

      expect(await apply('bridge', {keepInbound: ['db-03']})).toMatchObject({
        state: 'as-meant',
        overridden: [],
        keptInbound: ['10.1.0.10', '2001:db8:1::10'],
      })
      expect(await finds(bridge.local, '10.1.0.10'), 'the bridge answers').toBe(true)
      expect(await finds(bridge.local, '2001:db8:1::10'), 'IPv6 too').toBe(true)
      expect(await check()).toMatchObject({state: 'as-meant', overridden: []})
      expect(await apply(), 'who is kept need not be named again').toMatchObject({changed: false})

      await bridge.run(['ip', 'neigh', 'del', '10.1.0.10', 'dev', 'br0'])
      expect((await check()).differences.join()).toContain('no permanent neighbour entry for 10.1.0.10')
      expect(await restore()).toMatchObject({changed: true, state: 'as-meant'})

      await bridge.run(['nft', 'flush', 'ruleset'])
      const flushed = await recorded()
      expect(flushed).toMatchObject({state: 'missing', exitCode: 10, filters: [{segment: 'tenant-b'}]})
      expect(flushed.orphans.join('\n')).toMatch(
        /neigh_suppress[\s\S]*still answers for 10.1.0.10[\s\S]*still fixed behind vx0/,
      )
      expect(await restore()).toMatchObject({state: 'as-meant', orphans: []})

      await bridge.run(['nft', 'flush', 'ruleset'])
      expect(await remove()).toMatchObject({changed: true, keptInbound: ['10.1.0.10', '2001:db8:1::10']})
      expect(await standing(bridge)).toEqual([])
      expect(await finds(bridge.local, '10.1.0.10'), 'and everything is as before').toBe(true)

      await apply('bridge', {keepInbound: ['db-03']})
      expect(await keep('remove', 'db-03')).toMatchObject({changed: true, kept: []})
      expect(await standing(bridge)).toEqual([])
      await remove()
    })
  })

  it('puts everything back where it cannot be set up', () =>
    withBridge({}, async (bridge) => {
      // Without IPv6 on the bridge it cannot answer for the VM's IPv6 address.
      const {apply, host} = filterOn(bridge, inventory)
      await expect(apply('bridge', {keepInbound: ['db-03']})).rejects.toThrow('has IPv6 disabled')
      expect(await bridge.run(['nft', 'list', 'ruleset'])).toBe('')
      expect(await standing(bridge)).toEqual([])
      expect(host.readRecord()).toBeUndefined()
    }))

  it('takes VMs in and out one by one, several at once', () =>
    withBridge({}, async (bridge) => {
      const {apply, keep, recorded, remove} = filterOn(bridge, many)
      await expect(keep('add', 'vm-0')).rejects.toThrow('segment tenant-b has no filter here')
      await apply('bridge', NEVER)
      await Promise.all(MANY.map((name) => keep('add', name)))
      expect(await recorded()).toMatchObject({state: 'as-meant', filters: [{keptInbound: {length: MANY.length}}]})
      expect(await keep('add', 'vm-1')).toMatchObject({changed: false, kept: MANY})
      await Promise.all(MANY.slice(1).map((name) => keep('remove', name)))
      expect((await standing(bridge)).join('\n')).toMatch(/^10\.1\.0\.20 .*\n02:00:00:00:02:00 .*\nneigh_suppress$/)
      await expect(keep('remove', 'nobody')).rejects.toThrow('inbound is not kept for "nobody" here (for: vm-0)')
      await remove()
      expect(await standing(bridge)).toEqual([])
    }))

  it.each(['setNeighbours', 'fixMacs', 'suppressNeighbours', 'loadNft'] as const)(
    'killed at %s leaves nothing that nobody undoes',
    (step) =>
      withBridge({}, async (bridge) => {
        const {host, recorded, remove, restore} = filterOn(bridge, many)
        for (const next of [restore, remove]) {
          const dying = dyingAt(step, host)
          void filterOn(bridge, many, dying.host).apply('bridge', {keepInbound: MANY})
          await dying.dead
          expect((await recorded()).exitCode, 'it is said').toBe(10)
          expect(await next()).toMatchObject({changed: true, exitCode: 0})
          expect((await standing(bridge)).length).toBe(next === remove ? 0 : 2 * MANY.length + 1)
          await remove()
        }
        expect(await standing(bridge)).toEqual([])
        expect(host.readRecord()).toBeUndefined()
      }),
  )

  it('says what answers for a gateway in its stead, and refuses', () =>
    withBridge({}, async (bridge) => {
      const {apply, check} = filterOn(bridge, many)
      await bridge.run(['bridge', 'link', 'set', 'dev', 'vx0', 'neigh_suppress', 'on'])
      await bridge.run(['bridge', 'fdb', 'replace', '02:00:00:00:0b:02', 'dev', 'vx0', 'master', 'static'])
      await bridge.run('ip neigh replace 10.1.0.254 lladdr 02:00:00:00:0b:02 dev br0 nud noarp'.split(' '))
      const entry = 'br0 answers for 10.1.0.254 itself, with 02:00:00:00:0b:02 behind vx0'
      await expect(apply('bridge', NEVER)).rejects.toThrow(entry)
      expect((await check()).differences.join()).toContain(entry)
    }))
})
