// The line to a guest's agent in a switch: when it is opened, and what becomes of it where it breaks.
import {describe, expect, it} from 'vitest'
import {Failure} from '../../../src/errors.ts'
import type {GuestAgent} from '../../../src/net/stream/qga.ts'
import {qgaConversation} from '../../../src/strategies/agent/qga-switch.ts'
import {guest, NEW4, OLD4, order, target} from './guest.ts'

/** A conversation with a guest in memory whose clock gains 10 ms with every program. */
function talk(over: Partial<GuestAgent> = {}, open?: () => Promise<GuestAgent>) {
  const vm = guest()
  const said: string[] = []
  const seen = {opened: 0, closed: 0}
  let nowNs = 1_000_000_000n
  const agent: GuestAgent = {
    interfaces: async () => vm.facts.nics,
    async run(argv) {
      nowNs += 10_000_000n
      return vm.run(argv)
    },
    async start(argv) {
      vm.start(argv)
      return 4711
    },
    close: () => void seen.closed++,
    ...over,
  }
  const conversation = qgaConversation(
    target(),
    order(),
    async () => {
      seen.opened++
      return open ? open() : agent
    },
    {
      world: {now: () => nowNs, sleep: async () => {}},
      signal: new AbortController().signal,
      observe: ({text}) => void said.push(text),
    },
  )
  return {vm, said, seen, conversation}
}

describe('a conversation with a guest’s agent', () => {
  it('is opened at the first question, once, and tells when the agent answered', async () => {
    const {conversation, seen, said, vm} = talk()
    expect(seen.opened).toBe(0)
    expect(await conversation.begin()).toMatchObject({
      state: 'applied',
      gateways: {v4: NEW4},
      timing: {receivedMs: 0, appliedMs: 50, confirmedMs: null},
    })
    expect(await conversation.confirm()).toMatchObject({
      state: 'confirmed',
      timing: {receivedMs: 0, appliedMs: 50, confirmedMs: 100},
    })
    expect([seen.opened, vm.files.size]).toEqual([1, 0])
    expect(said.slice(0, 2)).toEqual([
      'web-07: asking QEMU guest agent /run/web-07.qga',
      "web-07: the guest's agent answers",
    ])
    expect(await conversation.rollBack()).toMatchObject({state: 'rolled_back', gateways: {v4: OLD4}})
    conversation.close()
    await null
    expect(seen.closed).toBe(1)
  })

  it('that was never opened has nothing to close', async () => {
    const {conversation, seen} = talk()
    conversation.close()
    await null
    expect(seen).toEqual({opened: 0, closed: 0})
  })

  it.each(['silent', 'refused'] as const)('that fails so is a standing (%s)', async (kind) => {
    const fail = () => Promise.reject(new Failure(kind, 'no guest agent answers'))
    const unopened = talk({}, fail)
    const want = {state: kind, detail: 'no guest agent answers', gateways: {v4: null, v6: null}}
    expect(await unopened.conversation.begin()).toMatchObject({...want, timing: {receivedMs: null}})
    expect(unopened.said).toEqual(['web-07: asking QEMU guest agent /run/web-07.qga'])
    unopened.conversation.close()
    for (const broken of [{interfaces: fail}, {run: fail}, {start: fail}])
      expect(await talk(broken).conversation.begin()).toMatchObject({...want, timing: {receivedMs: 0}})
  })

  it.each([new Failure('privilege', 'not ours to open'), new Failure('runtime', 'stopped'), new TypeError('a bug')])(
    'that fails otherwise is an error (%s)',
    async (error) => {
      await expect(talk({}, () => Promise.reject(error)).conversation.begin()).rejects.toBe(error)
      await expect(talk({run: () => Promise.reject(error)}).conversation.rollBack()).rejects.toBe(error)
    },
  )
})
