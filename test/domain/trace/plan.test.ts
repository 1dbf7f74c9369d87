import {describe, expect, it} from 'vitest'
import {nextStep, type PlanOptions, type Step} from '../../../src/domain/trace/plan.ts'
import {DECISION_ROWS} from './decision-rows.ts'
import {ALL_WORKS, evidenceOf, RY, type Side, type Spec, TROMBONE, worksBut} from './evidence-maker.ts'

const rx: Side = TROMBONE.current
const ry: Side = TROMBONE.alternatives[0]!
const OPTIONS: PlanOptions = {protocols: ['icmp', 'tcp']}
const next = (spec: Spec, mayGoOn = true, options = OPTIONS): Step => nextStep(evidenceOf(spec), options, mayGoOn)
const unchecked = {...ry, works: null}

describe('the next step', () => {
  it.each<[string, Spec, Step]>([
    ['more pairs while there are too few', {...TROMBONE, pairs: 8}, {kind: 'pairs'}],
    [
      'the alternative alone before it is recommended',
      {...TROMBONE, alternatives: [unchecked]},
      {kind: 'check', exit: 1},
    ],
    ['nothing more once it works alone', TROMBONE, {kind: 'done', hops: expect.any(Boolean)}],
    [
      'the exit in use alone, where the alternative fails a check: both may',
      {current: {...rx, works: null}, alternatives: [{...ry, works: worksBut('full')}]},
      {kind: 'check', exit: 0},
    ],
    [
      'no check where the exit in use is the better one',
      {current: {...ry, works: null}, alternatives: [{...rx, works: null}]},
      {kind: 'done', hops: expect.any(Boolean)},
    ],
    [
      'the silent side alone, after seven pairs',
      {...TROMBONE, pairs: 7, alternatives: [{...ry, rttMs: null, works: null}]},
      {kind: 'check', exit: 1},
    ],
    ['not before', {...TROMBONE, pairs: 6, alternatives: [{...ry, rttMs: null, works: null}]}, {kind: 'pairs'}],
    [
      'the exit in use, if that is the silent one',
      {current: {...rx, rttMs: null, works: null}, alternatives: [ry], pairs: 8},
      {kind: 'check', exit: 0},
    ],
    [
      'TCP where no echo is answered',
      {current: {...rx, rttMs: null}, alternatives: [{...ry, rttMs: null}], pairs: 6},
      {kind: 'protocol', protocol: 'tcp'},
    ],
    [
      'a few more pairs before that',
      {current: {...rx, rttMs: null}, alternatives: [{...ry, rttMs: null}], pairs: 3},
      {kind: 'pairs'},
    ],
    [
      'TCP where only echoes are blocked through the alternative',
      {
        ...TROMBONE,
        alternatives: [{...ry, rttMs: null, works: {...worksBut('small'), syn: ALL_WORKS.syn}}],
      },
      {kind: 'protocol', protocol: 'tcp'},
    ],
    [
      'everything afresh when the path changed',
      {pairs: 30, current: rx, alternatives: [{...ry, rttMs: (n) => (n < 15 ? 20.4 : 0.03)}]},
      {kind: 'afresh'},
    ],
    [
      'and once is enough',
      {
        pairs: 30,
        current: rx,
        alternatives: [{...ry, rttMs: (n) => (n < 15 ? 20.4 : 0.03)}],
        probe: {afreshAtMs: 4000},
      },
      {kind: 'done', hops: expect.any(Boolean)},
    ],
    ['nothing without an alternative', {...TROMBONE, alternatives: []}, {kind: 'done', hops: expect.any(Boolean)}],
    [
      'nothing where both are one',
      {current: rx, alternatives: [{...ry, mac: rx.mac}]},
      {kind: 'done', hops: expect.any(Boolean)},
    ],
  ])('%s', (_, spec, step) => expect(next(spec)).toEqual(step))

  it('is nothing where no pairs are left to send', () => {
    expect(next({...TROMBONE, pairs: 8}, false)).toEqual({kind: 'done', hops: expect.any(Boolean)})
  })

  it('is nothing where every protocol was silent', () => {
    const silent = {current: {...rx, rttMs: null}, alternatives: [{...ry, rttMs: null}]}
    expect(next({...silent, probe: {protocol: 'tcp', port: 33434, silent: ['icmp']}})).toEqual({
      kind: 'done',
      hops: expect.any(Boolean),
    })
    expect(next(silent, true, {protocols: ['icmp']})).toEqual({kind: 'done', hops: expect.any(Boolean)})
  })

  it('asks for TCP flows before it says that there is no detour, once, unless it was told echoes alone', () => {
    const evidence = evidenceOf({current: ry, alternatives: [rx]})
    const unasked = {...evidence, current: {...evidence.current, tcpFlows: null}}
    expect(nextStep(unasked, OPTIONS, true)).toEqual({kind: 'flows'})
    expect(nextStep(evidence, OPTIONS, true)).toEqual({kind: 'done', hops: true})
    expect(nextStep(unasked, {protocols: ['icmp']}, true)).toEqual({kind: 'done', hops: true})
  })

  it('wants hops where the verdict rests on them, or somebody will look at them', () => {
    expect(next(TROMBONE)).toEqual({kind: 'done', hops: false})
    expect(next(TROMBONE, true, {...OPTIONS, hops: true})).toEqual({kind: 'done', hops: true})
  })

  it('never asks for more pairs of what is decided', () => {
    for (const {reason, spec, minPenaltyMs} of DECISION_ROWS) {
      const step = nextStep(evidenceOf(spec), {...OPTIONS, minPenaltyMs}, false)
      expect(step.kind, reason).not.toBe('pairs')
    }
    expect(next({...TROMBONE, alternatives: [{...ry, mac: RY.mac}]}).kind).toBe('done')
  })
})
