import {describe, expect, it} from 'vitest'
import type {AgentTarget, SwitchOrder} from '../../../src/strategies/agent/conversation.ts'
import {RETRANSMIT_MS, signedConversation} from '../../../src/strategies/agent/signed.ts'
import type {StrategyEvent} from '../../../src/strategies/strategy.ts'
import type {AgentCommand} from '../../../src/wire/agent-message.ts'
import {fakeWorld} from '../../support/world.ts'
import {fakeAgent, ORDER, OTHER_KEY, type Reply, SITE_KEY, TARGET} from './fake-agent.ts'

interface Given {
  readonly order?: Partial<SwitchOrder>
  readonly target?: Partial<AgentTarget>
  readonly lost?: (count: number) => boolean
  readonly signal?: AbortSignal
}

function talk(answer: (command: AgentCommand, count: number) => readonly Reply[], given: Given = {}) {
  const world = fakeWorld()
  const agent = fakeAgent(world, answer, given.lost)
  const events: StrategyEvent[] = []
  const stage = {
    world,
    signal: given.signal ?? new AbortController().signal,
    observe: (event: StrategyEvent) => void events.push(event),
  }
  const conversation = signedConversation(
    {...TARGET, ...given.target},
    {...ORDER, ...given.order},
    {peer: agent.peer, key: SITE_KEY},
    stage,
  )
  return {world, agent, conversation, events}
}

const CONFIRMED = {state: 'confirmed', gw4: '10.0.0.2', mode: 'replace', t_apply_ms: 4, t_confirm_ms: 9} as const

