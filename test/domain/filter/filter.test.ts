import {describe, expect, it} from 'vitest'
import {classifySegment, type GatewaySighting} from '../../../src/domain/filter/classify.ts'
import {ebtablesFilter} from '../../../src/domain/filter/ebtables-text.ts'
import {virtualMacProtocol} from '../../../src/domain/filter/fhrp.ts'
import {type FilterIntent, type FilterOrder, permitFilter} from '../../../src/domain/filter/intent.ts'
import {nftFilter} from '../../../src/domain/filter/nft-text.ts'
import {type ByteTest, type FilterRule, filterRules} from '../../../src/domain/filter/rules.ts'
import {bpfBytecode} from '../../../src/domain/filter/tc-text.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {GROUP_DROP, GROUPS_INVENTORY, ROUTER_DROP, TENANT_PASS} from '../../support/fhrp-frames.ts'
import {FILTER_INVENTORY, MUST_DROP, MUST_PASS, retagged, type TestFrame} from '../../support/filter-frames.ts'
import {decided, intentOf} from '../../support/filter-order.ts'

/** An inventory of one segment whose gateways are given as YAML. */
const inventory = (...gateways: readonly string[]) =>
  parseInventory(
    `version: 1
sites: {x: {}, y: {}}
segments:
  s:
    prefix: 10.1.0.0/24
    gateways:
${gateways.map((gateway) => `      - { ${gateway} }`).join('\n')}
vms:
  db-03: { segment: s, ip: 10.1.0.10, mac: "02:00:00:00:01:10" }
  db-04: { segment: s, ip: 10.1.0.11, mac: "02:00:00:00:01:11" }
`,
    'gwswitch.yaml',
  )
const X = 'name: gx, site: x, ip: 10.1.0.254, mac: "02:00:00:00:0a:02"'
const Y = 'name: gy, site: y, ip: 10.1.0.254, mac: "02:00:00:00:0b:02"'
const SINGLE = inventory(X, Y)
const OWN = inventory(`${X}, ownIp: 10.1.0.252`, `${Y}, ownIp: 10.1.0.253`)
const PER_SITE = inventory(
  'name: gx, site: x, ip: 10.1.0.1, mac: "02:00:00:00:0a:02"',
  'name: gy, site: y, ip: 10.1.0.2, mac: "02:00:00:00:0b:02"',
)
const VRRP = inventory(X.replace(/".*"/, '"00:00:5e:00:01:01"'), Y.replace(/".*"/, '"00:00:5e:00:01:01"'))
const ANYCAST = inventory(X.replace(/".*"/, '"02:00:00:00:0c:02"'), Y.replace(/".*"/, '"02:00:00:00:0c:02"'))
const ONE_SITE = inventory(X)

const kind = (of: ReturnType<typeof inventory>, seen: readonly GatewaySighting[] = []) =>
  classifySegment(of.segments[0]!, seen).kind
const permit = (of: ReturnType<typeof inventory>, order: Partial<FilterOrder>) => () =>
  permitFilter(decided(of, {segments: ['s'], ...order}), order.force === true)

describe('the ruleset for nft', () => {
  it.each([
    ['bridge', 'prerouting', 'postrouting'],
    ['netdev', 'ingress', 'egress'],
  ] as const)('%s: drops whatever matches a rule, in both directions', (hook, from, to) => {
    const intent = intentOf(SINGLE, {segments: ['s']})
    const [, ...chains] = nftFilter(intent, hook).split(/^ {2}chain /m)
    const lines = new Map(chains.map((text) => [text.split(' ')[0]!, text.split('\n').slice(1, -2)]))
    const rules = lines.get('gwlocal')!
    expect(rules).toHaveLength(filterRules(intent).length)
    for (const rule of rules) expect(rule).toMatch(/ counter drop comment ".+"$/)
    for (const [name, at] of [
      ['from_dci', from],
      ['to_dci', to],
    ] as const) {
      const [declared, jump] = lines.get(name)!
      expect(declared).toMatch(new RegExp(`type filter hook ${at} .*policy accept;$`))
      expect(jump).toMatch(/jump gwlocal$/)
    }
  })
})

