import {describe, expect, it} from 'vitest'
import {type GatewaySeen, isDead} from '../../../src/domain/proof/gateway.ts'
import {
  type EgressSeen,
  isSettled,
  judgeAfter,
  judgeBefore,
  type Observation,
  type ProofCode,
  type ProofSubject,
} from '../../../src/domain/proof/proof.ts'

const X = {name: 'bx', site: 'x', ip: '10.1.0.254', mac: '02:00:00:00:0a:02'}
const Y = {name: 'by', site: 'y', ip: '10.1.0.254', mac: '02:00:00:00:0b:02'}
const OTHER = '02:00:00:00:0c:02'

const subject = (over: Partial<ProofSubject> = {}): ProofSubject => ({
  ...{vm: {name: 'db-03'}, gateways: [X, Y], to: Y, interface: 'vnet0', sees: 'all'},
  ...{dciRttMs: 20, keepsSessions: false},
  ...over,
})

const gateway = (over: Partial<GatewaySeen> = {}): GatewaySeen => ({
  ...{mac: Y.mac, resolved: 'yes', claimedBy: [], beyond: 'answers', witness: '203.0.113.1 answers', rttMs: 0.1},
  ...over,
})

const path = (mac: string, destination = '192.0.0.8', over = {}) =>
  ({destination, mac, by: 'echo', answered: false, ...over}) as EgressSeen['paths'][number]
const vm = (macs: readonly string[], over: Partial<EgressSeen> = {}): EgressSeen => ({
  ...{family: 4, alive: true, rttMs: 0.2, askedFor: [], elsewhere: false},
  paths: macs.map((mac, i) => path(mac, `192.0.${i}.8`)),
  ...over,
})
const SILENT = vm([], {alive: false, rttMs: null})
const MUTE = vm([])
const observed = (egress: readonly EgressSeen[], target = gateway(), old: GatewaySeen | null = null): Observation => ({
  egress,
  target,
  old,
})

describe('nothing more is to be asked', () => {
  const upper = path(Y.mac)
  const lower = path(Y.mac, '100.127.255.254')
  it.each<[string, EgressSeen['paths'], boolean, boolean]>([
    ['both halves go there', [upper, lower], true, true],
    ['one half is missing', [upper, path(Y.mac, '203.0.113.1')], false, false],
    ['one place was answered by the route of before', [upper, lower, path(X.mac, '203.0.113.1')], false, true],
    ['its own traffic is no answer', [upper, path(Y.mac, '100.127.255.254', {by: 'traffic'})], false, false],
  ])('%s', (_, paths, settled, anywhere) => {
    expect(isSettled(paths, Y.mac)).toBe(settled)
    expect(isSettled(paths, undefined)).toBe(anywhere)
  })
})

describe('IPv6 beyond the gateway', () => {
  const beyond = (kind: GatewaySeen['beyond']) => ({beyond: kind, witness: 'as seen'})
  it.each<[string, GatewaySeen['beyond'], GatewaySeen['beyond'] | null, ProofCode | null, ProofCode]>([
    ['is answered', 'answers', null, null, 'served'],
    ['is refused, and was taken on before', 'refuses', 'answers', 'target-dead', 'partial'],
    ['is silent, and was answered before', 'silent', 'answers', 'target-dead', 'partial'],
    ['is refused, and was before', 'refuses', 'refuses', null, 'unverified'],
    ['is silent, and was before', 'silent', 'silent', null, 'unverified'],
  ])('%s', (_, target6, old6, before, after) => {
    const both = (mac: string) => [vm([mac]), vm([], {family: 6, paths: [path(mac, '100::8'), path(mac, '8000::8')]})]
    const seen = (mac: string) => ({
      ...observed(both(mac)),
      ...{target6: beyond(target6), old6: old6 === null ? null : beyond(old6)},
    })
    expect(judgeBefore(subject(), seen(X.mac), false).code).toBe(before)
    const {code, evidence} = judgeAfter(subject(), seen(Y.mac))
    expect(code).toBe(after)
    expect(evidence.join()).toMatch(/by (?:takes IPv6 on|takes no IPv6 on|was not seen to take IPv6 on): as seen/)
    expect(judgeAfter(subject(), {...seen(Y.mac), egress: both(Y.mac).slice(1)}).code).toBe(
      after === 'partial' ? 'target-dead' : after,
    )
    // Of a VM that says nothing of itself nobody sees whether it follows.
    const hidden = judgeAfter(subject(), {...seen(Y.mac), egress: [MUTE, {...MUTE, family: 6}]})
    expect(hidden.code).toBe(after === 'partial' ? 'target-dead' : 'unverified')
  })
})

