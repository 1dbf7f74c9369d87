import {describe, expect, it} from 'vitest'
import {judge} from '../../../src/domain/trace/verdict.ts'
import {evidenceOf, KNOWN, NEAR_X, RX, RY, type Side, type Spec, TROMBONE} from './evidence-maker.ts'
import {SCENARIOS} from './scenarios.ts'

const rx: Side = TROMBONE.current
const ry: Side = TROMBONE.alternatives[0]!
const judged = (spec: Spec, options = {}) => judge(evidenceOf(spec), options)

describe('inbound', () => {
  const inbound = (spec: Spec) => judged(spec).inbound
  const returning = (returnMac: string | readonly string[], rest: Partial<Spec> = {}): Spec => ({
    current: {...rx, returnMac},
    alternatives: [{...ry, returnMac}],
    ...rest,
  })

  it.each([
    ['all by a gateway of the VM’s site', returning(RY.mac), 'local', 'all-local'],
    ['all by a gateway of the far site', returning(RX.mac), 'inbound-trombone', 'all-far'],
    [
      'all by the far gateway of the destination’s own site',
      returning(RX.mac, {destination: NEAR_X}),
      'direct',
      'all-at-destination',
    ],
    [
      'all by a far gateway, destination nowhere known',
      returning(RX.mac, {destination: '192.0.2.1'}),
      'inbound-trombone',
      'all-far',
    ],
    ['by both', returning([RX.mac, RY.mac]), 'mixed', 'both'],
    ['by both and a stranger', returning([RX.mac, RY.mac, '02:00:00:00:0c:0c']), 'mixed', 'both'],
    ['by a stranger', returning('02:00:00:00:0c:0c'), 'unknown', 'unknown-mac'],
    ['by a stranger once in a while', returning([RY.mac, RY.mac, '02:00:00:00:0c:0c']), 'unknown', 'unknown-mac'],
    [
      'eleven answers',
      returning(RY.mac, {pairs: 11, alternatives: [{...ry, rttMs: null}]}),
      'unknown',
      'too-few-replies',
    ],
    ['twelve answers', returning(RY.mac, {pairs: 12, alternatives: [{...ry, rttMs: null}]}), 'local', 'all-local'],
    ['no answers', returning(RY.mac, {pairs: 0}), 'unknown', 'too-few-replies'],
    [
      'by a MAC that gateways at both sites share',
      returning('00:00:5e:00:01:01', {
        known: {...KNOWN, gateways: KNOWN.gateways.map((each) => ({...each, mac: '00:00:5e:00:01:01'}))},
      }),
      'unknown',
      'shared-mac',
    ],
    [
      'by a known gateway while nobody knows where the VM is',
      {
        ...returning(RX.mac),
        host: {site: null},
        current: {...rx, firstHopMs: null, rttMs: 60, hops: [], returnMac: RX.mac},
        alternatives: [{...ry, firstHopMs: null, rttMs: 40, hops: [], returnMac: RX.mac}],
      },
      'unknown',
      'site-unknown',
    ],
    [
      'each by the exit that its probe took',
      {current: {...rx, returnMac: RX.mac}, alternatives: [{...ry, returnMac: RY.mac}]},
      'follows-exit',
      'each-by-its-exit',
    ],
    [
      'by the burned-in MAC of a gateway with a virtual one',
      {
        current: {...rx, returnMac: '02:00:00:00:0b:99'},
        alternatives: [
          {...ry, mac: '00:00:5e:00:01:0b', answersFrom: '02:00:00:00:0b:99', returnMac: '02:00:00:00:0b:99'},
        ],
        known: {
          ...KNOWN,
          gateways: KNOWN.gateways.map((each) => (each.name === 'ry' ? {...each, mac: '00:00:5e:00:01:0b'} : each)),
        },
        pairs: 12,
      },
      'local',
      'all-local',
    ],
  ] as const)('%s', (_, spec, verdict, reason) => {
    expect(inbound(spec)).toMatchObject({verdict, reason})
  })

  it('prices a far return at one crossing or more, and bounds the share by Wilson', () => {
    const {costAtLeastMs, shareFar, via} = inbound(returning(RX.mac))
    expect(costAtLeastMs).toBeCloseTo(10.17, 2)
    expect(shareFar).toMatchObject({value: 1, hi: 1})
    expect(shareFar!.lo).toBeCloseTo(0.912, 3)
    expect(via).toEqual([{mac: RX.mac, gateway: 'rx', site: 'x', replies: 40, local: false}])
  })

  it('is no reason to fail where the destination itself is far', () => {
    const spec = SCENARIOS.find(({name}) => name === 'S3')!.spec
    expect(judged(spec, {failOnInbound: true})).toMatchObject({exitCode: 0, inbound: {verdict: 'direct'}})
  })

  it('counts as a trombone only where that was asked for', () => {
    const spec = SCENARIOS.find(({name}) => name === 'S2b')!.spec
    expect(judged(spec).exitCode).toBe(0)
    expect(judged(spec, {failOnInbound: true}).exitCode).toBe(10)
  })
})
