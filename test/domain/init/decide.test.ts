// What becomes of what was heard: which stations are gateways, of which kind, at which site, and what stays a guess.
import {describe, expect, it} from 'vitest'
import {draftOf} from '../../../src/domain/init/decide.ts'
import type {DraftChoices} from '../../../src/domain/init/draft.ts'
import type {Heard} from '../../../src/domain/init/heard.ts'
import {emptyNotebook, lanOf, type Notebook, note, stationOf} from '../../../src/domain/init/notebook.ts'
import {dueQuestions, usualAddresses} from '../../../src/domain/init/questions.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {inventoryDraftText} from '../../../src/render/inventory-draft.ts'

const X = '02:00:00:00:0a:01'
const Y = '02:00:00:00:0b:01'
const A = '02:00:00:00:00:10'
const B = '02:00:00:00:00:11'
const VRRP_MAC = '00:00:5e:00:01:33'

const arp = (mac: string, ip: string, asksFor?: string, tag = 0): Heard => ({kind: 'arp', mac, ip, asksFor, tag})
const packet = (mac: string, to: string, source: string, destination: string): Heard => ({
  ...{kind: 'packet', mac, to, source, destination, tag: 0},
})
const hello = (mac: string, ip: string): Heard => ({
  ...{kind: 'hello', mac, ip, tag: 0},
  hello: {protocol: 'VRRP', group: 51, priority: 150, addresses: ['10.0.0.254']},
})
const advertises = (mac: string, ip: string): Heard => ({
  ...{kind: 'advertisement', mac, ip, tag: 0},
  advertisement: {lifetime: 1800, preference: 'high', prefixes: [{address: '2001:db8::', length: 64}]},
})
const offer = (routers: string[], mask = '255.255.0.0'): Heard => ({
  ...{kind: 'offer', mac: B, tag: 0, offer: {server: '10.0.0.5', ip: '10.0.0.77', mask, routers}},
})

/** Behind which port each MAC was learned: `dci` leads to site x. */
type Behind = Readonly<Record<string, readonly string[]>>

function book(heard: readonly Heard[], behind: Behind = {}): Notebook {
  const found = emptyNotebook()
  for (const each of heard) note(found, 'br0', each, new Set())
  for (const lan of found.lans.values())
    for (const [mac, ports] of Object.entries(behind))
      for (const port of ports) stationOf(found, lan, mac)!.ports.add(port)
  return found
}

const choices = (changes: Partial<DraftChoices> = {}): DraftChoices => ({
  site: {name: 'y', given: true},
  interSite: new Map([['dci', {name: 'x', by: 'given'}]]),
  portsOf: new Map([['br0', ['dci', 'p1', 'p2']]]),
  segment: undefined,
  notGateways: new Set(),
  ...changes,
})
const NO_PORT = {interSite: new Map()}
const took = (found: Notebook, mac: string, ip: string): Notebook => {
  stationOf(found, lanOf(found, 'br0', 0)!, mac)!.routesAs = ip
  return found
}

/** `NAME-less` rows: site by how, kind, address, MAC, own address. */
const gateways = (found: Notebook, chosen = choices()) =>
  draftOf(found, [], chosen).segments.map(({gateways: all}) =>
    all.map(
      ({site, siteBy, kind, ip, ownIp, seen}) =>
        `${site} (${siteBy}) ${kind} ${ip}${ownIp ? ` own ${ownIp}` : ''}${seen ? '' : ' guessed'}`,
    ),
  )[0]

