// A confirmed gateway is watched for as long as was said, also by an agent that came later.
import {afterEach, beforeEach, expect, it, vi} from 'vitest'
import {memoryOf, orders} from './agent-in-memory.ts'
import {afterwards, fakeKernel, inUse} from './fake-kernel.ts'

const {command, on} = orders()
const watched = {windows: {guardS: 60, probeMs: 1000}}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A switch confirmed, and then `seconds` later an agent that was killed. */
async function killedAfter(seconds: number, over: Parameters<typeof command>[0] = {}) {
  const kernel = fakeKernel()
  const {agent, ask} = await on(kernel, watched)
  const order = command(over)
  await ask(order)
  if (over.confirm_s) await ask(command({op: 'confirm', run: order.run}))
  expect(memoryOf(kernel).last).toMatchObject({state: 'confirmed'})
  await vi.advanceTimersByTimeAsync(seconds * 1000)
  // As if killed: it does nothing any more. A confirmed switch stays when an agent is stopped.
  await agent.stop()
  return {order, later: afterwards(kernel)}
}

it.each([{}, {confirm_s: 20}])('an agent that is started again goes on watching (%o)', async (over) => {
  const {later} = await killedAfter(20, over)
  await on(later, watched)
  await vi.advanceTimersByTimeAsync(20_000)
  expect(inUse(later)).toBe('10.0.0.2')
  later.forwarding.delete('10.0.0.2')
  await vi.advanceTimersByTimeAsync(10_000)
  expect(inUse(later)).toBe('10.0.0.1')
  expect(memoryOf(later).last).toMatchObject({state: 'rolled_back', reason: 'gateway_died'})
  expect(memoryOf(later).last).not.toHaveProperty('guardUntil')
})

it('and for no longer than the first would have', async () => {
  const {later} = await killedAfter(50)
  const asked = vi.fn(later.echoAny)
  later.echoAny = asked
  await on(later, watched)
  await vi.advanceTimersByTimeAsync(15_000)
  later.forwarding.delete('10.0.0.2')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(inUse(later)).toBe('10.0.0.2')
  // 10 s, a look every two, and the one by which an agent makes sure that it may look.
  expect(asked.mock.calls.length).toBeLessThanOrEqual(8)
})

it('without a probe nothing is watched: there is nothing to ask', async () => {
  const kernel = fakeKernel()
  const {ask} = await on(kernel, {...watched, probes: []})
  const order = command({confirm_s: 20})
  await ask(order)
  await ask(command({op: 'confirm', run: order.run}))
  expect(memoryOf(kernel).last).toMatchObject({state: 'confirmed'})
  expect(memoryOf(kernel).last).not.toHaveProperty('guardUntil')
})
