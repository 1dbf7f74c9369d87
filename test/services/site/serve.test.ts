import {describe, expect, it} from 'vitest'
import type {Movement} from '../../../src/domain/movement/movement.ts'
import type {AuditEvent} from '../../../src/net/file/audit-log.ts'
import type {OnMessage} from '../../../src/net/stream/udp-listener.ts'
import type {Journal, LastProved, RunOrder} from '../../../src/orders/journal/journal.ts'
import {type ServeSiteDocument, type SiteRequest, serveSite} from '../../../src/services/site/serve.ts'
import {siteRequest} from '../../../src/services/site/site-request.ts'
import type {Strategy} from '../../../src/strategies/strategy.ts'
import {openBeacon} from '../../../src/wire/agent-beacon.ts'
import {parseFrame} from '../../../src/wire/frames.ts'
import {parseIpv6} from '../../../src/wire/ipv6.ts'
import {readMetrics} from '../../support/prometheus.ts'
import {strategyNamed, verdict} from '../../support/strategy.ts'
import {fakeWorld} from '../../support/world.ts'
import {inventory, keys, LEG, note, order, service, signed, useKeyFile} from './site-fixture.ts'

useKeyFile()

/** A strategy named as one of web-07's, that does what the test says. */
const strategy = (over: Partial<Strategy>): Strategy =>
  strategyNamed('agent', {plan: async ({to}) => ({to: to.name}), describe: () => ['tell it'], ...over})

/** Serves for `seconds`, and lets notes come in at their times. */
async function serve(
  seconds: number,
  notesAt: readonly number[],
  {
    over = {},
    own = {},
    known = inventory(),
    reloading,
  }: {
    over?: object
    own?: Partial<Strategy>
    known?: ReturnType<typeof inventory>
    reloading?: {at: number; next: SiteRequest}
  } = {},
) {
  const world = fakeWorld({interfaces: [LEG]})
  const stop = new AbortController()
  const logs: string[] = []
  const audited: AuditEvent[] = []
  const metrics: string[] = []
  let hear: OnMessage | undefined
  const serving = serveSite(service(over, known), {
    world,
    signal: stop.signal,
    strategies: new Map([['agent', {name: 'agent', plugin: 'test', load: async () => strategy(own)}]]),
    deadMan: () => ({arm: async () => {}, disarm: () => {}}),
    listen(endpoint, onMessage) {
      hear = onMessage
      return {endpoint, send: () => {}, expect: () => {}, close: async () => {}}
    },
    log: (line) => void logs.push(line),
    onReload: (reload) => void (reloading && void world.sleep(reloading.at * 1000).then(() => reload(reloading.next))),
    audit: (event) => void audited.push(event),
    onMetrics: (text) => void metrics.push(text),
  })
  serving.catch(() => {})
  const startMs = Number(world.now() / 1_000_000n)
  for (const at of notesAt)
    void world.sleep(at * 1000).then(() => {
      const nowMs = Number(world.now() / 1_000_000n)
      hear!(signed(note(nowMs)), {address: '10.0.0.10', port: 6742}, {} as never)
    })
  await world.sleep(seconds * 1000)
  stop.abort()
  const document: ServeSiteDocument = await serving
  return {world, document, logs, startMs, audited, metrics: readMetrics(metrics.at(-1)!)}
}

