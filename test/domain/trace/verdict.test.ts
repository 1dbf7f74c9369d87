import {describe, expect, it} from 'vitest'
import {REASONS} from '../../../src/domain/trace/decision-table.ts'
import {judge, type TraceExit, worstExit} from '../../../src/domain/trace/verdict.ts'
import {DECISION_ROWS} from './decision-rows.ts'
import {evidenceOf, KNOWN, NEAR_X, RX, RY, type Side, type Spec, seeded, TROMBONE} from './evidence-maker.ts'
import {SCENARIOS} from './scenarios.ts'

const rx: Side = TROMBONE.current
const ry: Side = TROMBONE.alternatives[0]!
const NO_INVENTORY: Partial<Spec> = {
  known: {sites: [], gateways: [], segment: null, siteRegex: null},
  host: {name: null, site: null},
}
const judged = (spec: Spec, options = {}) => judge(evidenceOf(spec), options)

describe('decision table', () => {
  it.each(DECISION_ROWS)('$what -> $reason', ({spec, reason, exit, minPenaltyMs}) => {
    const judgement = judged(spec, {minPenaltyMs})
    expect(judgement.reason).toBe(reason)
    expect(judgement.exitCode).toBe(exit)
  })

  it('has a world for every reason', () => {
    expect(new Set(DECISION_ROWS.map(({reason}) => reason))).toEqual(new Set(REASONS))
  })

  it('judges the default gateway in spite of a redirect, and says that it is masked', () => {
    const redirected = {gateway: RY.ip, redirected: true, expiresMs: 298_000, neighbours: []}
    const judgement = judged({...TROMBONE, integrity: {before: redirected, after: redirected}})
    expect(judgement).toMatchObject({reason: 'detour', exitCode: 10})
    const flag = judgement.flags.find(({code}) => code === 'masked-by-redirect')
    expect(flag?.detail).toMatch(/203\.0\.113\.10 via 10\.9\.0\.2, 298 s left/)
  })
})

describe('scenarios', () => {
  it.each(SCENARIOS)('$name: $what -> $verdict, $reason', (scenario) => {
    const judgement = judged(scenario.spec)
    expect(judgement.reason).toBe(scenario.reason)
    expect(judgement.verdict).toBe(scenario.verdict)
    if (scenario.inbound) expect(judgement.inbound.verdict).toBe(scenario.inbound)
    if (scenario.penalty) {
      const [ms, tolerance] = scenario.penalty
      expect(Math.abs(judgement.chosen!.penalty!.median - ms)).toBeLessThanOrEqual(tolerance)
    }
    if (scenario.thresholdMs) {
      const [ms, tolerance] = scenario.thresholdMs
      expect(Math.abs(judgement.chosen!.threshold.ms - ms)).toBeLessThanOrEqual(tolerance)
    }
  })

  it('is about one DCI round trip for one detour, whichever way the answers take', () => {
    for (const name of ['S1', 'S2']) {
      const {chosen} = judged(SCENARIOS.find((scenario) => scenario.name === name)!.spec)
      expect(chosen!.ratioToDci).toBeGreaterThan(0.97)
      expect(chosen!.ratioToDci).toBeLessThan(1.03)
    }
  })

  it('never counts the pair that warms caches', () => {
    const evidence = evidenceOf(TROMBONE)
    expect(evidence.pairs.filter((pair) => pair.warmUp)).toHaveLength(1)
    expect(judge(evidence).chosen).toMatchObject({pairsSent: 20, pairsUsed: 20})
    expect(judge(evidence).chosen!.penalty!.hi).toBeLessThan(25)
  })
})

