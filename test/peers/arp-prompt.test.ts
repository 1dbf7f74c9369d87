// A run ends when the VM was seen to follow, not when the next timer is due.
import {describe, expect, it} from 'vitest'
import {announce} from '../../src/strategies/arp/announce.ts'
import {noNamespaces, withPair} from '../support/namespaces.ts'
import {linkIn, worldIn} from './arp-link.ts'

const HOUR_MS = 3_600_000

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
      // Frames are read outside of what Node knows as callbacks. What they settle must not wait for the next timer, which is
      // an hour away: the test would run into its timeout.
      const report = await announce(link, worldIn(wire.namespace), {
        gateway: {ip: '10.9.0.99', mac: '02:00:00:00:0b:01'},
        vm: {ip: vm.ip, mac: vm.mac},
        forms: [{form: 'ask', fromMs: 0}],
        scheduleMs: [0, HOUR_MS],
        listenMs: HOUR_MS,
      })
      expect(report.verdict).toBe('moved')
    })
  })
})
