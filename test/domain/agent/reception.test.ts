// From a message to its answers, as a table: to whom the agent says what, and what it writes down before that.
import {describe, expect, it} from 'vitest'
import {parseAgentConfig} from '../../../src/domain/agent/config.ts'
import {type AgentMemory, EMPTY_MEMORY, remembered, type SwitchRecord, used} from '../../../src/domain/agent/memory.ts'
import {
  NOBODY,
  type Reception,
  type ReceptionAction,
  type ReceptionEvent,
  type Reply,
  step,
  withAnswer,
} from '../../../src/domain/agent/reception.ts'
import {
  type AgentCommand,
  type AgentOp,
  type Echo,
  newPrivateKey,
  type Opened,
  publicKeyText,
} from '../../../src/wire/agent-message.ts'
import {FAMILIES} from './switching-guest.ts'
import {usualWays} from './ways.ts'

const NOW_S = 1_790_000_000
const config = parseAgentConfig(
  JSON.stringify({
    ...{version: 1, vm: 'web-07', probes: ['203.0.113.10']},
    trusted: {'site-y': {key: publicKeyText(newPrivateKey()), gateways: ['10.0.0.2']}},
  }),
  'agent.yaml',
)
const eth0 = {
  ...{index: 2, name: 'eth0', mac: '02:00:00:00:00:10', up: true},
  prefixes: [{family: 4, address: '10.0.0.10', length: 24} as const],
}
const command = (seq: number, op: AgentOp = 'switch', run = `r${seq}`): AgentCommand => ({
  ...{v: 1, op, vm: 'web-07', run, seq, iat: NOW_S, exp: NOW_S + 60, nonce: String(seq).padStart(16, '0')},
  ...(op === 'switch' ? {gw4: '10.0.0.2'} : {}),
})
const record = (over: Partial<SwitchRecord> = {}): SwitchRecord => ({
  ...{kid: 'site-y', run: 'r1', seq: 1, nonce: '0000000000000001', mode: 'replace', phase: 'done', state: 'confirmed'},
  ...{changes: [], probes: [], needsConfirm: false, drainMs: 0, startedAt: 0},
  ...over,
})
const stamp = ({op, run, seq, nonce}: Echo) => ({v: 1, op, vm: 'web-07', run, seq, nonce, iat: NOW_S}) as const

/** Who speaks: its name goes with the messages, so that a test sees who hears what. */
const speakers = new Map<Reply, string>()
function speaker(name: string): Reply {
  const reply: Reply = () => {}
  speakers.set(reply, name)
  return reply
}
const controller = speaker('controller')

function inWords(action: ReceptionAction): string {
  switch (action.kind) {
    case 'use_up':
      return action.decisive ? 'must use up' : 'use up'
    case 'answer':
      return `answer ${speakers.get(action.asker.reply)}: ${action.outcome.state} ${action.outcome.reason ?? ''}`.trim()
    case 'say':
      return `say ${speakers.get(action.reply)}: ${action.outcome.state} ${action.outcome.reason ?? ''}`.trim()
    case 'tell':
      return `tell ${speakers.get(action.asker.reply)}`
    case 'log':
      return 'log'
    default:
      return action.kind
  }
}

class Agent {
  state: Reception = NOBODY
  memory: AgentMemory
  factsRead = 0

  constructor(memory: AgentMemory = EMPTY_MEMORY) {
    this.memory = memory
  }

  take(event: ReceptionEvent): string[] {
    const {memory} = this
    const {state, actions} = step(this.state, event, {
      ...{config, memory},
      facts: () => {
        this.factsRead++
        const nothing = {
          nowMs: NOW_S * 1000,
          dmiUuid: undefined,
          ownerOf: () => undefined,
          ...usualWays(() => FAMILIES),
        }
        return {...nothing, memory, nics: [eth0], families: FAMILIES}
      },
    })
    this.state = state
    return actions.map(inWords)
  }

  opened(opened: Opened<AgentCommand>, reply = controller): string[] {
    const digest = opened.ok ? `digest ${opened.message.seq}` : ''
    return this.take({kind: 'message', opened, digest, reply, atMs: 0})
  }

  hear(message: AgentCommand, reply = controller): string[] {
    return this.opened({ok: true, kid: 'site-y', message}, reply)
  }

  asker(message: AgentCommand, reply = controller) {
    return {kid: 'site-y', command: message, digest: `digest ${message.seq}`, reply}
  }

  /** As if that had been written down. */
  answered(message: AgentCommand): void {
    const answer = {...stamp(message), state: 'received'} as const
    this.memory = remembered(used(this.memory, 'site-y', message, NOW_S), {
      ...{kid: 'site-y', seq: message.seq, digest: `digest ${message.seq}`, answer},
    })
  }
}