describe('whose frames the ruleset is for', () => {
  const jumps = (more: Partial<FilterIntent>): string[] =>
    nftFilter({...intentOf(OWN, {ports: ['a', 'b']}), ...more}, 'bridge')
      .split('\n')
      .flatMap((line) => /^ {4}iifname (.*)$/.exec(line)?.[1] ?? [])

  it('is said by port and VLAN', () => {
    expect(jumps({})).toEqual(['@dci jump gwlocal'])
    expect(jumps({otherVlans: [200, 300]})).toEqual(['@dci vlan id { 200, 300 } accept', '@dci jump gwlocal'])
    expect(jumps({vlan: 100})).toEqual(['@dci vlan id 100 jump gwlocal'])
    const untagged = ['@untagged ether type != { 8021q, 8021ad } jump gwlocal', '@untagged vlan id 0 jump gwlocal']
    expect(jumps({vlan: 100, untagged: ['b']})).toEqual(['@dci vlan id 100 jump gwlocal', ...untagged])
    expect(jumps({vlan: 'untagged', untagged: ['a', 'b']})).toEqual(untagged)
  })
})

describe('what works with what', () => {
  it('classifies a segment by its inventory', () => {
    expect([SINGLE, OWN, PER_SITE, VRRP, ANYCAST, ONE_SITE].map((each) => kind(each))).toEqual([
      'single-ip',
      'own-ip-and-vip',
      'per-site-ip',
      'virtual-mac',
      'anycast',
      'one-site',
    ])
  })

  it('believes what is seen over what is written', () => {
    const asks = (mac: string, ip: string): GatewaySighting => ({mac, ip})
    const own = [asks('02:00:00:00:0a:02', '10.1.0.252'), asks('02:00:00:00:0b:02', '10.1.0.253')]
    expect(kind(SINGLE, own)).toBe('own-ip-and-vip')
    expect(kind(SINGLE, own.slice(1)), 'one of two is not enough').toBe('single-ip')
    expect(kind(OWN, [asks('02:00:00:00:0a:02', '10.1.0.254')]), 'it asks with the shared address after all').toBe(
      'single-ip',
    )
  })

  it('knows a virtual MAC that speaks for the shared address, whatever the inventory says', () => {
    expect(kind(SINGLE, [{mac: '00:00:5e:00:01:07', ip: '10.1.0.254'}])).toBe('virtual-mac')
    expect(kind(SINGLE, [{mac: '00:00:5e:00:01:07', ip: '10.1.0.99'}]), 'of another address').toBe('single-ip')
  })

  it.each([
    ['single-ip', SINGLE, {}, /--inbound-moves.*--keep-inbound/],
    ['single-ip, moved', SINGLE, {inboundMoves: true}, undefined],
    ['single-ip, kept', SINGLE, {keepInbound: ['db-03']}, undefined],
    ['single-ip, forced', SINGLE, {force: true}, undefined],
    ['own-ip-and-vip', OWN, {}, undefined],
    ['own-ip-and-vip with MACs', OWN, {gatewayMacs: true}, /leave --gateway-macs out/],
    ['own-ip-and-vip with MACs, moved', OWN, {gatewayMacs: true, inboundMoves: true}, undefined],
    ['virtual-mac', VRRP, {}, undefined],
    ['anycast', ANYCAST, {}, /--inbound-moves/],
    ['anycast, kept', ANYCAST, {keepInbound: ['db-03']}, /--inbound-moves/],
    ['anycast, moved', ANYCAST, {inboundMoves: true}, undefined],
    ['per-site-ip', PER_SITE, {inboundMoves: true}, /agent, dhcp or mac-proxy/],
    ['one-site', ONE_SITE, {inboundMoves: true}, /all at x/],
  ] as const)('refuses what cuts traffic: %s', (_what, of, order, refusal) => {
    if (refusal === undefined) expect(permit(of, order)).not.toThrow()
    else expect(permit(of, order)).toThrow(refusal)
  })

  it('of many segments says why for one, and that there are more', () => {
    const many = {intents: [], refusals: ['s: it cuts', 't: it cuts', 'u: it cuts']}
    expect(() => permitFilter(many, false)).toThrow(
      /^s: it cuts; 2 more of them are refused too: filter show says why \(or --force\)$/,
    )
    expect(() => permitFilter({...many, refusals: ['s: it cuts']}, false)).toThrow(/^s: it cuts \(or --force\)$/)
    expect(() => permitFilter(many, true)).not.toThrow()
  })

  it('leaves out segments that share nothing, and says so where none is left', () => {
    expect(() => decided(PER_SITE)).toThrow('nothing to keep local')
    expect(intentOf(SINGLE).gw4).toEqual(['10.1.0.254'])
    expect(() => decided(SINGLE, {segments: ['t']})).toThrow('no segment "t"')
    expect(() => decided(SINGLE, {keepInbound: ['db-3']})).toThrow('no VM "db-3"')
  })

  it('keeps only shared addresses local, and all frames only of MACs that are shared', () => {
    const own6 = inventory(`${X}, ip6: ["fe80::1", "2001:db8::2"]`, `${Y}, ip6: ["fe80::1", "2001:db8::3"]`)
    expect(intentOf(own6)).toMatchObject({gw6: ['fe80::1'], ipv6: true, macs: []})
    expect(intentOf(ANYCAST).macs).toEqual(['02:00:00:00:0c:02'])
    expect(intentOf(VRRP).macs, 'its group covers it').toEqual([])
    expect(intentOf(SINGLE, {gatewayMacs: true}).macs).toEqual(['02:00:00:00:0a:02', '02:00:00:00:0b:02'])
  })

  it('gives equal text for equal intents, whatever the order of flags', () => {
    const text = (order: Partial<FilterOrder>) => nftFilter(intentOf(SINGLE, order), 'bridge')
    expect(text({ports: ['b', 'a', 'b'], keepInbound: ['db-04', 'db-03', 'db-04']})).toBe(
      text({ports: ['a', 'b'], keepInbound: ['db-03', 'db-04']}),
    )
  })
})

