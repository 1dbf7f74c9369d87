import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {suspicionsOf} from '../../../src/domain/inventory/suspicions.ts'

it('the inventory that is packaged as an example is one, with nothing suspicious in it', () => {
  const file = join(import.meta.dirname, '../../../packaging/gwswitch.yaml')
  const inventory = parseInventory(readFileSync(file, 'utf8'), file)
  expect([...inventory.vms].length).toBeGreaterThan(0)
  expect(suspicionsOf(inventory, ['arp', 'agent', 'dhcp', 'mac-proxy'])).toEqual([])
})