describe('a message', () => {
  it('that nobody trusted has signed is met by silence, and counted', () => {
    const agent = new Agent()
    expect(agent.opened({ok: false, authenticated: false, reason: 'bad_signature'})).toEqual([])
    expect(agent.opened({ok: false, authenticated: false, reason: 'flooded'})).toEqual([])
    agent.opened({ok: false, authenticated: false, reason: 'flooded'})
    expect(agent.state.counts).toEqual({obeyed: 0, refused: 0, repeated: 0, silent: {bad_signature: 1, flooded: 2}})
  })

  it('that is signed and makes no sense is refused, if it can be answered', () => {
    const agent = new Agent()
    const invalid = {ok: false, authenticated: true, kid: 'site-y', problem: 'no gateway'} as const
    expect(agent.opened({...invalid, payload: command(1)})).toEqual(['say controller: refused invalid'])
    expect(agent.opened({...invalid, payload: {}})).toEqual([])
    expect(agent.state.counts.refused).toBe(2)
  })

  it.each<[string, AgentMemory, AgentCommand, string[]]>([
    ['a switch', EMPTY_MEMORY, command(1), ['switch_obeyed', 'switch']],
    [
      'a switch to a gateway that is not allowed',
      EMPTY_MEMORY,
      {...command(1), gw4: '10.0.0.3'},
      ['log', 'use up', 'answer controller: refused gateway_not_allowed'],
    ],
    // It may not be meant for us: its number is not used up, and nothing about us is said.
    [
      'a switch of another VM',
      EMPTY_MEMORY,
      {...command(1), vm: 'web-08'},
      ['log', 'say controller: refused wrong_vm'],
    ],
    ['a question', EMPTY_MEMORY, command(1, 'query'), ['must use up', 'answer controller: received']],
    [
      'a question about the last switch',
      {...EMPTY_MEMORY, last: record()},
      command(2, 'query', 'r1'),
      ['must use up', 'answer controller: confirmed'],
    ],
    [
      'a question about another one',
      {...EMPTY_MEMORY, last: record()},
      command(2, 'query', 'r0'),
      ['must use up', 'answer controller: received'],
    ],
    [
      'a confirmation',
      {...EMPTY_MEMORY, last: record({phase: 'applied', state: 'applied'})},
      command(2, 'confirm', 'r1'),
      ['must use up', 'confirm'],
    ],
    ['a rollback', {...EMPTY_MEMORY, last: record()}, command(2, 'rollback', 'r1'), ['must use up', 'rollback']],
    [
      'a rollback of nothing',
      EMPTY_MEMORY,
      command(2, 'rollback', 'r1'),
      ['log', 'use up', 'answer controller: refused no_switch'],
    ],
  ])('with %s', (_, memory, message, actions) => {
    expect(new Agent(memory).hear(message)).toEqual(actions)
  })

  it('that cannot be written down as used up is refused, and nothing is done for it', () => {
    for (const op of ['query', 'confirm', 'rollback'] as const) {
      const agent = new Agent({...EMPTY_MEMORY, last: record({phase: 'applied', state: 'applied'})})
      const asker = agent.asker(command(2, op, 'r1'))
      // The step that asked for the write is as if it had not been.
      expect(agent.take({kind: 'not_saved', asker, detail: 'ENOSPC'})).toEqual([
        ...['log', 'use up', 'answer controller: refused persist_failed'],
      ])
      expect(agent.state).toEqual({...NOBODY, counts: {...NOBODY.counts, refused: 1}})
    }
  })

  it('is refused with no more words than an answer holds', () => {
    const agent = new Agent()
    const {actions} = step(
      agent.state,
      {kind: 'declined', asker: agent.asker(command(1)), reason: 'busy', detail: 'x'.repeat(400)},
      {config, memory: EMPTY_MEMORY, facts: () => expect.unreachable()},
    )
    expect(actions.at(-1)).toMatchObject({kind: 'answer', outcome: {detail: 'x'.repeat(300)}})
  })
})

describe('the same message again', () => {
  it('while it is being carried out, has its answer coming', () => {
    const agent = new Agent()
    agent.hear(command(1))
    expect(agent.hear(command(1))).toEqual([])
    expect(agent.factsRead).toBe(1)
  })

  it('is told what was written down, and costs no look at the routes', () => {
    const agent = new Agent()
    agent.answered(command(1))
    expect(agent.hear(command(1))).toEqual(['tell controller'])
    expect(agent.factsRead).toBe(0)
    expect(agent.state.counts).toMatchObject({repeated: 1, obeyed: 0})
  })

  it('moves the answers to where it came from', () => {
    const agent = new Agent()
    agent.hear(command(1), speaker('before'))
    agent.answered(command(1))
    agent.hear(command(1), speaker('after'))
    expect(agent.take({kind: 'changed', record: record()})).toEqual(['tell after'])
  })

  it('but not those to another message', () => {
    const agent = new Agent()
    agent.answered(command(1))
    agent.hear(command(2), speaker('second'))
    agent.hear(command(1), speaker('first'))
    expect(agent.take({kind: 'changed', record: record({seq: 2, run: 'r2'})})).toEqual(['tell second'])
  })
})

