// `garp --all` on a real segment of many VMs: every answer is heard, and what was lost is asked for again.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {anyOf, etherType, ipProtocol} from '../../src/net/packet/bpf.ts'
import {systemWorld} from '../../src/net/system-world.ts'
import {type Target, tellAll} from '../../src/orders/garp/tell-all.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4} from '../../src/wire/ethernet.ts'
import {PROTOCOL_ICMP} from '../../src/wire/ipv4.ts'
import {gwswitch} from '../support/cli.ts'
import {GATEWAY_IP, manyVms} from '../support/many-vms.ts'
import {noNamespaces, withPair} from '../support/namespaces.ts'
import {linkIn} from './arp-link.ts'

const directory = mkdtempSync(join(tmpdir(), 'gwswitch-many-'))
afterAll(() => rmSync(directory, {recursive: true}))

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
})
