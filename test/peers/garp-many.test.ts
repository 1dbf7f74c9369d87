// `garp --all` on a real segment of many VMs: every answer is heard, what was lost is asked for again, and who is at another
// site is left alone.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {anyOf, etherType, ipProtocol} from '../../src/net/packet/bpf.ts'
import {systemWorld} from '../../src/net/system-world.ts'
import {type Target, tellAll} from '../../src/orders/garp/tell-all.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4} from '../../src/wire/ethernet.ts'
import {PROTOCOL_ICMP} from '../../src/wire/ipv4.ts'
import {withBridge} from '../support/bridge.ts'
import {gwswitch} from '../support/cli.ts'
import {GATEWAY_IP, manyVms} from '../support/many-vms.ts'
import {noNamespaces, withPair} from '../support/namespaces.ts'
import {until} from '../support/until.ts'
import {linkIn} from './arp-link.ts'

const directory = mkdtempSync(join(tmpdir(), 'gwswitch-many-'))
afterAll(() => rmSync(directory, {recursive: true}))

const VMS = {
  local: {mac: '02:00:00:00:01:10', addresses: ['10.1.0.10/24']},
  far: {mac: '02:00:00:00:01:11', addresses: ['10.1.0.11/24']},
}

describe.skipIf(noNamespaces)('garp --all', () => {
  it('hears every answer of 10,000 VMs, each asked once', () =>
    withPair(async (end, gateway) => {
      const {vms} = await manyVms(end, gateway, 10_000)
      const filter = anyOf([[etherType(ETHERTYPE_ARP)], [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)]])
      await using link = await linkIn(gateway.namespace, gateway.interface, {filter, promiscuous: true})
      const targets = vms.map(
        (vm): Target => ({
          vm: {...vm, segment: 'big', strategies: [], site: undefined},
          answered: false,
          used: undefined,
        }),
      )
      const order = {gateway: {ip: GATEWAY_IP, mac: gateway.mac}, vlan: undefined, listenMs: 1000}
      const {framesSent} = await tellAll(
        link,
        systemWorld(() => {}),
        order,
        targets,
        AbortSignal.timeout(20_000),
      )
      expect(targets.filter(({used}) => used !== gateway.mac)).toEqual([])
      expect(framesSent).toBe(20_000)
    }))

  it('asks again until all of 500 VMs are proved where a fifth of all frames is lost in each direction', () =>
    withPair(async (end, gateway) => {
      const {inventory, lose} = await manyVms(end, gateway, 500)
      const file = join(directory, 'gwswitch.yaml')
      writeFileSync(file, inventory)
      await lose(20)
      // --force: the one look at the gateway before may be lost as well.
      const argv = ['garp', 'by', '--all', '-i', gateway.interface, '-f', file, '--force', '--json']
      const {code, json} = await gwswitch(argv, {namespace: gateway.namespace})
      expect(json.vms.filter(({verdict}: {verdict: string}) => verdict !== 'moved')).toEqual([])
      expect(code).toBe(0)
      // Question and echo reach a VM, and its answer comes back, in about 64 of 100 cases: more than three rounds.
      expect(json.framesSent).toBeGreaterThan(1400)
    }))

  it('leaves VMs alone that the bridge has learned behind the inter-site port, until it is told otherwise', () =>
    withBridge(VMS, async (bridge) => {
      const [BX, BY] = ['02:00:00:00:0a:02', '02:00:00:00:0b:02']
      // The bridge is the gateway of its site.
      await bridge.run(['ip', 'link', 'set', 'br0', 'address', BY])
      await bridge.run(['ip', 'address', 'add', '10.1.0.254/24', 'dev', 'br0'])
      await bridge.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
      for (const vm of [bridge.local, bridge.far])
        await vm.run('ip', 'neigh', 'replace', '10.1.0.254', 'lladdr', BX, 'dev', 'eth0', 'nud', 'reachable')
      const file = join(directory, 'sites.yaml')
      writeFileSync(
        file,
        `
version: 1
sites: {x: {}, y: {}}
segments:
  shared:
    prefix: 10.1.0.0/24
    ports: [vx0]
    gateways:
      - { name: bx, site: x, ip: 10.1.0.254, mac: "${BX}" }
      - { name: by, site: y, ip: 10.1.0.254, mac: "${BY}" }
vms:
  here: { segment: shared, ip: 10.1.0.10, mac: "${VMS.local.mac}", site: x }
  there: { segment: shared, ip: 10.1.0.11, mac: "${VMS.far.mac}" }
`,
      )
      const learned = async (mac: string): Promise<boolean> =>
        (await bridge.run(['bridge', 'fdb', 'show', 'br', 'br0'])).includes(mac)
      // What each says to the other is how the bridge learns where they are.
      await bridge.local.run('ping', '-c1', '-W2', '10.1.0.11')
      await until(async () => (await learned(VMS.local.mac)) && (await learned(VMS.far.mac)), 5000, 'both are learned')
      const all = (...flags: string[]) =>
        gwswitch(['garp', 'by', '--all', '-i', 'br0', '-f', file, '--json', ...flags], {namespace: bridge.namespace})
      const table = (): Promise<string> => bridge.far.run('ip', 'neigh', 'show', '10.1.0.254')

      const careful = await all()
      expect(careful.json.vms).toMatchObject([{vm: {name: 'here'}, verdict: 'moved'}])
      expect(careful.json.leftAlone).toEqual([{name: 'there', ip: '10.1.0.11', site: null, port: 'vx0'}])
      expect(await table()).toContain(BX)
      const told = await all('--other-sites')
      expect(told.json.vms).toMatchObject([{verdict: 'moved'}, {vm: {name: 'there'}, verdict: 'moved'}])
      expect(told.json.leftAlone).toEqual([])
      expect(await table()).toContain(BY)
    }))
})