describe('where the bridge has learned the VM', () => {
  const learned = (
    vmPort: string,
    toPort: string | undefined,
    other: string | undefined,
    leading: readonly string[] = [],
  ) => ({
    ...{bridge: 'br0', vm: [vmPort], leading},
    ...{to: toPort === undefined ? [] : [toPort], others: other === undefined ? [] : [other]},
  })
  it.each<[string, ReturnType<typeof learned>, Partial<EgressSeen>, ProofCode | null, RegExp | undefined]>([
    ['with the old gateway', learned('dci', 'gy', 'dci'), {rttMs: null}, 'not-here', undefined],
    ['with both gateways', learned('up', 'up', 'up'), {rttMs: null}, null, undefined],
    ['with neither', learned('vnet7', 'gy', 'dci'), {rttMs: null}, null, undefined],
    ['with the old one, and the new one nowhere', learned('dci', undefined, 'dci'), {rttMs: null}, null, undefined],
    [
      'with the old one, and near',
      learned('dci', 'gy', 'dci'),
      {rttMs: 0.2},
      null,
      /contradicted: .* ms away .* but br0/,
    ],
    [
      'on the watched port, which leads to the old one too',
      learned('vnet0', 'gy', 'vnet0'),
      {rttMs: null},
      'not-here',
      undefined,
    ],
    [
      'behind a port that leads to another site, with no gateway',
      learned('vx0', 'gy', undefined, ['vx0']),
      {rttMs: null},
      'not-here',
      undefined,
    ],
    [
      'on the watched port, which leads to another site',
      learned('vnet0', 'gy', undefined, ['vnet0']),
      {rttMs: null},
      'not-here',
      undefined,
    ],
    [
      "with the new one, seen from another site's bridge",
      learned('vx0', 'vx0', undefined, ['vx0']),
      {rttMs: null},
      null,
      undefined,
    ],
    [
      "at another site's bridge, which leads to the new one",
      learned('vx1', 'vx0', undefined, ['vx0', 'vx1']),
      {rttMs: null},
      null,
      undefined,
    ],
    ['on its own port, and far', learned('vnet0', 'gy', 'dci'), {rttMs: 20.4}, null, /contradicted/],
    ['with the old one, and far', learned('dci', 'gy', 'dci'), {rttMs: 20.4}, 'not-here', undefined],
  ])('%s', (_, table, egress, code, said) => {
    const seen = {...observed([vm([X.mac], egress)], gateway({rttMs: 0.1})), learned: table}
    const {contradiction, ...judged} = judgeBefore(subject(), seen, false)
    expect(judged.code).toBe(code)
    if (said === undefined) expect(contradiction).toBeUndefined()
    else expect(contradiction).toMatch(said)
  })

  it('is no reason to leave it alone where that is allowed, and is said', () => {
    const seen = {
      ...observed([vm([X.mac], {rttMs: null})], gateway({rttMs: 0.1})),
      learned: learned('dci', 'gy', 'dci'),
    }
    const judged = judgeBefore(subject({otherSite: true}), seen, false)
    expect(judged).toMatchObject({code: null, contradiction: expect.stringMatching(/^db-03 is not at site y: br0 has/)})
  })
})

/** At the gateway's own leg: the answer to the place in the lower half did not come there. */
const HALF = vm([Y.mac, Y.mac], {unanswered: ['100.127.255.254']})
const HALF6 = vm([], {family: 6, paths: [path(Y.mac, '100::8')], unanswered: ['8000::8']})
const WHOLE = vm([], {
  paths: [path(Y.mac), path(Y.mac, '10.255.255.254')],
  unanswered: ['100.127.255.254'],
})

describe("what does not come to the gateway's own leg", () => {
  it.each<[string, EgressSeen, Partial<ProofSubject>, ProofCode | null, ProofCode]>([
    ['half of the address space', HALF, {sees: 'to'}, null, 'unverified'],
    ['half of that of IPv6', HALF6, {sees: 'to'}, null, 'unverified'],
    ['one place of several in a half', WHOLE, {sees: 'to'}, 'already', 'served'],
    ['the same on its own port: it drops the question', HALF, {sees: 'all'}, 'already', 'served'],
  ])('%s', (_, egress, over, before, after) => {
    expect(judgeBefore(subject(over), observed([egress]), false).code).toBe(before)
    const {code, evidence} = judgeAfter(subject(over), observed([egress]))
    expect(code).toBe(after)
    if (after === 'unverified') expect(evidence.join()).toMatch(/does not come to vnet0: another route may take it/)
  })
})

