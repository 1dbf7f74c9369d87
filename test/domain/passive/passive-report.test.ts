import {describe, expect, it} from 'vitest'
import {PASSIVE_REASONS, type PassiveReason} from '../../../src/domain/passive/judge-traffic.ts'
import {type PassiveDocument, type PassiveHost, passiveDocument} from '../../../src/domain/passive/passive-report.ts'
import {type Passage, type PeerTraffic, watchTraffic} from '../../../src/domain/passive/traffic.ts'
import type {KnownSites} from '../../../src/domain/trace/evidence.ts'
import {stamped} from '../../../src/orders/document.ts'
import {passiveText} from '../../../src/render/passive-text.ts'
import {tcpFrame} from '../../../src/wire/frames.ts'
import {viewPacket} from '../../../src/wire/packet-view.ts'
import {TCP_ACK, TCP_SYN} from '../../../src/wire/tcp.ts'
import {complaints, publishedSchema} from '../../support/schemas.ts'

const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'
const STRANGER = '02:00:00:00:0c:02'
const DCI_MS = 20
const KNOWN: KnownSites = {
  sites: [
    {name: 'x', prefixes: ['198.51.100.0/24'], dciRttMs: DCI_MS},
    {name: 'y', prefixes: ['203.0.113.0/24'], dciRttMs: null},
  ],
  gateways: [
    {name: 'bx', segment: 'b', site: 'x', ip: '10.1.0.254', mac: BX},
    {name: 'by', segment: 'b', site: 'y', ip: '10.1.0.254', mac: BY},
  ],
  segment: 'b',
  siteRegex: null,
}
const AT_Y: PassiveHost = {
  name: 'db-03',
  mac: '02:00:00:00:01:10',
  iface: 'vnet0',
  atPort: true,
  site: 'y',
  siteSource: 'flag',
}

const through = (mac: string, firstMs = 0, lastMs = 900): Passage => ({mac, frames: 10, firstMs, lastMs})

function peer(
  ip: string,
  out: readonly Passage[],
  back: readonly Passage[],
  ...minima: readonly number[]
): PeerTraffic {
  const tcp = {
    minMs: Math.min(...minima),
    rule: 'timestamp' as const,
    samples: minima.length,
    minima: minima.map((minMs, i) => ({atMs: i * 1000, minMs})),
  }
  return {ip, out, in: back, tcp: minima.length === 0 ? null : tcp}
}

function judged(
  peers: readonly PeerTraffic[],
  host: Partial<PassiveHost> = {},
  known = KNOWN,
  redirected: string | null = null,
): PassiveDocument {
  const heard = {startedAt: '2026-01-01T00:00:00.000Z', durationMs: 1000, complete: true, dropped: 0}
  const traffic = {frames: 20, framesBeyond: 0, peers}
  const document = passiveDocument({...heard, host: {...AT_Y, ...host}, traffic, redirected}, known)
  expect(complaints(stamped(document, 0))).toEqual([])
  return document
}

const NEAR_Y = '203.0.113.10'
const NEAR_X = '198.51.100.10'
const ELSEWHERE = '192.0.2.1'
const INVENTORY = {siteSource: 'inventory'} as const
const NOWHERE = {site: null, siteSource: null} as const

