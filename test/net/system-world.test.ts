import {setImmediate} from 'node:timers/promises'
import {expect, it} from 'vitest'
import {systemWorld} from '../../src/net/system-world.ts'

it('a time that is over already is slept through without a word', async () => {
  const warnings: string[] = []
  const take = (warning: Error): void => void warnings.push(warning.message)
  process.on('warning', take)
  try {
    await systemWorld(() => {}).sleep(-0.4)
    await setImmediate()
  } finally {
    process.off('warning', take)
  }
  expect(warnings).toEqual([])
})