describe('virtual MACs', () => {
  it.each([
    ['00:00:5e:00:01:ff', 'VRRP'],
    ['00:00:5e:00:02:01', 'VRRP for IPv6'],
    ['00:00:0c:07:ac:00', 'HSRP'],
    ['00:00:0c:9f:ff:ff', 'HSRP version 2'],
    ['00:05:73:a0:0f:ff', 'HSRP for IPv6'],
    ['00:07:b4:00:01:02', 'GLBP'],
    ['00:07:b4:03:ff:04', 'GLBP'],
    ['00:07:b4:04:00:01', undefined],
    ['00:00:5e:00:03:01', undefined],
    ['00:00:0c:9f:0f:ff', undefined],
    ['00:05:73:a0:10:00', undefined],
    ['02:00:00:00:0a:01', undefined],
  ])('%s is of %s', (mac, protocol) => {
    expect(virtualMacProtocol(mac)).toBe(protocol)
  })
})

/** The frame as tests see it: without its tag, which the kernel took off. */
const bare = (bytes: Uint8Array): Buffer => Buffer.from(retagged(bytes, undefined))
const vlanOf = (bytes: Uint8Array): number => (bytes[12] === 0x81 ? ((bytes[14]! << 8) | bytes[15]!) & 0xfff : 0)

const holds = (frame: Buffer, {offset, size, mask, value}: ByteTest): boolean =>
  offset + size <= frame.length && (frame.readUIntBE(offset, size) & (mask ?? 0xffff_ffff)) >>> 0 === value

/** SKF_AD_OFF + SKF_AD_VLAN_TAG (linux/filter.h). */
const VLAN_TAG = 0xffff_f02c

/** Runs classic BPF (the six instructions in use); the frame is dropped if it returns 2. */
function isShot(program: string, frame: Buffer, vlan = 0): boolean {
  const [, ...text] = program.split(',')
  const code = text.map((line) => line.split(' ').map(Number) as [number, number, number, number])
  let a = 0
  for (let at = 0; ; at++) {
    const [op, jt, jf, k] = code[at]!
    const size = ({48: 1, 40: 2, 32: 4} as Record<number, number>)[op]
    if (k === VLAN_TAG) a = vlan
    else if (size !== undefined) {
      if (k + size > frame.length) return false
      a = frame.readUIntBE(k, size)
    } else if (op === 0x54) a = (a & k) >>> 0
    else if (op === 0x05) at += k
    else if (op === 0x15) at += a === k ? jt : jf
    else return k === 2
  }
}

