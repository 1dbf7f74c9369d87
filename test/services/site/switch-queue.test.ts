import {describe, expect, it} from 'vitest'
import {type SwitchQueueLimits, switchQueue} from '../../../src/services/site/switch-queue.ts'

const LIMITS: SwitchQueueLimits = {atOnce: 2, waiting: 2, gapMs: 5000, backOffMs: [30_000, 60_000]}

/** A queue whose switches end when the test says so. */
function make() {
  let nowMs = 0
  const running = new Map<string, (succeeded: boolean) => void>()
  const begun: string[] = []
  const queue = switchQueue<string>(
    LIMITS,
    () => nowMs,
    (vm, order) => {
      begun.push(`${vm} ${order}`)
      return new Promise((resolve) => running.set(vm, resolve))
    },
  )
  return {
    queue,
    begun,
    wait(ms: number) {
      nowMs += ms
    },
    async end(vm: string, succeeded = true) {
      running.get(vm)!(succeeded)
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

describe('the queue of switches', () => {
  it('runs a few at once, and the others in their turn', async () => {
    const {queue, begun, end} = make()
    const offered = ['a', 'b', 'c', 'd', 'e'].map((vm) => queue.offer(vm, '1'))
    expect(offered).toEqual(['begun', 'begun', 'queued', 'queued', 'full'])
    await end('b')
    await end('a')
    expect(begun).toEqual(['a 1', 'b 1', 'c 1', 'd 1'])
  })

  it('runs one at a time for a VM, and not the next one at once', async () => {
    const {queue, end, wait} = make()
    queue.offer('a', '1')
    queue.offer('b', '1')
    queue.offer('c', '1')
    expect(queue.offer('a', '2')).toBe('under_way')
    expect(queue.offer('c', '2')).toBe('under_way')
    await end('a')
    expect(queue.offer('a', '3')).toBe('too_soon')
    expect(queue.waitMs('a')).toBe(5000)
    wait(5000)
    expect(queue.offer('a', '4')).toBe('queued')
  })

  it('waits longer and longer after failures in a row, and no longer after a success', async () => {
    const {queue, end, wait} = make()
    for (const ms of [30_000, 60_000, 60_000]) {
      expect(queue.offer('a', '')).toBe('begun')
      await end('a', false)
      wait(ms - 1)
      expect(queue.offer('a', '')).toBe('backing_off')
      wait(1)
    }
    queue.offer('a', '')
    await end('a')
    wait(5000)
    queue.offer('a', '')
    await end('a', false)
    expect(queue.waitMs('a')).toBe(30_000)
  })

  it('begins nothing once it is closed, and waits for what runs', async () => {
    const {queue, begun, end} = make()
    for (const vm of ['a', 'b', 'c']) queue.offer(vm, '1')
    let closed = false
    const closing = queue.close().then(() => {
      closed = true
    })
    await end('a')
    expect({closed, begun}).toEqual({closed: false, begun: ['a 1', 'b 1']})
    await end('b')
    await closing
    expect(queue.offer('z', '1')).toBe('full')
    expect(begun).toEqual(['a 1', 'b 1'])
  })
})
