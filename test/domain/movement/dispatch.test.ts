import {describe, expect, it} from 'vitest'
import {
  type Dispatch,
  type DispatchEvent,
  type DispatchLimits,
  NEW_DISPATCH,
  step,
  waitMs,
} from '../../../src/domain/movement/dispatch.ts'
import {burn, type Fuse, failedOf, NEW_FUSE} from '../../../src/domain/movement/fuse.ts'

const LIMITS: DispatchLimits = {
  ...{atOnce: 2, waiting: 2, gapMs: 5000, backOffMs: [30_000, 60_000], retries: 0, trustMs: 30_000},
  fuse: {failures: 2, of: 3},
}

/** What happens, in few words: `arrives a`, `ends a proved`, `expects a 10`; a number is a pause, s. */
type Happening = string | number
/** What was said, and what was done, in few words. */
function play(happenings: readonly Happening[], limits = LIMITS): string[] {
  let state: Dispatch = NEW_DISPATCH
  let nowMs = 0
  const said: string[] = []
  for (const happening of happenings) {
    if (typeof happening === 'number') {
      nowMs += happening * 1000
      continue
    }
    const {state: next, actions, offered} = step(state, eventOf(happening), limits, nowMs)
    state = next
    if (offered !== undefined) said.push(offered)
    for (const action of actions) {
      const isOfRetries = action.kind === 'retry' || action.kind === 'left-alone'
      if (isOfRetries && limits.retries === 0) continue
      said.push(
        action.kind === 'begin'
          ? `${action.vm}${action.askFirst ? ' asked' : ''}`
          : action.kind === 'drop'
            ? `drop ${action.vm} ${action.why}`
            : action.kind === 'retry'
              ? `retry ${action.vm} in ${action.inMs / 1000}`
              : action.kind,
      )
    }
  }
  return said
}

function eventOf(words: string): DispatchEvent {
  const [verb, vm = '', more = ''] = words.split(' ')
  switch (verb) {
    case 'arrives':
      return {kind: 'wanted', vm, why: 'arrival', likelyHere: more === 'likely', ...provedOf(more)}
    case 'asks':
      return {kind: 'wanted', vm, why: 'asked'}
    case 'ordered':
      return {kind: 'wanted', vm, why: 'order'}
    case 'ends':
      return {kind: 'ended', vm, how: more as 'proved'}
    case 'expects':
      return {kind: 'expected', vm, forMs: Number(more) * 1000}
    case 'goes':
      return {kind: 'gone', vm}
    case 'due':
      return {kind: 'due', vm}
    default:
      return {kind: verb as 'reset'}
  }
}

/** `proved:20`: 20 s ago. */
const provedOf = (word: string): {provedMs?: number} =>
  word.startsWith('proved:') ? {provedMs: Number(word.slice(7)) * 1000} : {}

describe('a VM that arrives', () => {
  it.each<[string, readonly Happening[], readonly string[]]>([
    ['is told at once', ['arrives a'], ['begun', 'a']],
    [
      'is switched once, however often it is said',
      ['arrives a', 'arrives a', 'arrives a'],
      ['begun', 'a', 'under-way', 'under-way'],
    ],
    ['is left alone where it was proved a moment ago', ['arrives a proved:20'], ['here-already']],
    [
      'is asked first where that was longer ago: it may have left unseen',
      ['arrives a proved:31'],
      ['begun', 'a asked'],
    ],
    ['is asked first where the inventory has it here', ['arrives a likely'], ['begun', 'a asked']],
    [
      'is told at once where it was expected, whatever was before',
      ['expects a 60', 'arrives a proved:20'],
      ['begun', 'a'],
    ],
    ['is told at once where it left since', ['goes a', 'arrives a proved:20'], ['begun', 'a']],
    [
      'that was expected and does not come for long is expected no more, and its proof is none',
      ['expects a 60', 61, 'arrives a likely'],
      ['begun', 'a'],
    ],
    [
      'is left in peace for a while after a switch',
      ['arrives a', 'ends a proved', 4, 'arrives a', 1, 'arrives a'],
      ['begun', 'a', 'too-soon', 'begun', 'a'],
    ],
    [
      'that left and came again does not wait for that',
      ['arrives a', 'ends a proved', 1, 'goes a', 'arrives a'],
      ['begun', 'a', 'begun', 'a'],
    ],
    [
      'waits longer and longer after failures, also where it left in between',
      [
        'arrives a',
        'ends a nothing',
        29,
        'goes a',
        'arrives a',
        1,
        'arrives a',
        'ends a nothing',
        59,
        'arrives a',
        1,
        'arrives a',
      ],
      ['begun', 'a', 'backing-off', 'begun', 'a', 'backing-off', 'begun', 'a'],
    ],
  ])('%s', (_name, happenings, said) => {
    expect(play(happenings)).toEqual(said)
  })
})

