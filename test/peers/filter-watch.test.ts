// A filter that gives way while the gateway of its site is dead, on a real bridge.
import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {watchFilters} from '../../src/services/filter/watch.ts'
import {until, withBridge} from '../support/bridge.ts'
import {FILTER_INVENTORY, GATEWAY} from '../support/filter-frames.ts'
import {filterOn} from '../support/filter-host.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {worldIn} from './arp-link.ts'

const inventory = parseInventory(FILTER_INVENTORY, 'own-ip.yaml')
const DEADLINE_MS = 60_000

describe.skipIf(noNamespaces)('gwswitch filter check --watch --fail-open', () => {
  it('lifts the filter while the gateway is dead, puts it back, and leaves it in place', () =>
    withBridge({local: {mac: GATEWAY.mac, addresses: [`${GATEWAY.ip}/24`]}}, async (bridge) => {
      const {apply, host, recorded} = filterOn(bridge, inventory)
      await apply()
      const stop = new AbortController()
      const told: string[] = []
      const watching = watchFilters(
        {segments: [], everyMs: 20, failOpen: {site: 'x', inventory, holdMs: 100}},
        {host, world: worldIn(bridge.namespace), signal: stop.signal, tell: ({text}) => told.push(text)},
      )
      const says = (what: string): Promise<boolean> =>
        until(() => told.some((text) => text.includes(what)), DEADLINE_MS)
      expect(await says('as meant')).toBe(true)
      await bridge.local.run('ip', 'address', 'flush', 'dev', 'eth0')
      expect(await says('is lifted')).toBe(true)
      expect(await recorded()).toMatchObject({state: 'missing'})
      await bridge.local.run('ip', 'address', 'add', `${GATEWAY.ip}/24`, 'dev', 'eth0')
      expect(await says('has answered for 0.1 s: the filter is back')).toBe(true)
      expect(await recorded()).toMatchObject({state: 'as-meant'})

      told.length = 0
      await bridge.local.run('ip', 'address', 'flush', 'dev', 'eth0')
      expect(await says('is lifted')).toBe(true)
      stop.abort(new Error('enough'))
      await watching
      expect(told.at(-1)).toContain('nobody watches any more')
      expect(await recorded()).toMatchObject({state: 'as-meant'})
    }))
})
