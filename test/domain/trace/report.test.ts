import {describe, expect, it} from 'vitest'
import {REASONS} from '../../../src/domain/trace/decision-table.ts'
import {traceDocument} from '../../../src/domain/trace/document.ts'
import {stamped} from '../../../src/orders/document.ts'
import {complaints, publishedSchema} from '../../support/schemas.ts'
import {DECISION_ROWS} from './decision-rows.ts'
import {documentOf, judged, RUN} from './document-maker.ts'
import {RX, RY, type Spec, TROMBONE} from './evidence-maker.ts'
import {SCENARIOS} from './scenarios.ts'

const single = (spec: Spec) => documentOf(spec).results[0]!

describe('the document of one destination', () => {
  const document = single(TROMBONE)

  it('has the shape that scripts rely on', () => {
    expect(document).toMatchObject({
      startedAt: '2026-03-01T10:00:00.000Z',
      finishedAt: '2026-03-01T10:00:06.120Z',
      durationMs: 6120,
      complete: true,
      host: {
        name: 'web-07',
        ip: '10.9.0.10',
        mac: '02:00:00:00:00:10',
        iface: 'eth0',
        site: 'y',
        siteSource: 'inventory',
      },
      destination: {ip: '203.0.113.10', site: 'y', siteSource: 'prefix'},
      probe: {proto: 'icmp', flows: 4, pairsSent: 20, pairsUsed: 20, rxTimestamp: 'kernel'},
      dci: {rttMs: 20.34, source: 'measured', n: 20},
      inbound: {verdict: 'local', via: [{gateway: 'ry', site: 'y', replies: 40}], shareFar: {value: 0, lo: 0}},
      integrity: {
        routeBefore: {gateway: RX.ip, redirected: false},
        routeAfter: {gateway: RX.ip, redirected: false},
        redirectsSeen: [],
        acceptRedirects: true,
        rawSocketsOpen: 0,
        arpOwners: {},
      },
      flags: [],
      exitCode: 10,
    })
  })

  it('has the current candidate first, with its hops in their places', () => {
    const [current, alternative] = document.candidates
    expect(current).toMatchObject({
      role: 'current',
      name: 'rx',
      site: 'x',
      siteSource: 'mac',
      local: false,
      ip: RX.ip,
      mac: RX.mac,
      macSource: 'inventory',
      firstHop: {responders: [RX.ip], n: 20},
      sent: 20,
      received: 20,
    })
    expect(alternative).toMatchObject({role: 'alternative', name: 'ry', site: 'y', local: true})
    expect(
      current!.hops.map(({addr, site, gateway, returnGateway, remote, reached}) => [
        addr,
        site,
        gateway,
        returnGateway,
        remote,
        reached,
      ]),
    ).toEqual([
      ['10.9.0.1', 'x', 'rx', 'rx', true, false],
      ['172.16.1.2', 'x', null, 'rx', true, false],
      ['172.16.2.2', 'y', null, 'ry', false, false],
      ['203.0.113.10', 'y', null, 'ry', false, true],
    ])
    expect(current!.hops[0]).toMatchObject({
      ttl: 1,
      answered: 3,
      sent: 3,
      returnMac: RX.mac,
      replyTtl: 64,
      mpls: null,
      ifInfo: null,
    })
  })

  it('has the verdict with its numbers, and each alternative’s own', () => {
    const {egress, comparisons} = document
    expect(egress).toMatchObject({
      verdict: 'trombone',
      reason: 'detour',
      counts: true,
      changedAtMs: null,
      alternative: 1,
      thresholdSource: 'dci',
    })
    expect(egress.penaltyMs!.coverage).toBe(0.9974)
    expect(egress.penaltyMs!.lo).toBeLessThanOrEqual(egress.penaltyMs!.median)
    expect(egress.flows.map(({id, n}) => [id, n])).toEqual([
      [0, 5],
      [1, 5],
      [2, 5],
      [3, 5],
    ])
    expect(comparisons).toEqual([{...egress, pairsSent: 20, pairsUsed: 20}])
  })

  it('keeps every pair, warm-up included, flat enough for a table', () => {
    expect(document.pairs).toHaveLength(21)
    expect(document.pairs[0]).toMatchObject({i: 0, warmUp: true})
    expect(document.pairs[1]).toMatchObject({
      i: 1,
      alternative: 1,
      warmUp: false,
      currentReturnMac: RY.mac,
      currentRefusal: null,
    })
    expect(Object.values(document.pairs[1]!).every((value) => value === null || typeof value !== 'object')).toBe(true)
  })

  it('says who refused', () => {
    const {pairs} = single(SCENARIOS.find(({name}) => name === 'S10')!.spec)
    expect(pairs[1]).toMatchObject({alternativeMs: null, alternativeRefusal: '10.9.0.2 3/0'})
  })

  it('is told by its MAC where a hop answers onto the VM’s own segment, and by no MAC elsewhere', () => {
    const {candidates} = single(SCENARIOS.find(({name}) => name === 'S13')!.spec)
    expect(candidates[1]!.hops[1]).toMatchObject({
      addr: RX.ip,
      site: 'x',
      siteSource: 'mac',
      gateway: 'rx',
      remote: true,
    })
    // 172.16.2.2 comes back by ry, and is at y for its prefix; 172.16.1.2 comes back by rx and would be for that, too.
    expect(candidates[0]!.hops[2]).toMatchObject({site: 'y', siteSource: 'prefix', returnGateway: 'ry'})
  })
})

