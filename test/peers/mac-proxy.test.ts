// `switch --strategy mac-proxy` in the lab, on both kinds of segment, and the rules it leaves.
import {describe, expect, it} from 'vitest'
import {moveVm} from '../../src/lab/vms.ts'
import {gwswitch} from '../support/cli.ts'
import {hasProgram, noNamespaces, type TestLab, withLab} from '../support/namespaces.ts'
import {BEYOND, withSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {switchIn} from './proof-switch.ts'

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
      expect(json).toMatchObject({strategy: 'mac-proxy', end: 'switched', code: 'served', rolledBack: false})
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
      expect(json).toMatchObject({
        ...{end: 'rolled-back', code: 'elsewhere', exitCode: 3, verified: false, rolledBack: true},
        ...{rollback: {ok: true}, uses: {name: 'rx'}},
      })
      expect(json.evidence).toContain('web-07 leaves through rx (02:00:00:00:0a:01)')
      expect(code).toBe(3)
      expect(await lab.run('hv', 'nft', 'list', 'tables')).toBe('table bridge other\n')
      const {json: left} = await gwswitch(['mac-proxy', 'list', '--json'], {namespace: lab.ns('hv')})
      expect(left.redirects, 'nor is it put back some day').toEqual([])
    }))

  it('hands the packets to the bridge itself, where that is the gateway', () =>
    withSegmentLab({}, async (lab) => {
      // Y is the bridge now, with an upstream of its own; X does not route, and the VM sticks to it.
      await lab.run(
        'sw',
        `ip link set p-gy down; ip link set br0 address ${Y_MAC}; ip address add 10.1.0.253/24 dev br0
         sysctl -qw net.ipv4.ip_forward=1; ip link add up0 type veth peer name sw netns ${lab.ns('net')}
         ip address add 172.16.3.1/30 dev up0; ip link set up0 up`,
      )
      await lab.run(
        'net',
        'ip address add 172.16.3.2/30 dev sw; ip link set sw up; ip route replace 10.1.0.0/24 via 172.16.3.1',
      )
      await lab.run('sw', 'ip route add default via 172.16.3.2')
      await lab.run('gx', 'ip route del default')
      await lab.run('vm', `ip neigh replace 10.1.0.254 lladdr ${X_MAC} dev eth0 nud permanent`)
      const reaches = () =>
        lab.run('vm', `ping -c1 -W1 ${BEYOND}`).then(
          () => true,
          () => false,
        )
      expect(await reaches(), 'the old gateway does not route').toBe(false)
      const {json, exit} = await switchIn(lab, {strategy: 'mac-proxy'})
      expect(json).toMatchObject({end: 'switched', code: 'served', before: {name: 'bx'}, plan: {watch: ['br0']}})
      expect(exit).toBe(0)
      expect(await reaches(), 'the new one does').toBe(true)
    }))
})