describe('switches', () => {
  it.each<[string, readonly Happening[], readonly string[]]>([
    [
      'run a few at once, the others in their turn, and too many are refused',
      ['arrives a', 'arrives b', 'arrives c', 'arrives d likely', 'arrives e', 'ends b proved', 'ends a proved'],
      ['begun', 'a', 'begun', 'b', 'queued', 'queued', 'full', 'c', 'd asked'],
    ],
    [
      'that wait are taken back where the VM leaves',
      ['arrives a', 'arrives b', 'arrives c', 'goes c', 'ends a proved'],
      ['begun', 'a', 'begun', 'b', 'queued', 'drop c gone'],
    ],
    [
      'that run are left to their own proof where the VM leaves',
      ['arrives a', 'goes a', 'ends a nothing'],
      ['begun', 'a'],
    ],
    [
      'are done once more where the VM left in the middle, came again, and was not proved',
      ['arrives a', 'goes a', 'arrives a', 'ends a failed'],
      ['begun', 'a', 'under-way', 'a asked'],
    ],
    [
      'are not done once more where it was proved after that',
      ['arrives a', 'goes a', 'arrives a', 'ends a proved'],
      ['begun', 'a', 'under-way'],
    ],
    [
      'that somebody orders wait for nothing, and ask first',
      ['arrives a', 'ends a nothing', 'ordered a'],
      ['begun', 'a', 'begun', 'a asked'],
    ],
    ['that a VM asks for ask it first', ['asks a', 'asks a'], ['begun', 'a asked', 'under-way']],
    [
      'begin no more once it is closed',
      ['arrives a', 'arrives b', 'arrives c', 'close', 'ends a proved', 'arrives d'],
      ['begun', 'a', 'begun', 'b', 'queued', 'drop c closed', 'full'],
    ],
  ])('%s', (_name, happenings, said) => {
    expect(play(happenings)).toEqual(said)
  })

  it('tell how long a VM has to wait', () => {
    const began = step(NEW_DISPATCH, {kind: 'wanted', vm: 'a', why: 'arrival'}, LIMITS, 0).state
    const {state} = step(began, {kind: 'ended', vm: 'a', how: 'failed'}, LIMITS, 1000)
    expect([waitMs(state, 'a', 1000), waitMs(state, 'a', 32_000), waitMs(state, 'b', 0)]).toEqual([30_000, 0, 0])
  })
})