describe('before', () => {
  it.each<[string, Observation, Partial<ProofSubject>, ProofCode | null, string | null]>([
    ['it uses the old one', observed([vm([X.mac, X.mac])]), {}, null, 'bx'],
    ['it uses the new one', observed([vm([Y.mac, Y.mac])]), {}, 'already', 'by'],
    ['it uses the new one for some destinations', observed([vm([Y.mac, X.mac])]), {}, null, null],
    ['IPv4 is there, IPv6 is not', observed([vm([Y.mac]), vm([X.mac], {family: 6})]), {}, null, null],
    ['both families are there', observed([vm([Y.mac]), vm([Y.mac], {family: 6})]), {}, 'already', 'by'],
    ['it uses a third router', observed([vm([OTHER])]), {}, null, null],
    ['it is silent', observed([SILENT]), {}, 'silent', null],
    ['it drops ICMP and says nothing', observed([MUTE]), {}, null, null],
    [
      'the new one answers no ARP',
      observed([vm([X.mac])], gateway({resolved: 'silent', beyond: 'silent'})),
      {},
      'target-dead',
      'bx',
    ],
    [
      'the new one is at another MAC',
      observed([vm([X.mac])], gateway({resolved: 'elsewhere', claimedBy: [OTHER], beyond: 'silent'})),
      {},
      'target-dead',
      'bx',
    ],
    ['the new one has no route', observed([vm([X.mac])], gateway({beyond: 'refuses'})), {}, 'target-dead', 'bx'],
    [
      'the new one is used and has no route',
      observed([vm([Y.mac])], gateway({beyond: 'refuses'})),
      {},
      'target-dead',
      'by',
    ],
    [
      'nothing answers beyond it, and does beyond the old one',
      observed([vm([X.mac])], gateway({beyond: 'silent'}), gateway({mac: X.mac})),
      {},
      'target-dead',
      'bx',
    ],
    [
      'nothing answers beyond either',
      observed([vm([X.mac])], gateway({beyond: 'silent'}), gateway({mac: X.mac, beyond: 'silent'})),
      {},
      null,
      'bx',
    ],
    ['nothing beyond could be asked', observed([vm([X.mac])], gateway({beyond: 'not-asked'})), {}, null, 'bx'],
    [
      'it is across the inter-site link, the new one is here',
      observed([vm([X.mac], {rttMs: 20.4})], gateway({resolved: 'self', rttMs: 0})),
      {},
      'not-here',
      'bx',
    ],
    [
      'it is here, the new one is across the link',
      observed([vm([X.mac])], gateway({rttMs: 20.4})),
      {},
      'not-here',
      'bx',
    ],
    ['both are across the link', observed([vm([X.mac], {rttMs: 20.4})], gateway({rttMs: 21})), {}, null, 'bx'],
    ['it is only slow', observed([vm([X.mac], {rttMs: 55})], gateway({resolved: 'self', rttMs: 0})), {}, null, 'bx'],
    [
      'the sites are too near to be told apart',
      observed([vm([X.mac], {rttMs: 3.9})], gateway({rttMs: 0.1})),
      {dciRttMs: 4},
      null,
      'bx',
    ],
    ['how far the sites are apart is not known', observed([vm([X.mac], {rttMs: 20.4})]), {dciRttMs: null}, null, 'bx'],
  ])('%s', (_name, seen, over, code, uses) => {
    const judged = judgeBefore(subject(over), seen, false)
    expect({code: judged.code, uses: judged.uses?.name ?? null}).toEqual({code, uses})
  })

  it('lets a VM be silent that does not run yet, but not its gateway', () => {
    expect(judgeBefore(subject(), observed([]), true).code).toBeNull()
    expect(judgeBefore(subject(), observed([], gateway({beyond: 'refuses'})), true).code).toBe('target-dead')
  })
})