describe('a signed switch', () => {
  it('says what is to be done, and nothing that was not asked for', async () => {
    const {agent, conversation} = talk(() => [CONFIRMED])
    await conversation.begin()
    const {seq, iat, exp, nonce, ...said} = agent.heard[0]!
    expect(said).toEqual({
      v: 1,
      op: 'switch',
      vm: 'web-07',
      mac: '02:00:00:00:00:10',
      run: 'run-1',
      site: 'y',
      gw4: '10.0.0.2',
      from_gw4: '10.0.0.1',
      probe: ['203.0.113.10'],
      confirm_s: 10,
    })
    expect(iat).toBe(1_700_000_000)
    expect(exp - iat).toBe(35)
    expect(seq).toBe(1_700_000_000_000_000)
    expect(nonce).toMatch(/^[\w-]{16}$/)
  })

  it('waits for the confirmation to be wanted, gives it, and tells the times', async () => {
    const {conversation, agent} = talk((command) =>
      command.op === 'switch'
        ? [{state: 'received'}, {state: 'applied', afterMs: 20, gw4: '10.0.0.2', t_apply_ms: 4}]
        : [{...CONFIRMED, afterMs: 5}],
    )
    const applied = await conversation.begin()
    expect(applied).toMatchObject({
      state: 'applied',
      attempts: 1,
      timing: {receivedMs: 1, appliedMs: 20, confirmedMs: null, agentApplyMs: 4},
    })
    const confirmed = await conversation.confirm()
    expect(confirmed).toMatchObject({
      state: 'confirmed',
      gateways: {v4: '10.0.0.2', v6: null},
      timing: {confirmedMs: 25},
    })
    expect(agent.heard.map(({op}) => op)).toEqual(['switch', 'confirm'])
    expect(agent.heard[1]!.seq).toBeGreaterThan(agent.heard[0]!.seq)
    expect(agent.heard[1]).not.toHaveProperty('gw4')
  })

  it('leaves the decision to the agent without a time to confirm', async () => {
    const {conversation, agent} = talk(
      () => [{state: 'received'}, {state: 'applied', afterMs: 5}, {...CONFIRMED, afterMs: 30}],
      {order: {confirmS: 0}},
    )
    expect(await conversation.begin()).toMatchObject({state: 'confirmed', timing: {appliedMs: 5, confirmedMs: 30}})
    expect(agent.heard[0]).not.toHaveProperty('confirm_s')
  })

  it('repeats the very same message, ever more slowly, until it is answered', async () => {
    const {conversation, agent, world} = talk(() => [CONFIRMED], {lost: (count) => count < 4})
    const start = world.now()
    expect(await conversation.begin()).toMatchObject({state: 'confirmed', attempts: 5})
    // With a tag and without, in turn.
    const [tagged, plain] = agent.tokens
    expect(tagged).toMatch(new RegExp(`^${plain}\\.[\\w-]{22}$`))
    expect(agent.tokens).toEqual([tagged, plain, tagged, plain, tagged])
    const waited = RETRANSMIT_MS.slice(0, 4).reduce((sum, ms) => sum + ms, 0)
    expect(Number(world.now() - start) / 1e6).toBeCloseTo(waited + 1, 5)
  })

  it('counts on from where the agent is, if a clock was ahead once, and takes it for a refusal if that does not help', async () => {
    const ahead = 1_800_000_000_000_000
    const replayed = {state: 'refused', reason: 'replayed', last_seq: ahead} as const
    const {conversation, agent, events} = talk(({seq}) => [seq > ahead ? CONFIRMED : replayed])
    expect(await conversation.begin()).toMatchObject({state: 'confirmed', attempts: 2})
    expect(agent.heard[1]!.seq).toBe(ahead + 1)
    expect(new Set(agent.heard.map(({nonce}) => nonce)).size).toBe(2)
    expect(events.map(({text}) => text).join()).toMatch(/has heard seq 1800000000000000 of this key/)
    const {conversation: other, agent: stubborn} = talk(() => [replayed])
    expect(await other.begin()).toMatchObject({state: 'refused', reason: 'replayed'})
    expect(stubborn.heard).toHaveLength(2)
    // What was obeyed once is not done again under another number.
    const {conversation: own, agent: done} = talk(({seq}) => [{...replayed, last_seq: seq}])
    expect(await own.begin()).toMatchObject({state: 'refused', reason: 'replayed'})
    expect(done.heard).toHaveLength(1)
  })

  it('asks again where an answer was lost, and learns how it stands', async () => {
    const {conversation, agent} = talk((_, count) =>
      count === 0 ? [{state: 'received'}] : [{state: 'applied', gw4: '10.0.0.2'}],
    )
    expect(await conversation.begin()).toMatchObject({state: 'applied', timing: {receivedMs: 1, appliedMs: 101}})
    expect(agent.heard).toHaveLength(2)
  })

  it('is silent when nobody answers in time, and says that the VM helps itself', async () => {
    const {conversation, world, agent} = talk(() => [])
    const start = world.now()
    const standing = await conversation.begin()
    expect(standing).toMatchObject({state: 'silent', reason: null, timing: {receivedMs: null}})
    expect(standing.detail).toMatch(/no answer from udp 10\.0\.0\.10:6742.*goes back by itself within 10 s/)
    expect(Number(world.now() - start) / 1e6).toBe(ORDER.timeoutMs)
    expect(agent.heard.length).toBeGreaterThan(5)
  })

  it('names a port that nobody listens on', async () => {
    const {conversation, agent} = talk(() => [])
    const begun = conversation.begin()
    agent.refuse('nothing listens on UDP port 6742 of 10.0.0.10')
    expect((await begun).detail).toMatch(/^nothing listens on UDP port 6742/)
  })

  it.each<[string, Reply]>([
    ['signed by somebody else', {...CONFIRMED, signedBy: OTHER_KEY}],
    ['from another VM', {...CONFIRMED, vm: 'db-03'}],
    ['about another run', {...CONFIRMED, run: 'run-0'}],
    ['to another command', {...CONFIRMED, seq: 1}],
    ['with another nonce', {...CONFIRMED, nonce: 'A'.repeat(16)}],
    ['about another operation', {...CONFIRMED, op: 'query'}],
  ])('does not believe an answer %s', async (_, reply) => {
    const {conversation} = talk(() => [reply])
    expect((await conversation.begin()).state).toBe('silent')
  })

  it('hears from an agent that it is another VM', async () => {
    const {conversation} = talk(() => [
      {state: 'refused', reason: 'wrong_vm', vm: 'db-03', detail: 'this is db-03, not web-07'},
    ])
    expect(await conversation.begin()).toMatchObject({state: 'refused', reason: 'wrong_vm'})
  })

  it('says so when answers come that the known key did not sign', async () => {
    const {conversation} = talk(() => [{...CONFIRMED, signedBy: OTHER_KEY}])
    expect((await conversation.begin()).detail).toMatch(/answers came, none of them signed by the agent of web-07/)
  })

  it('believes the later state when answers overtake each other', async () => {
    const {conversation, events} = talk(
      () => [
        {state: 'received', afterMs: 9},
        {state: 'applied', afterMs: 3},
        {...CONFIRMED, afterMs: 20},
      ],
      {order: {confirmS: 0}},
    )
    expect((await conversation.begin()).state).toBe('confirmed')
    expect(events.map(({text}) => text).filter((text) => /received/.test(text))).toEqual([])
  })

  it.each([
    ['refused', 'gateway_not_allowed'],
    ['rolled_back', 'probe_failed'],
  ] as const)('passes on that it was %s, and why', async (state, reason) => {
    const {conversation, agent} = talk(() => [{state, reason, detail: 'because'}])
    expect(await conversation.begin()).toMatchObject({state, reason, detail: 'because'})
    expect(agent.heard).toHaveLength(1)
  })

  it('asks how it ended when there is nothing left to confirm', async () => {
    const {conversation, agent} = talk(({op}) =>
      op === 'confirm'
        ? [{state: 'refused', reason: 'no_switch', detail: 'run-1 is rolled_back already'}]
        : [{state: 'rolled_back', reason: 'not_confirmed', detail: 'no confirmation came in time', gw4: '10.0.0.1'}],
    )
    expect(await conversation.confirm()).toMatchObject({
      state: 'rolled_back',
      reason: 'not_confirmed',
      gateways: {v4: '10.0.0.1'},
    })
    expect(agent.heard.map(({op}) => op)).toEqual(['confirm', 'query'])
  })

  it('takes a switch back that never began for taken back', async () => {
    const {conversation} = talk(() => [
      {state: 'refused', reason: 'no_switch', detail: 'there is no switch of run run-1'},
    ])
    expect(await conversation.rollBack()).toMatchObject({
      state: 'rolled_back',
      detail: expect.stringMatching(/^it never began/),
    })
  })

  it('ends at once when it is aborted, with the reason', async () => {
    const controller = new AbortController()
    const {conversation} = talk(() => [{state: 'received'}], {signal: controller.signal})
    const begun = conversation.begin()
    controller.abort(new Error('stopped by SIGINT'))
    await expect(begun).rejects.toThrow('stopped by SIGINT')
  })

  it('signs under the name that the VM knows the key by', async () => {
    const {conversation, agent} = talk(() => [CONFIRMED], {target: {kid: 'old-name'}, order: {timeoutMs: 200}})
    expect((await conversation.begin()).state).toBe('silent')
    const header = JSON.parse(Buffer.from(agent.tokens[0]!.split('.')[0]!, 'base64url').toString())
    expect(header).toEqual({alg: 'Ed25519', kid: 'old-name', typ: 'gwsw-cmd+jws'})
  })

  it("needs the public half of the agent's key", () => {
    expect(() => talk(() => [], {target: {agentKey: null}})).toThrow(/web-07: no public key of its agent/)
  })
})
