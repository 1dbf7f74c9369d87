import {describe, expect, it} from 'vitest'
import {Failure} from '../../../src/errors.ts'
import {
  type NotifyRequest,
  type NotifyRow,
  notifyAll,
  type OpenConversation,
} from '../../../src/orders/notify/notify.ts'
import {notifyDocument, notifyText} from '../../../src/orders/notify/notify-report.ts'
import type {Conversation, Standing} from '../../../src/strategies/agent/conversation.ts'
import {ORDER, SITE_KEY, TARGET} from '../../strategies/agent/fake-agent.ts'
import {type FakeWorld, fakeWorld} from '../../support/world.ts'

const standing = (over: Partial<Standing> = {}): Standing => ({
  state: 'confirmed',
  reason: null,
  detail: null,
  gateways: {v4: '10.0.0.2', v6: null},
  mode: 'replace',
  attempts: 2,
  timing: {receivedMs: 1, appliedMs: 5, confirmedMs: 9, agentApplyMs: 3, agentConfirmMs: 7},
  ...over,
})

const notices = (count: number, confirmS = 10): NotifyRequest[] =>
  Array.from({length: count}, (_, i) => ({
    target: {...TARGET, name: `vm-${i}`},
    order: {...ORDER, confirmS},
    key: SITE_KEY,
  }))

/** Records what is said to whom; every word takes `ms`. */
function script(world: FakeWorld, say: Partial<Record<keyof Conversation, (name: string) => Standing>> = {}, ms = 10) {
  const said: string[] = []
  let open = 0
  let most = 0
  const opener: OpenConversation = async (target, _order, _key, {signal}) => {
    most = Math.max(most, ++open)
    const word = (verb: 'begin' | 'confirm' | 'rollBack') => async () => {
      said.push(`${verb} ${target.name}`)
      await world.sleep(ms, signal)
      return (
        say[verb]?.(target.name) ??
        standing({state: verb === 'begin' ? 'applied' : verb === 'confirm' ? 'confirmed' : 'rolled_back'})
      )
    }
    return {begin: word('begin'), confirm: word('confirm'), rollBack: word('rollBack'), close: () => void open--}
  }
  return {opener, said, most: () => most, open: () => open}
}

