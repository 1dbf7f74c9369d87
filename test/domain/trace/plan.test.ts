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
    ['nothing more once it works alone', TROMBONE, {kind: 'done'}],
    [
      'the exit in use alone, where the alternative fails a check: both may',
      {current: {...rx, works: null}, alternatives: [{...ry, works: worksBut('full')}]},
      {kind: 'check', exit: 0},
    ],
    [
      'no check where the exit in use is the better one',
      {current: {...ry, works: null}, alternatives: [{...rx, works: null}]},
      {kind: 'done'},
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
      {kind: 'done'},
    ],
    ['nothing without an alternative', {...TROMBONE, alternatives: []}, {kind: 'done'}],
    ['nothing where both are one', {current: rx, alternatives: [{...ry, mac: rx.mac}]}, {kind: 'done'}],
  ])('%s', (_, spec, step) => expect(next(spec)).toEqual(step))

  it('is nothing where no pairs are left to send', () => {
    expect(next({...TROMBONE, pairs: 8}, false)).toEqual({kind: 'done'})
  })

  it('is nothing where every protocol was silent', () => {
    const silent = {current: {...rx, rttMs: null}, alternatives: [{...ry, rttMs: null}]}
    expect(next({...silent, probe: {protocol: 'tcp', port: 33434, silent: ['icmp']}})).toEqual({kind: 'done'})
    expect(next(silent, true, {protocols: ['icmp']})).toEqual({kind: 'done'})
  })

  it('never asks for more pairs of what is decided', () => {
    for (const {reason, spec, minPenaltyMs} of DECISION_ROWS) {
      const step = nextStep(evidenceOf(spec), {...OPTIONS, minPenaltyMs}, false)
      expect(step.kind, reason).not.toBe('pairs')
    }
    expect(next({...TROMBONE, alternatives: [{...ry, mac: RY.mac}]}).kind).toBe('done')
  })
})