describe('the rules', () => {
  const intent = intentOf(FILTER_INVENTORY)
  const byGroup = intentOf(GROUPS_INVENTORY, {force: true})
  const droppedBy = (of: FilterIntent, frame: Buffer): FilterRule[] =>
    filterRules(of).filter(({frames}) => frames.some((tests) => tests.every((test) => holds(frame, test))))
  const rows = (frames: readonly TestFrame[]) => frames.map(({name, bytes}) => [name, bare(bytes)] as const)
  const shot = (of: FilterIntent, frame: Buffer): boolean => isShot(bpfBytecode([of], 'vx0'), frame)

  it.each(rows([...MUST_DROP, ...ROUTER_DROP]))('drop: %s', (_name, frame) => {
    expect(droppedBy(intent, frame).length).toBeGreaterThan(0)
    expect(shot(intent, frame)).toBe(true)
  })

  it.each(rows(GROUP_DROP))('drop in a segment of that group, and nowhere else: %s', (_name, frame) => {
    expect(droppedBy(byGroup, frame).length).toBeGreaterThan(0)
    expect(shot(byGroup, frame)).toBe(true)
    expect(droppedBy(intent, frame)).toEqual([])
    expect(shot(intent, frame)).toBe(false)
  })

  it.each(rows([...MUST_PASS, ...TENANT_PASS]))('pass: %s', (_name, frame) => {
    for (const of of [intent, byGroup]) {
      expect(droppedBy(of, frame).map(({comment}) => comment)).toEqual([])
      expect(shot(of, frame)).toBe(false)
    }
  })

  it('are each needed by some frame', () => {
    const frames = [...MUST_DROP, ...ROUTER_DROP, ...GROUP_DROP]
    const used = (of: FilterIntent) =>
      new Set(frames.flatMap(({bytes}) => droppedBy(of, bare(bytes)).map(({nft}) => nft)))
    const unused = [intent, byGroup].flatMap((of) => filterRules(of).filter(({nft}) => !used(of).has(nft)))
    expect(unused.map(({comment}) => comment)).toEqual([])
  })

  it('of several segments on a port hold for the frames of their VLANs alone, in one program', () => {
    const who = MUST_DROP.find(({name}) => name === 'who-has gateway')!
    const of = (vlan: number | null, more: Partial<FilterIntent> = {}) => ({...intent, vlan, ...more})
    const program = (...intents: readonly FilterIntent[]) => bpfBytecode(intents, 'vx0')
    const shots = (text: string) =>
      [undefined, 100, 200, 300].filter((vlan) => {
        const bytes = retagged(who.bytes, vlan)
        return isShot(text, bare(bytes), vlanOf(bytes))
      })
    expect(shots(program(of(100), of(300)))).toEqual([100, 300])
    expect(shots(program(of(100, {untagged: ['vx0']})))).toEqual([undefined])
    expect(shots(program(of(null, {otherVlans: [100, 300]})))).toEqual([undefined, 200])
    expect(shots(program(of(100), of(null, {otherVlans: [100, 300]})))).toEqual([undefined, 100, 200])
    expect(() => ebtablesFilter([of(100)])).toThrow('cannot look behind the tag of VLAN 100')
  })

  it('name the protocol in front of every test, so that a tag does not hide it', () => {
    for (const {nft} of [intent, byGroup].flatMap(filterRules))
      expect(nft).toMatch(/^(meta protocol (arp|ip|ip6) |ether )/)
    expect(nftFilter(intent, 'bridge')).not.toContain('ether type')
  })

  it('fit the kernel as a program, or say that they do not', () => {
    const many = {...intent, gw4: Array.from({length: 500}, (_, n) => `10.${n >> 8}.${n & 255}.1`)}
    expect(() => bpfBytecode([many], 'vx0')).toThrow('are more than the kernel takes')
    expect(ebtablesFilter([intent, byGroup]).every((line) => !line.includes('undefined'))).toBe(true)
  })
})