describe('errors over many runs', () => {
  const JITTER = {meanMs: 2, spikeShare: 0.08, spikeMs: 60}
  /** Verdicts of 100 runs of 60 pairs. */
  const runs = (spec: (seed: number) => Spec) =>
    Array.from({length: 100}, (_, seed) => judged({pairs: 60, ...spec(seed), seed}).verdict)
  const share = (verdicts: readonly string[], verdict: string) =>
    verdicts.filter((each) => each === verdict).length / verdicts.length

  it('calls no detour a trombone under jitter and spikes', () => {
    const verdicts = runs(() => ({
      destination: NEAR_X,
      current: {...rx, rttMs: 20.5, noise: JITTER},
      alternatives: [{...ry, rttMs: 20.5, noise: JITTER}],
    }))
    expect(share(verdicts, 'trombone')).toBe(0)
    expect(share(verdicts, 'none')).toBeGreaterThan(0.8)
  })

  it('calls no trombone none under jitter and spikes, and finds most', () => {
    const verdicts = runs(() => ({current: {...rx, noise: JITTER}, alternatives: [{...ry, noise: JITTER}]}))
    expect(share(verdicts, 'none')).toBe(0)
    expect(share(verdicts, 'trombone')).toBeGreaterThan(0.9)
  })

  it('is not taken in by congestion that begins in the middle of the run', () => {
    const late = (base: number) => (pair: number) => base + (pair >= 10 ? 30 : 0)
    const verdicts = runs(() => ({
      destination: NEAR_X,
      current: {...rx, rttMs: late(20.5)},
      alternatives: [{...ry, rttMs: late(20.5)}],
    }))
    expect(share(verdicts, 'none')).toBe(1)
  })

  it('takes a queue on the DCI alone for a detour in at most 1 % of runs of 60 pairs', () => {
    const verdicts = runs((seed) => {
      const random = seeded(seed + 1000)
      const waits = Array.from({length: 60}, () => -Math.log(1 - random()) * 20)
      return {
        pairs: 60,
        flows: 1,
        destination: NEAR_X,
        current: {...rx, rttMs: (n: number) => 20.5 + waits[n]!},
        alternatives: [{...ry, rttMs: 20.5}],
      }
    })
    expect(share(verdicts, 'trombone')).toBeLessThanOrEqual(0.01)
  })

  it('decides wrongly in at most 1 % of runs to each side where the truth lies on the threshold', () => {
    const spec: Spec = {flows: 1, current: {...rx, rttMs: 10.2}, alternatives: [{...ry, rttMs: 0.015}]}
    const verdicts = Array.from({length: 400}, (_, seed) => judged({...spec, seed}, {minPenaltyMs: 10.185}).verdict)
    expect(share(verdicts, 'trombone')).toBeLessThanOrEqual(0.01)
    expect(share(verdicts, 'none')).toBeLessThanOrEqual(0.01)
  })
})