type Row = [what: string, found: Notebook, want: readonly string[] | undefined, chosen?: DraftChoices | undefined]
const TABLE: readonly Row[] = [
  [
    'an address where gateways usually are is a guess',
    book([arp(X, '10.0.0.1')], {[X]: ['dci']}),
    ['x (port) own 10.0.0.1 guessed'],
  ],
  [
    'a station that took a packet on is a gateway, wherever its address is',
    took(book([arp(Y, '10.0.0.77')], {[Y]: ['p1']}), Y, '10.0.0.77'),
    ['y (port) own 10.0.0.77'],
  ],
  [
    'so is one to which hosts send what is for elsewhere',
    book([arp(Y, '10.0.0.9'), arp(A, '10.0.0.10'), packet(A, Y, '10.0.0.10', '203.0.113.9')], {[Y]: ['p1']}),
    ['y (port) own 10.0.0.9'],
  ],
  [
    'not one to which a host sends what is for it',
    book([arp(Y, '10.0.0.9'), packet(A, Y, '10.0.0.10', '10.0.0.9')]),
    undefined,
  ],
  [
    'and one that brings packets from elsewhere',
    book([arp(Y, '10.0.0.9'), packet(Y, A, '203.0.113.9', '10.0.0.10')], {[Y]: ['p1']}),
    ['y (port) own 10.0.0.9'],
  ],
  [
    'and one that DHCP offers',
    book([arp(Y, '10.0.0.9'), offer(['10.0.0.9'])], {[Y]: ['p1']}),
    ['y (port) own 10.0.0.9'],
  ],
  [
    'two MACs for one address share it, and each may have its own',
    book([arp(X, '10.0.0.254'), arp(X, '10.0.0.252'), arp(Y, '10.0.0.254')], {[X]: ['dci'], [Y]: ['p1']}),
    ['x (port) shared 10.0.0.254 own 10.0.0.252 guessed', 'y (port) shared 10.0.0.254 guessed'],
  ],
  [
    'an address of hellos is virtual, and its router has the one that they come from',
    book([arp(X, '10.0.0.254'), arp(X, '10.0.0.7'), hello(X, '10.0.0.7')], {[X]: ['dci']}),
    ['x (port) fhrp 10.0.0.254 own 10.0.0.7'],
  ],
  [
    'a virtual MAC and the MAC of the router behind it are one gateway',
    took(
      book([arp(VRRP_MAC, '10.0.0.254'), hello(VRRP_MAC, '10.0.0.7'), arp(X, '10.0.0.7')], {
        [VRRP_MAC]: ['dci'],
        [X]: ['dci'],
      }),
      X,
      '10.0.0.7',
    ),
    ['x (port) fhrp 10.0.0.254 own 10.0.0.7'],
  ],
  [
    'one MAC on both sides is anycast',
    took(book([arp(X, '10.0.0.1')], {[X]: ['dci', 'p1']}), X, '10.0.0.1'),
    ['x (port) anycast 10.0.0.1', 'y (port) anycast 10.0.0.1'],
  ],
  [
    'without an inter-site port, gateways behind two ports are at two sites that nobody named',
    book([arp(X, '10.0.0.1'), arp(Y, '10.0.0.254')], {[X]: ['p1'], [Y]: ['p2']}),
    ['site-1 (guess) own 10.0.0.1 guessed', 'site-2 (guess) own 10.0.0.254 guessed'],
    choices(NO_PORT),
  ],
  [
    'and so are two MACs of one address behind one port',
    book([arp(X, '10.0.0.1'), arp(Y, '10.0.0.1')], {[X]: ['p1'], [Y]: ['p1']}),
    ['site-1 (guess) shared 10.0.0.1 guessed', 'site-2 (guess) shared 10.0.0.1 guessed'],
    choices(NO_PORT),
  ],
  [
    'one gateway alone is at the site that was given',
    book([arp(X, '10.0.0.1')], {[X]: ['p1']}),
    ['y (given) own 10.0.0.1 guessed'],
    choices(NO_PORT),
  ],
  [
    'where nobody gave it, that is a guess',
    book([arp(X, '10.0.0.1')], {[X]: ['p1']}),
    ['here (guess) own 10.0.0.1 guessed'],
    choices({...NO_PORT, site: {name: 'here', given: false}}),
  ],
  [
    'a gateway behind no port that was learned is guessed to be on this side',
    book([arp(X, '10.0.0.1')]),
    ['y (guess) own 10.0.0.1 guessed'],
  ],
  ['what a person says is none is none', book([arp(X, '10.0.0.1')]), undefined, choices({notGateways: new Set([X])})],
  ['hosts alone make no segment', book([arp(A, '10.0.0.10'), arp(B, '10.0.0.11')]), undefined],
]

const TAKEN = TABLE.filter(([, , want]) => want !== undefined)

