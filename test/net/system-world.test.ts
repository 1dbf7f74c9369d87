import {createSocket} from 'node:dgram'
import {once} from 'node:events'
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

it('what came while this process did not run is heard before the time for it is over', async () => {
  const [here, there] = [createSocket('udp4'), createSocket('udp4')]
  try {
    here.bind(0, '127.0.0.1')
    await once(here, 'listening')
    const said: string[] = []
    here.on('message', () => said.push('heard'))
    const over = systemWorld(() => {})
      .sleep(5)
      .then(() => said.push('over'))
    there.send('x', here.address().port, '127.0.0.1')
    await once(there, 'listening')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
    await over
    expect(said).toEqual(['heard', 'over'])
  } finally {
    here.close()
    there.close()
  }
})