describe.each([...SCENARIOS, ...DECISION_ROWS.map((row) => ({...row, name: row.what}))])('$name', ({spec}) => {
  it('is JSON that says everything, by the published schema: nothing undefined, no NaN, no -0, at most 1 µs', () => {
    const document = documentOf(spec)
    expect(JSON.parse(JSON.stringify(document))).toStrictEqual(document)
    expect(complaints(stamped(document, 0))).toEqual([])
    const numbers = JSON.stringify(document).match(/-?\d+\.\d+/g) ?? []
    expect(numbers.filter((number) => number.split('.')[1]!.length > 4)).toEqual([])
  })
})

describe('the published schema', () => {
  it('has the closed set of reasons', () => {
    expect(publishedSchema('gwswitch.trace/2').$defs.EgressReport.properties.reason.enum).toEqual([...REASONS].sort())
  })

  it.each([
    ['a field that is not in it', (document: {host: unknown}) => ({...document, more: 1})],
    ['another schema', (document: object) => ({...document, schema: 'gwswitch.trace/1'})],
  ])('refuses %s', (_, spoil) => {
    expect(complaints(stamped(spoil(documentOf(TROMBONE) as never), 0))).not.toEqual([])
  })
})

describe('the document of several destinations', () => {
  const specs = ['S3', 'S10', 'S1'].map((name) => SCENARIOS.find((scenario) => scenario.name === name)!.spec)
  const failure = {destination: '10.9.0.77', kind: 'usage', message: '10.9.0.77 is on-link'} as const
  const document = traceDocument(
    specs.map((spec, i) => judged({...spec, rest: {complete: i !== 2}})),
    [failure],
    RUN,
  )

  it('has the same shape, each one’s report in the order asked, and those that failed', () => {
    expect(document).toMatchObject({
      schema: 'gwswitch.trace/2',
      ...{startedAt: RUN.startedAt, finishedAt: RUN.finishedAt, durationMs: 7100},
      complete: false,
      rate: RUN.rate,
      failures: [failure],
      exitCode: 10,
    })
    expect(document.results.map(({exitCode}) => exitCode)).toEqual([0, 12, 10])
    expect(Object.keys(document)).toEqual(Object.keys(documentOf(TROMBONE)))
    expect(complaints(stamped(document, 0))).toEqual([])
  })

  it('ends with 1 where one failed and nothing worse was found', () => {
    expect(traceDocument([judged(specs[0]!)], [failure], RUN).exitCode).toBe(1)
  })
})
