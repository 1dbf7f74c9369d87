// An agent that is killed after any one call that changes something, and again while it recovers; all of it in memory. With
// a real kernel and real processes: peers/agent-kill.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, it} from 'vitest'
import type {SwitchMode} from '../../../src/wire/agent-message.ts'
import {memoryOf, orders} from './agent-in-memory.ts'
import {afterwards, doomed, type FakeKernel, fakeKernel, inUse} from './fake-kernel.ts'

const {command, on} = orders()
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-kill-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

/** More than any switch, and any recovery, has. */
const LAST_CALL = 60

/** What a switch that is taken back must not leave behind. */
const seen = ({machine: {routes, rules, drain}}: FakeKernel) => JSON.stringify([routes, rules, drain ?? null])

/** Begins a switch with an agent that dies at its `call`th change; the machine, and what the last call was. */
async function killedIn(mode: SwitchMode, call: number, gw4 = '10.0.0.2') {
  const machine = fakeKernel()
  const {agent: first} = await on(machine)
  await first.stop()
  const before = seen(machine)
  const {agent, ask} = await on(machine)
  // The agent has the functions that it was started with; they are replaced under it.
  const {kernel, doom} = doomed({...machine}, call)
  Object.assign(machine, kernel)
  const order = command({mode, gw4})
  await ask(order).catch(() => {})
  await agent.stop().catch(() => {})
  return {machine, before, order, killedAfter: doom.killedAfter}
}

/** Starts an agent that dies at its `call`th change. */
async function killedRecovering(machine: FakeKernel, call: number): Promise<string | undefined> {
  const {kernel, doom} = doomed(afterwards(machine), call)
  const started = await on(kernel).catch(() => undefined)
  await new Promise((resolve) => setImmediate(resolve))
  await started?.agent.stop().catch(() => {})
  return doom.killedAfter
}

/** The agent that is not killed: what it says when the controller, who heard nothing, says the same again. */
async function outcome(machine: FakeKernel, order: ReturnType<typeof command>) {
  const kernel = afterwards(machine)
  let tried = 0
  const {agent, ask} = await on({
    ...kernel,
    replace(route, create) {
      if (route.table === 143) tried++
      kernel.replace(route, create)
    },
  })
  const answer = (await ask(order)).at(-1)!
  await agent.stop()
  return {answer, tried, kernel}
}

it.each<SwitchMode>(['replace', 'rule', 'drain'])(
  'killed anywhere in a switch (%s), and anywhere while recovering',
  // Some 700 agents: 4 s on a quiet machine.
  {timeout: 60_000},
  async (mode) => {
    const ends: string[] = []
    for (let call = 1; call < LAST_CALL; call++) {
      for (let again = 0; again < LAST_CALL; again++) {
        const {machine, before, order, killedAfter} = await killedIn(mode, call)
        if (killedAfter === undefined) return check(ends)
        const twice = again === 0 ? undefined : await killedRecovering(machine, again)
        if (again > 0 && twice === undefined) break
        const what = `${call} ${killedAfter}${twice ? `, ${again} ${twice} in recovery` : ''}`
        const {answer, tried, kernel} = await outcome(machine, order)
        // It was used up by the first write, before anything was done for it: nothing is done for it a second time.
        expect(tried, what).toBe(0)
        expect(memoryOf(kernel).keys['site-y'], what).toMatchObject({seq: order.seq})
        expect(
          kernel.machine.rules.some(({priority}) => priority === 6698),
          what,
        ).toBe(false)
        expect(
          kernel.machine.routes.some(({table}) => table === 143),
          what,
        ).toBe(false)
        if (answer.state === 'confirmed') expect(inUse(kernel), what).toBe('10.0.0.2')
        else {
          expect(answer, what).toMatchObject({
            state: expect.stringMatching(/^(?:refused|rolled_back)$/),
            reason: 'agent_stopped',
          })
          expect(inUse(kernel), what).toBe('10.0.0.1')
          expect(seen(kernel), what).toBe(before)
        }
        if (again === 0) ends.push(`${what}: ${answer.state}`)
      }
    }
    throw new Error(`killed ${LAST_CALL} times and still not done`)
  },
)

it('killed anywhere in a switch to the gateway in use, has touched nothing', async () => {
  for (let call = 1; call < LAST_CALL; call++) {
    const {machine, before, killedAfter} = await killedIn('replace', call, '10.0.0.1')
    expect(seen(machine)).toBe(before)
    // It is used up, and answered; nothing else is done for it.
    if (killedAfter === undefined) return expect(call).toBe(3)
    expect(killedAfter).toBe('writeDurably')
  }
})

function check(ends: readonly string[]): void {
  expect(ends[0]).toBe('1 writeDurably: refused')
  // Up to the write that has the way back, nothing is changed; then it is undone; then it is proved.
  expect(ends.map((end) => end.split(': ')[1]!.charAt(0)).join('')).toMatch(/^r+c+$/)
  const states = [...new Set(ends.map((end) => end.split(': ')[1]))]
  expect(states).toEqual(['refused', 'rolled_back', 'confirmed'])
}

it('says what interrupted it when the same message comes again, and takes another one', async () => {
  const {machine, order} = await killedIn('replace', 3)
  // The trial's own route and rule are there.
  expect(machine.machine.rules).toMatchObject([{priority: 6698}])
  const {ask} = await on(afterwards(machine))
  expect(machine.machine.rules).toEqual([])
  expect(await ask(order)).toMatchObject([
    {state: 'refused', reason: 'agent_stopped', detail: expect.stringMatching(/stopped while it tried the gateway/)},
  ])
  expect((await ask(command())).at(-1)).toMatchObject({state: 'confirmed', gw4: '10.0.0.2'})
})

it.each<SwitchMode>(['rule', 'drain'])(
  'killed anywhere after a rollback on a full disk, puts no overlay back (%s)',
  async (mode) => {
    for (let call = 2; call < LAST_CALL; call++) {
      const machine = fakeKernel()
      // /run is another file system.
      const over = {socket: join(scratch, `${mode}-${call}.sock`)}
      const {agent, ask} = await on(machine, over)
      const before = seen(machine)
      const order = command({mode})
      expect((await ask(order)).at(-1)).toMatchObject({state: 'confirmed'})
      // That it is ordered still has room; nothing after it does.
      machine.room = 1
      const {kernel, doom} = doomed({...machine}, call)
      Object.assign(machine, kernel)
      await ask(command({op: 'rollback', run: order.run})).catch(() => {})
      await agent.stop().catch(() => {})
      const later = afterwards(machine)
      const next = await on(later, over)
      const what = `${call} ${doom.killedAfter ?? 'not killed'}`
      expect(inUse(later), what).toBe('10.0.0.1')
      expect(seen(later), what).toBe(before)
      await next.agent.stop()
      if (doom.killedAfter === undefined) return expect(call).toBeGreaterThan(3)
    }
    throw new Error(`killed ${LAST_CALL} times and still not done`)
  },
)