describe('a switch that was accepted', () => {
  it('keeps another one out until its turn is over', () => {
    const agent = new Agent()
    const busy = ['log', 'use up', 'answer controller: refused busy']
    agent.hear(command(1))
    expect(agent.hear(command(2))).toEqual(busy)
    // Nor does the end of something else let one in.
    agent.take({kind: 'done', asker: agent.asker(command(3, 'rollback', 'r0'))})
    expect(agent.hear(command(4))).toEqual(busy)
    agent.take({kind: 'done', asker: agent.asker(command(1))})
    expect(agent.hear(command(5))).toEqual(['switch_obeyed', 'switch'])
    expect(agent.state.counts).toMatchObject({obeyed: 2, refused: 2})
  })

  it('and did not begin, is refused, and nobody waits for it any more', () => {
    const agent = new Agent()
    agent.hear(command(1))
    const asker = agent.asker(command(1))
    expect(agent.take({kind: 'declined', asker, reason: 'persist_failed', detail: 'ENOSPC'})).toEqual([
      ...['switch_failed', 'log', 'use up', 'answer controller: refused persist_failed'],
    ])
    expect(agent.state).toMatchObject({underway: [], beginning: false})
    expect(agent.hear(command(2))).toEqual(['switch_obeyed', 'switch'])
  })

  it.each<[Partial<SwitchRecord>, string[]]>([
    [{phase: 'probing', state: 'received'}, ['tell controller']],
    [{phase: 'applying', state: 'received'}, []],
    [{phase: 'applied', state: 'applied'}, ['tell controller']],
    [{phase: 'done', state: 'confirmed'}, ['tell controller']],
    [{phase: 'rolling_back', state: 'applied'}, []],
    // That may take long.
    [{phase: 'rolling_back', state: 'applied', trouble: 'Network is down'}, ['tell controller']],
    [{phase: 'done', state: 'rolled_back'}, ['switch_failed', 'tell controller']],
    [{phase: 'done', state: 'refused'}, ['switch_failed', 'tell controller']],
    // Of another switch.
    [{phase: 'done', state: 'rolled_back', seq: 9}, ['switch_failed']],
    [{phase: 'done', state: 'confirmed', kid: 'site-x'}, []],
  ])('tells who asked for it that it is %j: %j', (over, actions) => {
    const agent = new Agent()
    agent.hear(command(1))
    expect(agent.take({kind: 'changed', record: record(over)})).toEqual(actions)
  })
})

describe('a rollback', () => {
  const stuck = record({phase: 'rolling_back', state: 'applied', trouble: 'Network is down'})

  it('that is done is answered, and that is all', () => {
    const agent = new Agent({...EMPTY_MEMORY, last: record()})
    agent.hear(command(2, 'rollback', 'r1'))
    agent.memory = {...agent.memory, last: record({state: 'rolled_back', reason: 'requested'})}
    expect(agent.take({kind: 'done', asker: agent.asker(command(2, 'rollback', 'r1'))})).toEqual([
      'answer controller: rolled_back requested',
    ])
    expect(agent.state).toMatchObject({underway: [], waiting: [], counts: {obeyed: 1}})
  })

  it('that is not done yet is answered, and told once when it is', () => {
    const agent = new Agent({...EMPTY_MEMORY, last: stuck})
    const asker = agent.asker(command(2, 'rollback', 'r1'), speaker('waiting'))
    expect(agent.take({kind: 'done', asker})).toEqual(['answer waiting: applied'])
    expect(agent.take({kind: 'changed', record: stuck})).toEqual([])
    const back = record({state: 'rolled_back'})
    expect(agent.take({kind: 'changed', record: back})).toEqual(['switch_failed', 'tell waiting'])
    expect(agent.take({kind: 'changed', record: back})).toEqual(['switch_failed'])
  })

  it('keeps no more than 16 waiting: the last ones', () => {
    const agent = new Agent({...EMPTY_MEMORY, last: stuck})
    for (let seq = 2; seq < 22; seq++) agent.take({kind: 'done', asker: agent.asker(command(seq, 'rollback', 'r1'))})
    expect(agent.state.waiting.map(({command: {seq}}) => seq)).toEqual(Array.from({length: 16}, (_, i) => i + 6))
  })
})

describe('what is written down of a switch', () => {
  const withSwitch = (state: Reception, memory: AgentMemory, of: SwitchRecord) =>
    withAnswer(state, {...memory, last: of}, of, stamp).answered

  it('is the answer to the command that began it, over the one before', () => {
    const agent = new Agent()
    agent.hear(command(1))
    const [first] = withSwitch(agent.state, agent.memory, record({phase: 'probing', state: 'received'}))
    expect(first).toMatchObject({kid: 'site-y', seq: 1, digest: 'digest 1', answer: {op: 'switch', state: 'received'}})
    agent.answered(command(1))
    expect(withSwitch(agent.state, agent.memory, record())).toMatchObject([{answer: {state: 'confirmed', run: 'r1'}}])
  })

  it('also after a restart, when nobody waits for it', () => {
    const agent = new Agent()
    agent.answered(command(1))
    const later = withSwitch(NOBODY, agent.memory, record({state: 'rolled_back'}))
    expect(later).toMatchObject([{digest: 'digest 1', answer: {state: 'rolled_back'}}])
  })

  it('is nothing where the command is not known any more', () => {
    expect(withSwitch(NOBODY, EMPTY_MEMORY, record())).toEqual([])
  })
})