describe('serve site', () => {
  it('says where it is, once an interval, in frames that VMs can read', async () => {
    const known = inventory((text) => text.replace('ip: 10.0.0.2,', 'ip: 10.0.0.2, ip6: ["fd00::2"],'))
    const {world, document, logs, startMs} = await serve(4.5, [], {known})
    expect(document).toMatchObject({
      ...{
        schema: 'gwswitch.serve-site/1',
        site: 'y',
        segment: 'tenant-a',
        interface: 'seg-a',
        kid: 'site-y',
        beacons: 5,
      },
      ...{gateway: {name: 'ry', ip: '10.0.0.2', ip6: 'fd00::2'}, ask: ['10.0.0.2:6743'], switches: [], exitCode: 0},
    })
    expect(world.sent).toHaveLength(10)
    const [v4, v6] = world.sent
    const frame = parseFrame(v4!)
    expect(frame).toMatchObject({
      ...{kind: 'udp', ethernet: {destination: 'ff:ff:ff:ff:ff:ff', source: LEG.mac}},
      ip: {source: '10.0.0.2', destination: '255.255.255.255', ttl: 1},
      udp: {sourcePort: 6743, destinationPort: 6742},
    })
    const packet = parseIpv6(v6!.subarray(14))
    expect(packet).toMatchObject({source: 'fe80::ff:fe00:b01', destination: 'ff02::1', hopLimit: 1, nextHeader: 17})
    const payload = frame.kind === 'udp' ? frame.udp.payload : new Uint8Array()
    expect(packet.payload.subarray(8)).toEqual(payload)
    expect(openBeacon(payload, (kid) => (kid === 'site-y' ? keys.site : undefined))).toMatchObject({
      ok: true,
      message: {
        ...{site: 'y', segment: 'tenant-a', gw4: '10.0.0.2', gw6: 'fd00::2', ask: ['10.0.0.2:6743']},
        ...{iat: Math.floor(startMs / 1000), exp: Math.floor(startMs / 1000) + 5},
      },
    })
    expect(logs[0]).toMatch(
      /^beacon every 1 s, signed by site-y: site y is on seg-a \(tenant-a\), its gateway ry is 10\.0\.0\.2 and fd00::2/,
    )
  })

  it('switches whoever asks, and tells how it ended', async () => {
    const {document, logs, audited, metrics} = await serve(3, [1])
    expect(document.switches).toEqual([
      {
        vm: 'web-07',
        from: 'rx',
        to: 'ry',
        strategy: 'agent',
        outcome: 'switched',
        detail: 'seen',
        ms: expect.any(Number),
      },
    ])
    expect(logs.at(-1)).toMatch(/^web-07 from rx to ry by agent: switched after \d+ ms: seen$/)
    expect(document.notes).toEqual({valid: 1, refused: {}, silent: {}})
    expect(audited).toMatchObject([
      {event: 'switch', fields: {vm: 'web-07', from: 'rx', to: 'ry', outcome: 'switched'}},
    ])
    expect(metrics.get('gwswitch_site_switches_total{outcome="switched"}')).toBe(1)
    expect(metrics.get('gwswitch_site_notes_total{outcome="acted_on"}')).toBe(1)
    expect(metrics.get('gwswitch_site_beacons_total')).toBe(document.beacons)
  })

  it('believes the keys of another inventory once it is told to read it, and serves no other site by it', async () => {
    const none = inventory((text) => text.replace(', agent: {key', ', agent: {id: other, key'))
    const deaf = await serve(3, [1], {known: none})
    expect(deaf.document).toMatchObject({switches: [], notes: {silent: {unknown_key: 1}}})
    const {document, logs} = await serve(6, [1, 4], {known: none, reloading: {at: 2, next: service()}})
    expect(logs).toContain('configuration read again')
    expect(document).toMatchObject({switches: [{outcome: 'switched'}], notes: {valid: 1, silent: {unknown_key: 1}}})
    const other = await serve(3, [], {
      reloading: {at: 1, next: {...service(), served: {...service().served, site: 'x'}}},
    })
    expect(other.logs).toContain('configuration not taken: another site is served when this is restarted')
  })

  it.each<[string, Partial<Strategy>, string, RegExp]>([
    ['is not verified', {verify: async () => verdict('unverified', ['unseen'])}, 'rolled_back', /unseen; as it was/],
    ['fails', {execute: async () => Promise.reject(new Error('bug'))}, 'failed', /^bug; as it was$/],
  ])('does not try at once again what %s', async (_name, own, outcome, detail) => {
    const {document, logs} = await serve(10, [1, 3, 8], {own})
    expect(document.switches).toMatchObject([{outcome, detail: expect.stringMatching(detail)}])
    expect(document.notes).toMatchObject({valid: 3, refused: {backing_off: 2}})
    expect(logs.at(-1)).toMatch(/backing_off: its last switch failed/)
  })

  it('takes back what is under way when it is stopped', async () => {
    let back = 0
    const {document} = await serve(3, [1], {
      own: {
        execute: (_plan, {signal}) =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        rollback: async () => {
          back++
          return {...verdict('elsewhere'), ok: true}
        },
      },
    })
    expect(back).toBe(1)
    expect(document.switches).toMatchObject([{outcome: 'failed'}])
  })

  it('as a dry run sends and changes nothing, and says what it would do', async () => {
    let executed = 0
    const own = {execute: async () => void executed++}
    const {world, document, logs} = await serve(3, [1], {over: {dryRun: true}, own})
    expect({sent: world.sent.length, executed}).toEqual({sent: 0, executed: 0})
    expect(document).toMatchObject({dryRun: true, beacons: 0, switches: [{outcome: 'planned', detail: 'tell it'}]})
    expect(logs[0]).toMatch(/^dry run: would say every 1 s/)
  })

  it('without beacons only listens', async () => {
    const {world, document} = await serve(3, [1], {over: {beacon: false}})
    expect(world.sent).toEqual([])
    expect(document).toMatchObject({beacons: 0, ask: [], switches: [{outcome: 'switched'}]})
  })

  it('without beacons or a key switches a VM of which a source tells, once, and writes down who said so', async () => {
    const world = fakeWorld({interfaces: [LEG]})
    const stop = new AbortController()
    const logs: string[] = []
    const orders: RunOrder[] = []
    let told: ((movement: Movement) => void) | undefined
    let proved: LastProved | undefined
    const journal: Journal = {
      begin(order) {
        orders.push(order)
        return {id: 'r1', plan: () => [1], planBegun: () => 1, mark: () => {}}
      },
      lastProved: () => proved,
      close: () => {},
    }
    const movement = {kind: 'arrived', mac: '02:00:00:00:00:10', vm: null, host: null, atMs: null} as const
    const serving = serveSite(
      siteRequest({...order(), interfaceName: undefined, key: undefined, sources: true}, inventory(), [LEG]),
      {
        ...{world, signal: stop.signal, journal, listen: () => expect.unreachable()},
        strategies: new Map([['agent', {name: 'agent', plugin: 'test', load: async () => strategy({})}]]),
        deadMan: () => ({arm: async () => {}, disarm: () => {}}),
        log: (line) => void logs.push(line),
        sources: [
          {
            name: 'fake',
            open(_served, onMovement) {
              told = onMovement
              return {[Symbol.asyncDispose]: async () => {}}
            },
          },
        ],
      },
    )
    await world.sleep(1000)
    for (const port of ['vnet0', 'vnet0']) told!({...movement, source: 'rarp', port})
    told!({...movement, mac: '02:00:00:00:99:99', source: 'rarp', port: 'vnet1'})
    await world.sleep(1000)
    const atMs = Number(world.now() / 1_000_000n)
    proved = {site: 'y', gateway: 'ry', atMs}
    told!({...movement, source: 'arp', port: 'vnet0'})
    // Another process took it back since: only the pause after a switch is in the way.
    proved = {site: 'x', gateway: 'rx', atMs}
    told!({...movement, source: 'frame', port: 'vnet0'})
    await world.sleep(1000)
    stop.abort()
    const document = await serving
    expect(document).toMatchObject({
      segment: null,
      kid: null,
      beacons: 0,
      switches: [{vm: 'web-07', outcome: 'switched'}],
    })
    expect(document.service?.movements).toEqual([
      {source: 'rarp', kind: 'arrived', said: 'begun', count: 1},
      {source: 'rarp', kind: 'arrived', said: 'under-way', count: 1},
      {source: 'rarp', kind: 'arrived', said: 'unknown', count: 1},
      {source: 'arp', kind: 'arrived', said: 'here-already', count: 1},
      {source: 'frame', kind: 'arrived', said: 'too-soon', count: 1},
    ])
    expect(orders).toEqual([{by: 'arrival', asked: 'rarp: web-07 (02:00:00:00:00:10) arrived at vnet0'}])
    expect(logs).toContain(
      'rarp: 02:00:00:00:99:99 arrived: the inventory knows no such VM on a segment that is served',
    )
  })
})