describe('the fuse', () => {
  const good = (vm: string): string[] => [`arrives ${vm}`, `ends ${vm} proved`]
  it('is not blown by VMs that failed long ago and do so again, when all others have come', () => {
    const limits = {...LIMITS, retries: 2}
    const before = ['arrives a', 'ends a failed', ...good('c'), ...good('d'), 'arrives b', 'ends b failed']
    const again = [31, 'due a', 'ends a failed', 'due b', 'ends b failed']
    expect(play([...before, ...good('e'), ...good('f'), ...again], limits)).not.toContain('blown')
    // One that left and came again is news.
    expect(play([...before, ...good('e'), 'goes a', 31, 'arrives a', 'ends a failed'], limits)).toContain('blown')
  })

  const failing = (vm: string): Happening[] => [`arrives ${vm}`, `ends ${vm} failed`]
  it.each<[string, readonly Happening[], readonly string[]]>([
    [
      'is blown by VMs that fail, and then nothing is switched, whoever wants it',
      [...failing('a'), ...failing('b'), 'arrives c', 'ordered c', 'asks c'],
      ['begun', 'a', 'begun', 'b', 'blown', 'fuse', 'fuse', 'fuse'],
    ],
    [
      'drops what waits',
      ['arrives a', 'arrives b', 'arrives c', 'ends a failed', 'ends b failed'],
      ['begun', 'a', 'begun', 'b', 'queued', 'c', 'blown'],
    ],
    [
      'is not blown by one VM that fails again and again',
      [...failing('a'), 30, ...failing('a'), 60, ...failing('a'), 'arrives b'],
      ['begun', 'a', 'begun', 'a', 'begun', 'a', 'begun', 'b'],
    ],
    [
      'forgets what was long ago',
      [
        ...failing('a'),
        ...['b', 'c', 'd'].flatMap((vm) => [`arrives ${vm}`, `ends ${vm} proved`]),
        ...failing('e'),
        'arrives f',
      ],
      ['begun', 'a', 'begun', 'b', 'begun', 'c', 'begun', 'd', 'begun', 'e', 'begun', 'f'],
    ],
    [
      'has no part in what says nothing of the gateway',
      ['arrives a', 'ends a nothing', 'arrives b', 'ends b nothing', 'arrives c'],
      ['begun', 'a', 'begun', 'b', 'begun', 'c'],
    ],
    [
      'is replaced, and then counts anew',
      [...failing('a'), ...failing('b'), 'reset', ...failing('c'), 'arrives d'],
      ['begun', 'a', 'begun', 'b', 'blown', 'begun', 'c', 'begun', 'd'],
    ],
  ])('%s', (_name, happenings, said) => {
    expect(play(happenings)).toEqual(said)
  })

  it('does not let what waits begin in the place of what blew it', () => {
    const limits = {...LIMITS, atOnce: 1, fuse: {failures: 1, of: 1}}
    expect(play(['arrives a', 'arrives b', 'arrives c', 'ends a failed'], limits)).toEqual([
      ...['begun', 'a', 'queued', 'queued', 'blown', 'drop b fuse', 'drop c fuse'],
    ])
  })

  it('goes by the order in which they were begun: what fails ends late, and together', () => {
    const limits = {...LIMITS, atOnce: 9}
    const vms = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const bad = ['a', 'd', 'g']
    const good = vms.filter((vm) => !bad.includes(vm))
    const happenings = [
      ...vms.map((vm) => `arrives ${vm}`),
      ...good.map((vm) => `ends ${vm} proved`),
      ...bad.map((vm) => `ends ${vm} failed`),
    ]
    expect(play(happenings, limits)).not.toContain('blown')
  })

  it('is not there where nobody wants one', () => {
    const {fuse: _, ...limits} = LIMITS
    expect(play([...failing('a'), ...failing('b'), 'arrives c'], limits).at(-1)).toBe('c')
  })

  it('counts VMs, and stays blown', () => {
    const outcomes = [
      ['a', false],
      ['a', false],
      ['b', true],
      ['c', false],
      ['d', true],
      ['e', true],
    ] as const
    let fuse: Fuse = NEW_FUSE
    let begun = 0
    const seen = outcomes.map(([vm, proved]) => {
      fuse = burn(fuse, {vm, proved, begun: begun++}, {failures: 2, of: 3})
      return [failedOf(fuse), fuse.blown]
    })
    expect(seen).toEqual([
      [1, false],
      [1, false],
      [1, false],
      [2, true],
      [1, true],
      [1, true],
    ])
  })
})

describe('an arrival whose switch failed', () => {
  const limits = {...LIMITS, retries: 2, fuse: undefined}
  const failed = ['begun', 'a', 'retry a in 30']
  it.each<[string, readonly Happening[], readonly string[]]>([
    ['is tried again, asked first', ['arrives a', 'ends a failed', 30, 'due a'], [...failed, 'a asked']],
    ['too where it was silent', ['arrives a', 'ends a nothing', 30, 'due a'], [...failed, 'a asked']],
    [
      'so often and no more',
      ['arrives a', 'ends a failed', 30, 'due a', 'ends a failed', 60, 'due a', 'ends a failed', 600, 'due a'],
      [...failed, 'a asked', 'retry a in 60', 'a asked', 'left-alone'],
    ],
    ['is not where it left', ['arrives a', 'ends a failed', 'goes a', 30, 'due a'], failed],
    ['nor where it left while it was switched', ['arrives a', 'goes a', 'ends a failed'], ['begun', 'a']],
    [
      'is not where somebody was quicker',
      ['arrives a', 'ends a failed', 'ordered a', 30, 'due a'],
      [...failed, 'begun', 'a asked'],
    ],
    [
      'is not once it was proved',
      ['arrives a', 'ends a failed', 'ordered a', 'ends a proved', 30, 'due a'],
      [...failed, 'begun', 'a asked'],
    ],
    ['is not before its time', ['arrives a', 'ends a failed', 29, 'due a'], failed],
    ['is not where the service ends', ['arrives a', 'ends a failed', 'close', 30, 'due a'], failed],
    [
      'waits where others are switched',
      ['arrives a', 'ends a failed', 30, 'arrives b', 'arrives c', 'due a', 'ends b proved'],
      [...failed, 'begun', 'b', 'begun', 'c', 'a asked'],
    ],
  ])('%s', (_name, happenings, said) => {
    expect(play(happenings, limits)).toEqual(said)
  })
  it('is not for who merely asked, or was ordered', () => {
    expect(play(['asks a', 'ends a failed', 'ordered b', 'ends b failed'], limits)).not.toContain('retry a in 30')
  })
})