/** What was seen of one peer, with the VM at site y, and what follows from it. */
const CASES: readonly [
  what: string,
  traffic: PeerTraffic,
  host: Partial<PassiveHost>,
  reason: PassiveReason,
  exitCode: number,
][] = [
  ['out through x, to what is near y', peer(NEAR_Y, [through(BX)], [through(BY)], 21, 20.4), {}, 'detour', 10],
  ['the same without a round trip', peer(NEAR_Y, [through(BX)], []), {}, 'detour', 10],
  [
    'the same where only the inventory has the VM at y',
    peer(NEAR_Y, [through(BX)], []),
    INVENTORY,
    'site-not-confirmed',
    11,
  ],
  ['the same, confirmed by round trips', peer(NEAR_Y, [through(BX)], [], 20.4), INVENTORY, 'detour', 10],
  ['the same, faster than the DCI is', peer(NEAR_Y, [through(BX)], [], 0.4), {}, 'round-trip-contradicts', 11],
  ['out through x, to what is near x', peer(NEAR_X, [through(BX)], [through(BX)], 20.4), {}, 'destination-far', 0],
  ['out through x, to nobody knows where', peer(ELSEWHERE, [through(BX)], [], 40), {}, 'far-exit', 11],
  ['out through y', peer(NEAR_Y, [through(BY)], [through(BY)]), {}, 'local-exit', 0],
  ['out through y, and quick', peer(ELSEWHERE, [through(BY)], [], 3), {}, 'too-fast-for-dci', 0],
  ['the same at a site that nobody told', peer(ELSEWHERE, [through(BY)], [], 3), NOWHERE, 'too-fast-for-dci', 0],
  ['out through y, and as slow as by x', peer(NEAR_Y, [through(BY)], [], 20.4), {}, 'slow-behind-local-exit', 11],
  [
    'out through y, where only the inventory has the VM there',
    peer(ELSEWHERE, [through(BY)], [], 30),
    INVENTORY,
    'site-not-confirmed',
    11,
  ],
  ['at a site that nobody told', peer(NEAR_Y, [through(BX)], [], 20.4), NOWHERE, 'site-unknown', 11],
  ['out through a stranger', peer(NEAR_Y, [through(STRANGER)], [], 20.4), {}, 'unknown-mac', 11],
  ['out through both in turn', peer(NEAR_Y, [through(BX), through(BY)], [], 0.4), {}, 'mixed', 11],
  [
    'out through x, then through y',
    peer(NEAR_Y, [through(BX, 0, 400), through(BY, 401, 900)], []),
    {},
    'local-exit',
    0,
  ],
  ['quick before the move, slow after', peer(NEAR_Y, [through(BX)], [], 0.4, 0.4, 20.4, 20.5), {}, 'detour', 10],
  ['asked for, and not answered', peer(NEAR_Y, [], [through(BY)]), {}, 'nothing-sent', 11],
]

describe("what a peer's traffic says", () => {
  it.each(CASES)('%s', (_what, traffic, host, reason, exitCode) => {
    const document = judged([traffic], host)
    expect(document.peers[0]).toMatchObject({reason})
    expect(document.exitCode).toBe(exitCode)
  })

  it('does not call a detour what the bridge behind its port takes to another gateway', () => {
    const detour = peer(NEAR_Y, [through(BX)], [], 20.4, 20.5)
    expect(judged([detour]).peers[0]).toMatchObject({reason: 'detour'})
    const document = judged([detour], {}, KNOWN, BX)
    expect(document.peers[0]).toMatchObject({verdict: 'inconclusive', reason: 'redirected'})
    expect(document.exitCode).toBe(11)
    expect(judged([peer(NEAR_Y, [through(BY)], [])], {}, KNOWN, BX).peers[0]).toMatchObject({reason: 'local-exit'})
  })

  it('has a case for every reason', () => {
    expect(new Set([...CASES.map(([, , , reason]) => reason), 'redirected'])).toEqual(new Set(PASSIVE_REASONS))
  })

  it('is of the closed set of reasons that is published, in a document with no field more', () => {
    expect(complaints(stamped({...judged([]), more: 1}, 0))).not.toEqual([])
    expect(publishedSchema('gwswitch.passive/1').$defs.PassivePeer.properties.reason.enum).toEqual(
      [...PASSIVE_REASONS].sort(),
    )
  })

  it('tells when the gateway changed', () => {
    const [moved] = judged([peer(NEAR_Y, [through(BX, 0, 400), through(BY, 401, 900)], [])]).peers
    expect(moved).toMatchObject({changedAtMs: 401, out: [{gateway: 'bx'}, {gateway: 'by'}]})
  })

  it.each([
    ['local', NEAR_Y, [through(BY)]],
    ['inbound-trombone', NEAR_Y, [through(BX)]],
    ['direct', NEAR_X, [through(BX)]],
    ['unknown', ELSEWHERE, [through(BX)]],
    ['unknown', NEAR_Y, [through(STRANGER)]],
    ['mixed', NEAR_Y, [through(BX), through(BY)]],
    ['nothing-seen', NEAR_Y, []],
  ] as const)('is %s inbound from %s', (inbound, ip, back) => {
    expect(judged([peer(ip, [through(BY)], back)]).peers[0]).toMatchObject({inbound})
  })

  it('knows no site of a MAC that the gateways of both share', () => {
    const shared = {...KNOWN, gateways: KNOWN.gateways.map((gateway) => ({...gateway, mac: BX}))}
    expect(judged([peer(NEAR_Y, [through(BX)], [])], {}, shared).peers[0]).toMatchObject({reason: 'unknown-mac'})
  })
})