describe('telling several VMs', () => {
  it('begins them at the rate, keeps their order, and confirms what was applied', async () => {
    const world = fakeWorld()
    const {opener, said} = script(world)
    const start = world.now()
    const done: number[] = []
    const rows = await notifyAll(notices(3), 10, {
      world,
      signal: new AbortController().signal,
      open: opener,
      progress: (n) => done.push(n),
    })
    expect(Number(world.now() - start) / 1e6).toBe(200 + 20)
    expect(said).toEqual(['begin vm-0', 'confirm vm-0', 'begin vm-1', 'confirm vm-1', 'begin vm-2', 'confirm vm-2'])
    expect(rows.map(({target}) => target.name)).toEqual(['vm-0', 'vm-1', 'vm-2'])
    expect(done).toEqual([1, 2, 3])
  })

  it('has a bounded number under way, however slowly they answer', async () => {
    const world = fakeWorld()
    const {opener, most, open} = script(world, {}, 60_000)
    await notifyAll(notices(150), 1000, {world, signal: new AbortController().signal, open: opener})
    expect(most()).toBe(64)
    expect(open()).toBe(0)
  })

  it.each(['refused', 'rolled_back', 'silent', 'confirmed'] as const)('does not confirm what is %s', async (state) => {
    const world = fakeWorld()
    const {opener, said} = script(world, {begin: () => standing({state})})
    await notifyAll(notices(1), 10, {world, signal: new AbortController().signal, open: opener})
    expect(said).toEqual(['begin vm-0'])
  })

  it('leaves an applied switch to the agent where no confirmation is wanted', async () => {
    const world = fakeWorld()
    const {opener, said} = script(world)
    const [row] = await notifyAll(notices(1, 0), 10, {world, signal: new AbortController().signal, open: opener})
    expect(said).toEqual(['begin vm-0'])
    expect(row!.standing!.state).toBe('applied')
  })

  it('says that it was applied when nobody answers the confirmation', async () => {
    const world = fakeWorld()
    const {opener} = script(world, {
      confirm: () =>
        standing({
          state: 'silent',
          detail: 'no answer',
          timing: {receivedMs: null, appliedMs: null, confirmedMs: null, agentApplyMs: null, agentConfirmMs: null},
        }),
    })
    const [row] = await notifyAll(notices(1), 10, {world, signal: new AbortController().signal, open: opener})
    expect(row!.standing).toMatchObject({state: 'silent', detail: 'no answer', timing: {appliedMs: 5}})
  })

  it('takes back what is under way when it is stopped, and begins no more', async () => {
    const world = fakeWorld()
    const controller = new AbortController()
    const {opener, said, open} = script(world, {}, 1000)
    const all = notifyAll(notices(5), 10, {world, signal: controller.signal, open: opener})
    void world.sleep(150).then(() => controller.abort(new Failure('runtime', 'stopped by SIGINT')))
    const rows = await all
    expect(rows.map(({standing: is, failure}) => is?.state ?? failure?.message)).toEqual([
      ...['rolled_back', 'rolled_back'],
      ...Array.from({length: 3}, () => 'stopped by SIGINT: not begun'),
    ])
    expect(notifyDocument('run-1', rows, 130).exitCode).toBe(130)
    expect(said).toEqual(['begin vm-0', 'begin vm-1', 'rollBack vm-0', 'rollBack vm-1'])
    expect(open()).toBe(0)
  })

  it.each<[string, () => Standing]>([
    ['nobody answered', () => standing({state: 'silent', detail: 'no answer to the rollback'})],
    ['it was refused', () => standing({state: 'refused', reason: 'clock'})],
    [
      'it failed',
      () => {
        throw new Error('EHOSTUNREACH')
      },
    ],
  ])('says that it does not know, if it is stopped and on taking it back %s', async (_, rollBack) => {
    const world = fakeWorld()
    const controller = new AbortController()
    const {opener} = script(world, {rollBack}, 1000)
    const all = notifyAll(notices(1), 10, {world, signal: controller.signal, open: opener})
    void world.sleep(150).then(() => controller.abort(new Failure('runtime', 'stopped by SIGINT')))
    const document = notifyDocument('run-1', await all, 130)
    expect(document).toMatchObject({exitCode: 7, vms: [{state: 'unknown'}]})
    expect(document.vms[0]!.detail).toMatch(/^stopped by SIGINT; whether it went back is not known: /)
  })

  it('tells what happens as it happens', async () => {
    const world = fakeWorld()
    const seen: string[] = []
    const open: OpenConversation = async (target, order, key, stage) => {
      stage.observe({atNs: world.now(), text: 'switch (seq 1)'})
      return script(world).opener(target, order, key, stage)
    }
    const onEvent = (vm: string, text: string): void => void seen.push(`${vm}: ${text}`)
    await notifyAll(notices(2), 10, {world, signal: new AbortController().signal, open, onEvent})
    expect(seen).toEqual(['vm-0: switch (seq 1)', 'vm-1: switch (seq 1)'])
  })

  it.each([
    ['served', 'confirm', 'confirmed'],
    ['unverified', 'confirm', 'confirmed'],
    ['silent', 'confirm', 'confirmed'],
    ['elsewhere', 'rollBack', 'rolled_back'],
    ['partial', 'rollBack', 'rolled_back'],
    ['target-dead', 'rollBack', 'rolled_back'],
  ] as const)('looks before it confirms: %s', async (code, word, state) => {
    const world = fakeWorld()
    const {opener, said} = script(world)
    const look = async () => ({ok: code === 'served', code, uses: null, evidence: ['seen from here']})
    const rows = await notifyAll(notices(1), 10, {world, signal: new AbortController().signal, open: opener, look})
    expect(said).toEqual(['begin vm-0', `${word} vm-0`])
    const [vm] = notifyDocument('run-1', rows).vms
    expect(vm).toMatchObject({state, code, evidence: ['seen from here']})
  })

  it.each([
    ['served', 0, /^CONFIRMED/],
    ['unverified', 0, /^CONFIRMED/],
    ['elsewhere', 4, /^NOT SERVED/],
    ['target-dead', 4, /^NOT SERVED/],
    ['partial', 4, /^PARTIAL/],
  ] as const)('says what it sees of one that says that it is there already: %s', async (code, exitCode, line) => {
    const world = fakeWorld()
    const {opener, said} = script(world, {begin: () => standing({reason: 'already'})})
    const look = async () => ({ok: code === 'served', code, uses: null, evidence: ['seen from here']})
    const rows = await notifyAll(notices(1), 10, {world, signal: new AbortController().signal, open: opener, look})
    expect(said).toEqual(['begin vm-0'])
    const document = notifyDocument('run-1', rows)
    expect(document).toMatchObject({exitCode, vms: [{state: 'confirmed', code}]})
    expect(notifyText(document).at(-2)).toMatch(line)
  })

  it.each([
    ['partial', 'partial', ['begin vm-0'], 0, 'partial'],
    ['partial', 'target-dead', ['begin vm-0', 'rollBack vm-0'], 3, 'target-dead'],
    [null, 'elsewhere', ['begin vm-0', 'rollBack vm-0'], 3, 'elsewhere'],
    [null, 'unverified', ['begin vm-0'], 0, 'unverified'],
  ] as const)(
    'of one that confirmed it itself (reason %s) and is seen %s: %j',
    async (reason, seen, words, exitCode, code) => {
      const world = fakeWorld()
      const {opener, said} = script(world, {begin: () => standing({reason})})
      const look = async () => ({ok: false, code: seen, uses: null, evidence: ['seen from here']})
      const rows = await notifyAll(notices(1), 10, {world, signal: new AbortController().signal, open: opener, look})
      expect(said).toEqual(words)
      expect(notifyDocument('run-1', rows)).toMatchObject({exitCode, vms: [{code}]})
    },
  )

  it('keeps the failure of one from the others', async () => {
    const world = fakeWorld()
    const {opener} = script(world)
    const open: OpenConversation = (target, ...rest) =>
      target.name === 'vm-1'
        ? Promise.reject(new Failure('runtime', 'no way to 10.0.0.10: EHOSTUNREACH'))
        : opener(target, ...rest)
    const rows = await notifyAll(notices(3), 10, {world, signal: new AbortController().signal, open})
    expect(rows.map(({standing: is, failure}) => is?.state ?? failure?.message)).toEqual([
      'confirmed',
      'no way to 10.0.0.10: EHOSTUNREACH',
      'confirmed',
    ])
  })
})