describe('after', () => {
  const said = (mac: string, answered: boolean) =>
    vm([], {paths: [path(mac, '203.0.113.9', {by: 'traffic', answered})]})
  it.each<[string, Observation, Partial<ProofSubject>, ProofCode]>([
    ['it leaves through it, and something beyond answers', observed([vm([Y.mac, Y.mac])]), {}, 'served'],
    [
      'it leaves through it, and its own traffic is answered',
      observed([said(Y.mac, true)], gateway({beyond: 'silent'})),
      {},
      'served',
    ],
    ['it drops ICMP and talks', observed([said(Y.mac, false)]), {}, 'served'],
    [
      'it leaves through it, and nothing beyond could be asked',
      observed([vm([Y.mac])], gateway({beyond: 'not-asked'})),
      {},
      'unverified',
    ],
    [
      'it leaves through it, and nobody answers beyond either',
      observed([vm([Y.mac])], gateway({beyond: 'silent'})),
      {},
      'unverified',
    ],
    [
      'it leaves through it, and the old one alone takes packets on',
      observed([vm([Y.mac])], gateway({beyond: 'silent'}), gateway({mac: X.mac})),
      {},
      'target-dead',
    ],
    [
      'it leaves through it, and it says that it has no way',
      observed([vm([Y.mac])], gateway({beyond: 'refuses'})),
      {},
      'target-dead',
    ],
    [
      'it is cut off by a dead one',
      observed([vm([Y.mac])], gateway({resolved: 'silent', beyond: 'silent'})),
      {},
      'target-dead',
    ],
    ['it stayed', observed([vm([X.mac])]), {}, 'elsewhere'],
    ['half of its destinations stayed', observed([vm([Y.mac, X.mac])]), {}, 'partial'],
    ['IPv6 stayed', observed([vm([Y.mac]), vm([X.mac], {family: 6})]), {}, 'partial'],
    ['IPv6 was not seen', observed([vm([Y.mac]), vm([], {family: 6})]), {}, 'partial'],
    ['it drops ICMP and says nothing', observed([MUTE]), {}, 'unverified'],
    ['it is gone', observed([SILENT]), {}, 'silent'],
    [
      'its own sessions stay where they were, as meant',
      observed([vm([Y.mac], {paths: [path(Y.mac), path(X.mac, '203.0.113.9', {by: 'traffic'})]})]),
      {keepsSessions: true},
      'served',
    ],
    [
      'its own traffic goes elsewhere, as not meant',
      observed([vm([Y.mac], {paths: [path(Y.mac), path(X.mac, '203.0.113.9', {by: 'traffic'})]})]),
      {},
      'partial',
    ],
    [
      'at the new gateway: answers the segment, nothing else comes',
      observed([vm([], {elsewhere: true})]),
      {sees: 'to'},
      'unverified',
    ],
    [
      'at the new gateway: the same, and nothing for the shared address',
      observed([vm([], {elsewhere: true, entry: null})]),
      {sees: 'to'},
      'elsewhere',
    ],
    [
      'at the new gateway: what is for the shared address comes, nothing else does',
      observed([vm([], {elsewhere: true, entry: Y.mac})]),
      {sees: 'to'},
      'unverified',
    ],
    [
      'at the new gateway: it looks for another one',
      observed([vm([], {elsewhere: true, askedFor: ['10.1.0.1']})]),
      {sees: 'to', gateways: [{...X, ip: '10.1.0.1'}, Y]},
      'elsewhere',
    ],
    [
      'on the bridge: what is for the shared address goes to the old one, nothing else is seen',
      observed([vm([], {elsewhere: true, entry: X.mac})]),
      {},
      'elsewhere',
    ],
    [
      'the new one is dead, and where it sends is not to be seen',
      observed([MUTE], gateway({resolved: 'silent', beyond: 'silent'})),
      {},
      'target-dead',
    ],
    [
      'at another host: answers the segment, nothing else comes',
      observed([vm([], {elsewhere: true})]),
      {sees: 'none'},
      'unverified',
    ],
  ])('%s', (_name, seen, over, code) => {
    expect(judgeAfter(subject(over), seen).code).toBe(code)
  })

  it('names what it saw, every piece of it', () => {
    const seen = observed([vm([Y.mac]), vm([OTHER], {family: 6})])
    expect(judgeAfter(subject(), seen)).toEqual({
      ...{code: 'partial', uses: null, away: false, hidden: false},
      evidence: [
        `db-03 leaves through by (${Y.mac})`,
        `db-03 leaves over IPv6 through ${OTHER}, which is no gateway of this segment`,
        `by (${Y.mac}) takes packets on: 203.0.113.1 answers`,
      ],
    })
  })
})

describe('a gateway', () => {
  it('that takes packets on is not dead, whatever it answers to ARP', () => {
    expect(isDead(gateway({resolved: 'silent'}), null)).toBe(false)
  })
})