describe('where the VM is', () => {
  it('believes its first hops over what the inventory last knew', () => {
    const judgement = judged({...TROMBONE, host: {site: {name: 'x', source: 'inventory'}}})
    expect(judgement.places.vm).toEqual({site: 'y', source: 'latency'})
    expect(judgement.reason).toBe('detour')
    expect(judgement.flags.map(({code}) => code)).toContain('vm-moved')
  })

  it('believes a flag over everything', () => {
    const judgement = judged({...TROMBONE, host: {site: {name: 'x', source: 'flag'}}})
    expect(judgement.places.vm).toEqual({site: 'x', source: 'flag'})
    expect(judgement.reason).toBe('local-exit-slower')
    expect(judgement.flags.map(({code}) => code)).toContain('site-contradicted')
  })

  it('finds it by latency where nobody said', () => {
    const judgement = judged({...TROMBONE, host: {site: null}})
    expect(judgement.places.vm).toEqual({site: 'y', source: 'latency'})
    expect(judgement.reason).toBe('detour')
  })

  it('takes the other of two sites where only the far gateway has a name', () => {
    const known = {...KNOWN, gateways: KNOWN.gateways.filter(({name}) => name === 'rx')}
    const judgement = judged({...TROMBONE, known, host: {site: null}})
    expect(judgement.places.vm).toEqual({site: 'y', source: 'latency'})
    expect(judgement.places.alternatives[0]).toMatchObject({site: 'y', source: 'latency', local: true})
  })

  it('does without an inventory: far is what is half a DCI behind the nearest first hop', () => {
    const judgement = judged({...TROMBONE, ...NO_INVENTORY})
    expect(judgement.places.vm).toEqual({site: null, source: null})
    expect(judgement.places.current.local).toBe(false)
    expect(judgement.places.alternatives[0]!.local).toBe(true)
    expect(judgement).toMatchObject({reason: 'detour', exitCode: 10})
    expect(judgement.inbound).toMatchObject({verdict: 'local', reason: 'all-local'})
  })

  it('without an inventory sees the alternative go by the far gateway', () => {
    const spec = SCENARIOS.find(({name}) => name === 'S13')!.spec
    expect(judged({...spec, ...NO_INVENTORY}).reason).toBe('both-cross-dci')
  })

  it('does not call either of two gateways far that are both at hand', () => {
    const judgement = judged({
      pairs: 30,
      current: {...rx, firstHopMs: 0.2, rttMs: 20, hops: []},
      alternatives: [{...ry, rttMs: 1}],
      ...NO_INVENTORY,
    })
    expect(judgement.places.current.local).toBeNull()
    expect(judgement.reason).toBe('site-unknown')
  })

  it('lets a quick destination prove a silent first hop near', () => {
    const known = {...KNOWN, sites: KNOWN.sites.map((site) => ({...site, dciRttMs: 20}))}
    const judgement = judged({
      known,
      host: {site: null},
      current: {...rx, firstHopMs: null, hops: []},
      alternatives: [{...ry, firstHopMs: null, hops: []}],
    })
    expect(judgement.places.vm).toEqual({site: 'y', source: 'latency'})
    expect(judgement.reason).toBe('detour')
  })

  it('takes both first hops for far that are half a stated DCI away', () => {
    const sites = KNOWN.sites.map((site) => ({...site, dciRttMs: 20}))
    const places = judged({
      ...TROMBONE,
      known: {...KNOWN, sites, gateways: []},
      host: {site: null},
      alternatives: [{...ry, firstHopMs: 20.5, rttMs: 20.5, hops: []}],
    }).places
    expect([places.current.local, places.alternatives[0]!.local]).toEqual([false, false])
  })

  it('does not count the destination itself as a crossing', () => {
    const known = {...KNOWN, sites: KNOWN.sites.map((site) => ({...site, prefixes: []})), siteRegex: '^([a-z]+)\\.'}
    const evidence = evidenceOf({
      ...TROMBONE,
      known,
      current: {...rx, rttMs: 20.5},
      alternatives: [{...ry, rttMs: 20.4}],
    })
    const named = evidence.alternatives.map((candidate) => ({
      ...candidate,
      hops: candidate.hops.map((hop) => ({
        ...hop,
        replies: hop.replies.map((reply) => (reply.reached ? {...reply, dnsName: 'x.example.net'} : reply)),
      })),
    }))
    expect(judge({...evidence, alternatives: named}).reason).toBe('no-penalty')
  })

  it('trusts nobody where MAC and responder name different sites', () => {
    const judgement = judged({...TROMBONE, current: {...rx, responders: [RY.ip], hops: []}})
    expect(judgement.places.current).toMatchObject({site: null, source: 'conflict', local: null})
    expect(judgement.reason).toBe('site-unknown')
  })

  it('asks the MAC, not the address, after a gratuitous ARP has moved the address', () => {
    const judgement = judged({current: {...ry, ip: RX.ip, responders: [RY.ip]}, alternatives: [rx]})
    expect(judgement.places.current).toMatchObject({site: 'y', source: 'mac', local: true})
    expect(judgement.reason).toBe('current-better')
  })

  it('tells gateways of one shared IP apart by their MACs', () => {
    const shared = '10.9.0.254'
    const known = {...KNOWN, gateways: KNOWN.gateways.map((gateway) => ({...gateway, ip: shared}))}
    const judgement = judged({
      known,
      current: {...rx, ip: shared, hops: []},
      alternatives: [{...ry, ip: shared, hops: []}],
      integrity: {arpAnswers: [{ip: shared, macs: [RX.mac, RY.mac]}]},
    })
    expect(judgement).toMatchObject({reason: 'detour', exitCode: 10})
    expect(judgement.flags.map(({code}) => code)).toContain('answered-by-both')
  })
})