describe('the report', () => {
  const row = (over: Partial<Standing>, name = 'web-07'): NotifyRow => ({
    target: {...TARGET, name},
    order: ORDER,
    key: SITE_KEY,
    events: [],
    standing: standing(over),
  })
  const failed = (failure: Failure): NotifyRow => ({target: TARGET, order: ORDER, key: SITE_KEY, events: [], failure})

  it.each<[number, NotifyRow[]]>([
    [0, [row({}), row({})]],
    [3, [row({}), row({state: 'rolled_back'}), row({state: 'refused'}), row({state: 'silent'})]],
    [4, [row({state: 'silent'}), row({state: 'refused'})]],
    [5, [row({}), row({state: 'silent'})]],
    [5, [row({state: 'applied'})]],
    [5, [row({state: 'received'})]],
    [4, [failed(new Failure('refused', 'no'))]],
    [5, [failed(new Failure('silent', 'nobody'))]],
    [6, [row({}), failed(new Failure('privilege', 'not ours'))]],
    [1, [row({state: 'rolled_back'}), failed(new Failure('runtime', 'no way'))]],
  ])('ends with %i', (exitCode, rows) => {
    expect(notifyDocument('run-1', rows).exitCode).toBe(exitCode)
  })

  it.each<[number, NotifyRow[]]>([
    [130, [row({}), row({state: 'rolled_back'})]],
    [130, [failed(new Failure('runtime', 'stopped by SIGINT: not begun'))]],
    [7, [row({state: 'rolled_back'}), failed(new Failure('unknown', 'not known'))]],
    [0, [row({})]],
  ])('ends with %i after SIGINT', (exitCode, rows) => {
    expect(notifyDocument('run-1', rows, 130).exitCode).toBe(exitCode)
  })

  it('is a line of what came of it for one VM', () => {
    expect(notifyText(notifyDocument('run-1', [row({})])).slice(-2)).toEqual([
      'CONFIRMED   web-07 uses 10.0.0.2 (replace): applied 5.0 ms, confirmed 9.0 ms after the command went out',
      '            by its own word: what it sends cannot be seen from here (-i names its port)',
    ])
    const proof = {ok: true, code: 'served' as const, uses: null, evidence: ['web-07 leaves through ry']}
    expect(notifyText(notifyDocument('run-1', [{...row({}), proof} as NotifyRow])).at(-1)).toBe(
      '            web-07 leaves through ry',
    )
    const partial = notifyDocument('run-1', [row({reason: 'partial', detail: '198.51.100.0/24 still by 10.0.0.1'})])
    expect(partial).toMatchObject({vms: [{code: 'partial'}], exitCode: 0})
    expect(notifyText(partial)).toContain(
      'PARTIAL     web-07 uses 10.0.0.2 (replace): partial: 198.51.100.0/24 still by 10.0.0.1',
    )
    const refused = row({state: 'refused', reason: 'clock', detail: 'expired 300 s ago'})
    expect(notifyText(notifyDocument('run-1', [refused])).at(-1)).toBe('REFUSED     web-07: clock: expired 300 s ago')
  })

  it('is a row each for several', () => {
    const rows = [
      row({}),
      row({state: 'rolled_back', reason: 'probe_failed', detail: 'nothing beyond 10.0.0.2 answers'}, 'db-11'),
    ]
    expect(notifyText(notifyDocument('run-1', rows))).toEqual([
      '             VM      gateway   mode     received  applied  confirmed  asked',
      'CONFIRMED    web-07  10.0.0.2  replace    1.0 ms   5.0 ms     9.0 ms      2',
      'ROLLED BACK  db-11   10.0.0.2  replace    1.0 ms   5.0 ms     9.0 ms      2  probe_failed: nothing beyond 10.0.0.2 answers',
      '',
      '1 of 2 VMs confirmed (run run-1)',
    ])
  })
})