describe('a draft of what was heard', () => {
  it.each<Row>([...TABLE])('%s', (_, found, want, chosen) => expect(gateways(found, chosen)).toEqual(want))

  it.each<Row>(TAKEN)('%s: and the inventory takes it', (_, found, want, chosen = choices()) => {
    const text = inventoryDraftText(draftOf(found, [], chosen), {
      command: 'gwswitch init',
      at: '2026-01-01T00:00:00Z',
      listenedS: 5,
    })
    expect(parseInventory(text, 'draft').segments[0]!.gateways).toHaveLength(want!.length)
    // What is a guess says so.
    const isGuess = want!.some((row) => /guess/.test(row))
    expect(/^ +# guessed/m.test(text) || /site guessed/.test(text)).toBe(isGuess)
  })

  it('takes VMs with their addresses and sides, by the name that they give themselves, and leaves the unsure out', () => {
    const found = book(
      [
        ...[arp(X, '10.0.0.1'), arp(A, '10.0.0.10'), arp(B, '10.0.0.11')],
        ...[{kind: 'host-name', mac: A, name: 'db-03', tag: 0} as const, advertises(X, 'fe80::a')],
        ...[
          {kind: 'ip6', mac: A, ip: '2001:db8::10', tag: 0} as const,
          {kind: 'ip6', mac: B, ip: '2001:db8:f::1', tag: 0} as const,
        ],
        ...[{kind: 'host-name', mac: B, name: 'no name\n', tag: 0} as const],
      ],
      {[X]: ['dci'], [A]: ['p1'], [B]: ['dci', 'p1']},
    )
    const [segment] = draftOf(found, [], choices()).segments
    expect(segment!.vms).toMatchObject([
      {name: 'db-03', ip: '10.0.0.10', mac: A, ip6: ['2001:db8::10'], site: 'y', port: 'p1'},
      {name: 'vm-10-0-0-11', ip: '10.0.0.11', mac: B, ip6: [], site: null},
    ])
    expect(segment!.gateways).toMatchObject([{ip6: ['fe80::a'], ra: {lifetime: 1800, preference: 'high'}}])
  })

  it('takes the prefix that DHCP says, else this host, else guesses one of 24 bits', () => {
    const prefixes = (found: Notebook, known: Parameters<typeof draftOf>[1] = []) =>
      draftOf(found, known, choices()).segments.map(({prefix, prefixBy}) => [prefix.address, prefix.length, prefixBy])
    const gateway = arp(X, '10.0.0.1')
    expect(prefixes(book([gateway]))).toEqual([['10.0.0.0', 24, 'guess']])
    expect(prefixes(book([gateway, offer(['10.0.0.1'])]))).toEqual([['10.0.0.0', 16, 'dhcp']])
    const own = {prefix: {address: '10.0.0.0', length: 25}, interfaceName: 'br0', by: 'interface'} as const
    expect(prefixes(book([gateway]), [own])).toEqual([['10.0.0.0', 25, 'interface']])
  })

  it('keeps VLANs and names apart', () => {
    const found = book([arp(X, '10.0.0.1'), arp(Y, '10.7.0.1', undefined, 70)], {[X]: ['dci'], [Y]: ['dci']})
    const {segments} = draftOf(found, [], choices())
    expect(segments.map(({name, vlan, gateways: [first]}) => [name, vlan, first!.name])).toEqual([
      ['br0', null, 'br0-x'],
      ['vlan-70', 70, 'vlan-70-x'],
    ])
  })

  it('is bounded, whoever speaks', () => {
    const found = emptyNotebook()
    const mac = (i: number): string =>
      `02:00:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`
    for (let i = 0; i < 5000; i++) note(found, 'br0', arp(mac(i), `10.${i >> 8}.${i & 255}.1`), new Set())
    for (let i = 0; i < 5000; i++)
      note(found, 'br0', arp(X, `10.0.${i >> 8}.${i & 255}`, undefined, i % 4000), new Set())
    expect(found.lans.size).toBe(64)
    expect(found.lans.get('br0 0')!.stations.size).toBe(2048)
    expect(found.leftOut).toBeGreaterThan(0)
    expect(draftOf(found, [], choices()).notes.join()).toMatch(/more stations than are written down/)
  })
})

describe('the questions of init', () => {
  const plan = {sweep: 0, dhcp: false, known: [], ownIps: new Map()}
  const own = {prefix: {address: '10.0.0.0', length: 24}, interfaceName: 'br0', by: 'interface'} as const

  it('are for the first and last addresses of a prefix, for those that are heard, twice each and not at once', () => {
    const found = book([arp(A, '10.0.0.10', '10.0.0.99')])
    const asked = new Map()
    const ask = (nowMs: number) => dueQuestions(found, plan, asked, nowMs, 100)
    const first = ask(0)
    expect(first.flatMap((each) => (each.kind === 'arp' ? [each.ip] : []))).toEqual([
      ...usualAddresses(own.prefix),
      ...['10.0.0.10', '10.0.0.99'],
    ])
    expect(ask(100)).toEqual([])
    expect(ask(2000)).toHaveLength(first.length)
    expect(ask(10_000)).toEqual([])
  })

  it('place a host whose packets alone are heard, and ask for none of what a router brings', () => {
    const routed = ['198.51.100.1', '198.51.100.2', '198.51.100.3'].map((from) => packet(X, A, from, '10.0.0.10'))
    const silent = book([packet(A, X, '10.0.0.10', '203.0.113.10'), ...routed])
    const asked = dueQuestions(silent, {...plan, known: []}, new Map(), 0, 100)
    expect(asked.filter(({kind}) => kind === 'arp')).toMatchObject([{ip: '10.0.0.10'}])
  })

  it('are no more at a time than they may be, and none for DHCP unasked', () => {
    const found = book([arp(A, '10.0.0.10')])
    expect(dueQuestions(found, {...plan, sweep: 1024}, new Map(), 0, 10)).toHaveLength(10)
    const all = dueQuestions(found, {...plan, sweep: 1024}, new Map(), 0, 2000)
    expect(new Set(all.flatMap((each) => (each.kind === 'arp' ? [each.ip] : []))).size).toBe(254)
    expect(all.some(({kind}) => kind === 'dhcp')).toBe(false)
    expect(dueQuestions(found, {...plan, dhcp: true}, new Map(), 0, 100).some(({kind}) => kind === 'dhcp')).toBe(true)
  })

  it('try a station in the name of one behind another port, whose answer passes by', () => {
    const echoes = (behind: Behind) =>
      dueQuestions(book([arp(X, '10.0.0.1'), arp(A, '10.0.0.10')], behind), plan, new Map(), 0, 100).flatMap((each) =>
        each.kind === 'echo' ? [`${each.mac} as ${each.source}`] : [],
      )
    expect(echoes({[X]: ['dci'], [A]: ['p1']})).toEqual([`${X} as 10.0.0.10`, `${A} as 10.0.0.1`])
    expect(echoes({[X]: ['dci'], [A]: ['dci']})).toEqual([])
  })
})