describe('threshold and DCI round trip', () => {
  const withDci = (dciRttMs: number) => ({...KNOWN, sites: KNOWN.sites.map((site) => ({...site, dciRttMs}))})

  it('measures the DCI by the minima of the first hops', () => {
    const {chosen} = judged(TROMBONE)
    expect(chosen!.dci).toMatchObject({source: 'measured', n: 20})
    expect(chosen!.dci.rttMs).toBeCloseTo(20.34, 5)
    expect(chosen!.threshold).toEqual({ms: chosen!.dci.rttMs! / 2, source: 'dci'})
  })

  it('caps what a queued DCI measured by what the inventory states', () => {
    const {chosen} = judged({...TROMBONE, known: withDci(20), current: {...rx, firstHopMs: 84.7}})
    expect(chosen!.dci).toEqual({rttMs: 20, source: 'inventory', n: 0})
    expect(chosen!.threshold.ms).toBe(10)
  })

  it('takes the measured one where it is less than the stated one', () => {
    expect(judged({...TROMBONE, known: withDci(30)}).chosen!.dci.source).toBe('measured')
  })

  it('says so when the first hops answered too seldom', () => {
    const few = judged({...TROMBONE, current: {...rx, firstHopProbes: 1, hops: []}})
    expect(few.chosen!.dci.n).toBe(1)
    expect(few.flags.map(({code}) => code)).toContain('dci-from-few-probes')
    expect(judged(TROMBONE).flags).toEqual([])
  })

  it('never goes below half a millisecond by itself', () => {
    const {chosen} = judged({...TROMBONE, current: {...rx, firstHopMs: 0.73}})
    expect(chosen!.threshold).toEqual({ms: 0.5, source: 'floor'})
  })

  it('does not take the difference of two gateways of one site for a DCI', () => {
    const known = {...KNOWN, gateways: KNOWN.gateways.map((gateway) => ({...gateway, site: 'x'}))}
    expect(judged({...TROMBONE, known}).chosen!.dci.rttMs).toBeNull()
  })
})

describe('several alternatives', () => {
  const third: Side = {ip: '10.9.0.3', mac: '02:00:00:00:0b:03', firstHopMs: 0.05, rttMs: 5, returnMac: RY.mac}
  const known = {
    ...KNOWN,
    gateways: [...KNOWN.gateways, {name: 'ry2', site: 'y', segment: 'tenant-a', ip: third.ip, mac: third.mac}],
  }

  it('lets the fastest at the VM’s site speak', () => {
    const {comparisons, chosen} = judged({...TROMBONE, known, alternatives: [third, ry]})
    expect(comparisons).toHaveLength(2)
    expect(chosen!.alternative).toBe(1)
    expect(chosen!.penalty!.median).toBeCloseTo(20.4, 0)
  })

  it('prefers one at the VM’s site to a faster one elsewhere', () => {
    const elsewhere = {...third, rttMs: 0.01, firstHopMs: 40}
    const sites = [...known.sites, {name: 'z', prefixes: [], dciRttMs: null}]
    const gateways = known.gateways.map((gateway) => (gateway.name === 'ry2' ? {...gateway, site: 'z'} : gateway))
    const {chosen} = judged({...TROMBONE, known: {...known, sites, gateways}, alternatives: [elsewhere, ry]})
    expect(chosen!.alternative).toBe(1)
  })

  it('passes over a dead one while another at the site is alive', () => {
    const {chosen, exitCode} = judged({...TROMBONE, known, alternatives: [{...third, rttMs: null}, ry]})
    expect(chosen!.reason).toBe('detour')
    expect(exitCode).toBe(10)
  })

  it('passes over one whose numbers mean nothing, however good they look', () => {
    const flipping = {...third, rttMs: 0.01, responders: [third.ip, RX.ip]}
    const {comparisons, chosen} = judged({...TROMBONE, known, alternatives: [flipping, {...ry, rttMs: 3}]})
    expect(comparisons.map(({reason}) => reason)).toEqual(['vmac-unstable', 'detour'])
    expect(chosen!.alternative).toBe(1)
  })

  it('pays for choosing the best with a wider interval', () => {
    const coverage = (alternatives: readonly Side[]) =>
      judged({...TROMBONE, known, pairs: 40, alternatives}).chosen!.penalty!.coverage
    expect(coverage([ry])).toBeGreaterThanOrEqual(0.99)
    expect(coverage([ry, third])).toBeGreaterThanOrEqual(0.995)
  })
})

describe('exit code of several destinations', () => {
  it.each<[TraceExit[], TraceExit]>([
    [[], 0],
    [[0, 0], 0],
    [[0, 11], 11],
    [[11, 12, 0], 12],
    [[12, 10, 11], 10],
    [[0, 1, 11], 1],
    [[1, 12], 12],
  ])('%j -> %i', (codes, exit) => expect(worstExit(codes)).toBe(exit))
})
