import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'

it('the inventory that is packaged as an example is one', () => {
  const file = join(import.meta.dirname, '../../../packaging/gwswitch.yaml')
  const {vms} = parseInventory(readFileSync(file, 'utf8'), file)
  expect([...vms].length).toBeGreaterThan(0)
})
