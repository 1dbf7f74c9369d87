// A run ends when the VM was seen to follow, not when the next timer is due.
import {describe, expect, it} from 'vitest'
import {announce} from '../../src/strategies/arp/announce.ts'
import {noNamespaces, withPair} from '../support/namespaces.ts'
import {linkIn, worldIn} from './arp-link.ts'

describe.skipIf(noNamespaces)('announce', () => {
  it('returns as soon as the proof is there', async () => {
    await withPair(async (vm, wire) => {
      await vm.run(
        'ip',
        'neigh',
        'replace',
        '10.9.0.99',
        'lladdr',
        '02:00:00:00:0a:01',
        'dev',
        'eth0',
        'nud',
        'reachable',
      )
      await using link = await linkIn(wire.namespace, wire.interface, {promiscuous: true})
      const began = performance.now()
      const report = await announce(link, worldIn(wire.namespace), {
        gateway: {ip: '10.9.0.99', mac: '02:00:00:00:0b:01'},
        vm: {ip: vm.ip, mac: vm.mac},
        forms: [{form: 'ask', fromMs: 0}],
        scheduleMs: [0, 20_000],
        listenMs: 20_000,
      })
      expect(report.verdict).toBe('moved')
      // Frames are read outside of what Node knows as callbacks: what they settle must not wait for the 20 s timer.
      expect(performance.now() - began).toBeLessThan(10_000)
    })
  })
})
