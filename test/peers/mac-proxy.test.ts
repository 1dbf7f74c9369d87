// `switch --strategy mac-proxy` in the lab, on both kinds of segment, and the rules it leaves.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {moveVm} from '../../src/lab/vms.ts'
import {withBridge} from '../support/bridge.ts'
import {gwswitch} from '../support/cli.ts'
import {INVENTORY} from '../support/inventory.ts'
import {hasProgram, noNamespaces, type TestLab, withLab} from '../support/namespaces.ts'

const proxy = (lab: TestLab, vm: string, to: string, ...args: readonly string[]) =>
  gwswitch(['switch', vm, '--to', to, '--strategy', 'mac-proxy', '-f', lab.inventoryFile, '--json', ...args], {
    namespace: lab.ns('hv'),
  })

/** Packets from the VM's segment that a gateway has forwarded. */
async function forwarded(lab: TestLab, gateway: string, letter: string): Promise<number> {
  const counter = await lab.run(gateway, 'nft', 'list', 'counter', 'inet', 'lab', `egress_${letter}`)
  return Number(/packets (\d+)/.exec(counter)![1])
}

describe.skipIf(noNamespaces)('the strategy mac-proxy', () => {
  it.each([
    ['web-07', 'a', 'every site with its own gateway IP', '10.0.0.1'],
    ['db-03', 'b', 'one gateway IP at all sites', '10.1.0.254'],
  ])('moves %s (segment %s: %s) and touches neither VM nor router', async (vm, letter, _what, gatewayIp) => {
    if (!(await hasProgram('ping'))) return
    await withLab({dciDelayMs: 2, wanDelayMs: 2}, async (lab) => {
      const ping = () => lab.run(vm, 'ping', '-c', '5', '-i', '0.02', '-W', '3', '203.0.113.10')
      await ping()
      await moveVm(lab.prefix, vm, 'y')
      const before = await forwarded(lab, 'ry', letter)
      await ping()
      expect(await forwarded(lab, 'ry', letter), 'a trombone: nothing leaves through y').toBe(before)
      const neighbours = () => lab.run(vm, 'ip', '-4', 'neigh', 'show', gatewayIp)
      const macOf = async () => / lladdr (\S+)/.exec(await neighbours())?.[1]
      const mac = await macOf()

      const {json, code} = await proxy(lab, vm, 'y')
      expect(json).toMatchObject({strategy: 'mac-proxy', verified: true, rolledBack: false})
      expect(code).toBe(0)
      const proven = await forwarded(lab, 'ry', letter)
      await ping()
      expect(await forwarded(lab, 'ry', letter), 'all of it leaves through y').toBeGreaterThanOrEqual(proven + 5)
      expect(await macOf(), 'the VM still believes what it did').toBe(mac)

      // What is for the old gateway itself still reaches it.
      if (letter === 'a') await lab.run(vm, 'ping', '-c', '1', '-W', '3', gatewayIp)
    })
  })

  it('takes back what it cannot prove, and leaves nothing', () =>
    withLab({dciDelayMs: 2, wanDelayMs: 2}, async (lab) => {
      await lab.run('web-07', 'ping', '-c', '1', '-W', '3', '203.0.113.10')
      await moveVm(lab.prefix, 'web-07', 'y')
      // Rules of somebody else, behind ours, that undo it: what leaves the bridge goes to the old gateway all the same.
      const undo =
        'table bridge other { chain c { type filter hook forward priority 0; ether daddr 02:00:00:00:0b:01 ether daddr set 02:00:00:00:0a:01; }; }'
      await lab.run('hv', 'nft', undo)
      const {json, code} = await proxy(lab, 'web-07', 'y')
      expect(json).toMatchObject({verified: false, rolledBack: true, rollback: {ok: true}})
      expect(json.evidence.join()).toContain('for rx')
      expect(code).toBe(3)
      expect(await lab.run('hv', 'nft', 'list', 'tables')).toBe('table bridge other\n')
    }))

  it('hands the packets to the bridge itself, where that is the gateway', () =>
    withBridge(
      {local: {mac: '02:00:00:00:01:10', addresses: ['10.1.0.10/24']}, far: {mac: '02:00:00:00:0a:02'}},
      async (bridge) => {
        const directory = mkdtempSync(join(tmpdir(), 'gwswitch-proxy-'))
        try {
          const file = join(directory, 'gwswitch.yaml')
          writeFileSync(file, INVENTORY)
          await bridge.run(['ip', 'link', 'set', 'br0', 'address', '02:00:00:00:0b:02'])
          for (const address of ['10.1.0.253/24', '203.0.113.1/32'])
            await bridge.run(['ip', 'address', 'add', address, 'dev', 'br0'])
          await bridge.local.run('ip', 'route', 'add', 'default', 'via', '10.1.0.254')
          await bridge.local.run(
            'ip',
            'neigh',
            'replace',
            '10.1.0.254',
            'lladdr',
            '02:00:00:00:0a:02',
            'dev',
            'eth0',
            'nud',
            'permanent',
          )
          const reaches = () =>
            bridge.local.run('ping', '-c', '1', '-W', '1', '203.0.113.1').then(
              () => true,
              () => false,
            )
          expect(await reaches(), 'the old gateway does not route').toBe(false)
          const args = ['switch', 'db-03', '--to', 'y', '--strategy', 'mac-proxy', '-i', 'loc', '-f', file, '--json']
          const {json} = await gwswitch(args, {namespace: bridge.namespace})
          expect(json).toMatchObject({verified: true, plan: {watch: ['br0']}})
          expect(await reaches(), 'the new one does').toBe(true)
        } finally {
          rmSync(directory, {recursive: true})
        }
      },
    ))
})