describe('several peers together', () => {
  const fine = peer(NEAR_X, [through(BX)], [through(BX)], 20.4)
  const trombone = peer(NEAR_Y, [through(BX)], [through(BY)], 20.4)
  const open = peer(ELSEWHERE, [through(BX)], [], 40)
  const unanswered = peer('192.0.2.9', [], [through(BY)])

  it.each([
    ['a trombone to one is one', [fine, open, trombone], 10, {verdict: 'trombone', peers: 1, of: 3}],
    ['what is open for one is open', [fine, open], 11, {verdict: 'inconclusive', reason: 'far-exit', peers: 1, of: 2}],
    ['who was not answered does not count', [fine, unanswered], 0, {verdict: 'none', peers: 1, of: 1}],
    ['nobody is no verdict', [], 11, {verdict: 'inconclusive', reason: 'no-traffic', peers: 0, of: 0}],
  ] as const)('%s', (_what, peers, exitCode, egress) => {
    expect(judged([...peers])).toMatchObject({exitCode, egress})
  })

  it('are told in text that fits, without the station that a trace from the VM itself does not need', () => {
    const lines = passiveText(judged([trombone, open]), false)
    expect(lines.join('\n')).toMatch(/EGRESS {3}TROMBONE {2}1 of 2 peers\n {11}out through another site's gateway/)
    expect(lines.find((line) => line.includes(NEAR_Y))).toMatch(/bx \(x\) +by \(y\) +20\.4 +20 +TROMBONE/)
    expect(lines.at(-1)).toContain(`gwswitch trace ${NEAR_Y} --port-of db-03`)
    expect(passiveText(judged([trombone], {atPort: false}), false).at(-1)).not.toContain('--port-of')
    expect(lines.every((line) => line.length <= 80)).toBe(true)
  })
})

describe('watching traffic', () => {
  const VM = {mac: '02:00:00:00:01:10', ip: '10.1.0.10'}
  const watch = () =>
    watchTraffic({mac: VM.mac, startedNs: 0n, mostPeers: 2, onSegment: (ip) => ip.startsWith('10.1.0.')})
  const view = (macs: {source: string; destination: string}, source: string, destination: string, flags = TCP_ACK) => {
    const ports = {sourcePort: 1, destinationPort: 1}
    const plain = {sequence: 0, acknowledgment: 1, window: 0, urgentPointer: 0, options: new Uint8Array(0)}
    return viewPacket(tcpFrame(macs, {source, destination}, {...ports, ...plain, flags, payload: new Uint8Array(0)}))!
  }
  const outTo = (ip: string, mac: string, flags?: number) => view({source: VM.mac, destination: mac}, VM.ip, ip, flags)
  const inFrom = (ip: string, mac: string, flags?: number) => view({source: mac, destination: VM.mac}, ip, VM.ip, flags)

  it('counts frames by station and direction, and times the sessions in them', () => {
    const {see, traffic} = watch()
    see(outTo(NEAR_Y, BX, TCP_SYN), 1_000_000n)
    see(inFrom(NEAR_Y, BY, TCP_SYN | TCP_ACK), 21_000_000n)
    see(outTo(NEAR_Y, BX), 22_000_000n)
    expect(traffic().peers).toEqual([
      {
        ip: NEAR_Y,
        out: [{mac: BX, frames: 2, firstMs: 1, lastMs: 22}],
        in: [{mac: BY, frames: 1, firstMs: 21, lastMs: 21}],
        tcp: {minMs: 20, rule: 'syn', samples: 1, minima: [{atMs: 21, minMs: 20}]},
      },
    ])
  })

  it.each(['10.1.0.1', '224.0.0.1', '169.254.1.1', '127.0.0.1', '0.0.0.0', '255.255.255.255'])(
    'leaves %s out: no gateway is on the way there',
    (ip) => {
      const {see, traffic} = watch()
      see(outTo(ip, BX), 0n)
      expect(traffic()).toMatchObject({frames: 1, peers: []})
    },
  )

  it('leaves frames of others out, and counts those of peers beyond its room', () => {
    const {see, traffic} = watch()
    see(view({source: BX, destination: BY}, NEAR_X, NEAR_Y), 0n)
    expect(traffic().frames).toBe(0)
    for (const ip of [NEAR_X, NEAR_Y, NEAR_Y, ELSEWHERE]) see(outTo(ip, BX), 0n)
    expect(traffic()).toMatchObject({frames: 4, framesBeyond: 1, peers: [{ip: NEAR_Y}, {ip: NEAR_X}]})
  })
})
