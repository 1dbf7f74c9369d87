// What a DHCP server does about what happens, told as events and the actions that follow, without a socket or a disk.
import {describe, expect, it} from 'vitest'
import type {Holder} from '../../../src/domain/dhcp/conflict.ts'
import type {Lease} from '../../../src/domain/dhcp/lease.ts'
import type {ServeRequest} from '../../../src/domain/dhcp/serve-request.ts'
import {bookOf, dhcpServer, directiveOf, isAnsweredRequest, step} from '../../../src/domain/dhcp/server.ts'
import type {Batch, ServerAction, ServerEvent, ServerNow} from '../../../src/domain/dhcp/server-events.ts'
import {type Dhcp, parseDhcp, serializeDhcp} from '../../../src/wire/dhcp.ts'
import {
  DHCPDECLINE,
  DHCPDISCOVER,
  DHCPINFORM,
  DHCPRELEASE,
  DHCPREQUEST,
  dhcpMessageTypeName,
} from '../../../src/wire/dhcp-options.ts'
import {
  booksFor,
  clientMessage,
  factsFor,
  factsWithVmAt,
  NOW,
  type Options,
  option,
  SERVER,
  STRANGER,
  VM_IP,
  VM_MAC,
} from './maker.ts'

const SEGMENT = 'tenant-a'
const FIRST = '10.0.0.100'
const EVERYBODY = '255.255.255.255'
const VM = {chaddr: VM_MAC}
const SQUATTER: Holder = {mac: '02:00:00:00:00:55'}
const ECHO: Holder = {mac: undefined}

const discover = (header: Partial<Dhcp> = {}, options: Options = {}) => clientMessage(DHCPDISCOVER, options, header)
const select = (ip: string, header: Partial<Dhcp> = {}, serverIdentifier = SERVER) =>
  clientMessage(DHCPREQUEST, {requestedAddress: ip, serverIdentifier}, header)
const renew = (ip: string, header: Partial<Dhcp> = {}): [Dhcp, string] => [
  clientMessage(DHCPREQUEST, {}, {ciaddr: ip, ...header}),
  SERVER,
]
const release = (ip: string, header: Partial<Dhcp> = {}): [Dhcp, string] => [
  clientMessage(DHCPRELEASE, {serverIdentifier: SERVER}, {ciaddr: ip, ...header}),
  SERVER,
]
const decline = (ip: string, header: Partial<Dhcp> = {}) =>
  clientMessage(DHCPDECLINE, {requestedAddress: ip, serverIdentifier: SERVER}, header)

type Message = Dhcp | [Dhcp, string]

/** A server to which things happen; what it does comes back a line an action. */
function server(over: Partial<ServeRequest> = {}, outside: Partial<ServerNow> = {}) {
  const facts = factsFor(over)
  const state = dhcpServer(facts, booksFor(facts), [])
  const clock = {nowMs: NOW}
  const now: ServerNow = {
    nowNs: () => BigInt(clock.nowMs) * 1_000_000n,
    newNonce: () => 'ab'.repeat(16),
    probes: true,
    maximum: 1472,
    ...outside,
  }
  const batches: Batch[] = []
  const happen = (event: ServerEvent): string[] => {
    const actions = step(state, event, now)
    for (const action of actions) if (action.kind === 'commit') batches.push(action.batch)
    return actions.map(lineOf)
  }
  return {
    state,
    clock,
    happen,
    book: bookOf(state, SEGMENT),
    /** Of the address, or that there is none. */
    leaseOf: (ip: string) => bookOf(state, SEGMENT).byIp(ip)?.state ?? 'none',
    nak: () => directiveOf(state, SEGMENT, VM_MAC)?.nak,
    dropped: () => state.counters.dropped(),
    receive: (...messages: Message[]) => happen({kind: 'arrivals', batch: messages.map(arrival)}),
    /** The disk says so of the oldest batch it was given. */
    stored: () => happen({kind: 'stored', batch: batches.shift()!}),
    notStored: () => happen({kind: 'not_stored', batch: batches.shift()!, why: 'the disk is full'}),
    probed: (holder: Holder | undefined) => happen({kind: 'probed', client: `${SEGMENT} ${STRANGER}`, holder}),
    notProbed: () => happen({kind: 'not_probed', client: `${SEGMENT} ${STRANGER}`, why: 'the link is down'}),
    /** It has leased this address to that client. */
    leased(ip: string, header: Partial<Dhcp> = {}) {
      this.receive(select(ip, header))
      this.stored()
      return this
    },
  }
}

function arrival(message: Message) {
  const [dhcp, destination] = Array.isArray(message) ? message : [message, EVERYBODY]
  return {payload: serializeDhcp(dhcp), destination}
}

function lineOf(action: ServerAction): string {
  switch (action.kind) {
    case 'send':
      return ['send', ...action.departures.map(({payload}) => replyText(parseDhcp(payload)))].join(' ')
    case 'commit': {
      const leases = [...action.batch.leases.values()].map(({ip, state}) => `${ip}=${state}`)
      return ['commit', ...leases, ...action.batch.directives.map(({nak}) => `nak=${nak}`)].join(' ')
    }
    case 'probe':
      return `probe ${action.ip}${action.relay === undefined ? '' : ` by ${action.relay}`}`
    case 'tell':
      return ['tell', ...action.exchanges.map(({request}) => dhcpMessageTypeName(request.type))].join(' ')
    case 'warn':
      return `warn ${action.key}`
  }
}

const replyText = (reply: Dhcp): string => `${dhcpMessageTypeName(option(reply, 'messageType')!)}:${reply.yiaddr}`

describe('messages that arrive', () => {
  it.each<[string, Message[], string[]]>([
    ['an offer leaves at once', [discover(VM)], [`send DHCPOFFER:${VM_IP}`, 'tell DHCPDISCOVER']],
    ['a lease goes to the disk before anything else', [select(VM_IP, VM)], [`commit ${VM_IP}=bound`]],
    [
      'offers do not wait for the leases of their batch',
      [select(VM_IP, VM), discover({chaddr: '02:00:00:00:00:11'}, {clientIdentifier: Uint8Array.of(9)})],
      ['probe 10.0.0.100', `commit ${VM_IP}=bound`],
    ],
    [
      'all leases of a batch go together',
      [select(VM_IP, VM), select(FIRST), select('10.0.0.101', {chaddr: '02:00:00:00:00:98'})],
      [`commit ${VM_IP}=bound ${FIRST}=bound 10.0.0.101=bound`],
    ],
    [
      'of two that change one lease the latest is stored',
      [select(VM_IP, VM), release(VM_IP, VM)],
      [`commit ${VM_IP}=released`],
    ],
    [
      'what changes no lease is answered at once',
      [clientMessage(DHCPINFORM, {}, {ciaddr: '10.0.0.44'})],
      ['send DHCPACK:0.0.0.0', 'tell DHCPINFORM'],
    ],
    [
      'a NAK changes no lease',
      [[clientMessage(DHCPREQUEST, {requestedAddress: '10.9.9.9'}, VM), EVERYBODY]],
      ['send DHCPNAK:0.0.0.0', 'tell DHCPREQUEST'],
    ],
    ['what is for another server is told, and not answered', [select(VM_IP, VM, '10.0.0.4')], ['tell DHCPREQUEST']],
    ['a relay that nobody knows is a warning', [discover({giaddr: '192.0.2.1', hops: 1})], ['warn unknown-segment']],
    [
      'a client behind a relay has its address asked for by another way',
      [discover({giaddr: '10.0.0.2', hops: 1})],
      [`probe ${FIRST} by 10.0.0.2`],
    ],
    ['nothing is no action', [], []],
  ])('%s', (_, messages, want) => {
    expect(server().receive(...messages)).toEqual(want)
  })

  it.each<[string, Uint8Array, string]>([
    ['is too short', Uint8Array.of(1, 1, 6), 'truncated'],
    ['is a reply', serializeDhcp({...discover(), op: 2}), 'not-a-request'],
    ['says no type', serializeDhcp({...discover(), options: []}), 'no-message-type'],
  ])('are counted where one %s', (_, payload, reason) => {
    const {happen, dropped} = server()
    expect(happen({kind: 'arrivals', batch: [{payload, destination: EVERYBODY}]})).toEqual([])
    expect(dropped()).toEqual({[reason]: 1})
  })

  it('an offer leaves at once where no address is asked for', () => {
    const {receive, leaseOf} = server({}, {probes: false})
    expect(receive(discover())).toEqual([`send DHCPOFFER:${FIRST}`, 'tell DHCPDISCOVER'])
    expect(leaseOf(FIRST)).toBe('offered')
  })

  it('a client without an answer is warned of, and counted', () => {
    const full = server({pool: [FIRST]}, {probes: false})
    full.receive(discover())
    expect(full.receive(discover({chaddr: '02:00:00:00:00:98'}))).toEqual(['warn pool-exhausted', 'tell DHCPDISCOVER'])
    expect(full.dropped()).toEqual({'pool-exhausted': 1})

    const taken = server().leased(VM_IP, VM)
    expect(taken.receive(decline(VM_IP, VM))).toEqual([`commit ${VM_IP}=declined`])
    expect(taken.stored()).toEqual(['warn declined', 'tell DHCPDECLINE'])
    expect(taken.receive(discover(VM))).toEqual(['warn reservation-in-use', 'tell DHCPDISCOVER'])
    expect(taken.dropped()).toEqual({'held-by-another': 1, 'reservation-in-use': 1})
  })

  it('a NAK for what another client holds is no warning: nobody has complained of a host', () => {
    const {receive, dropped} = server().leased(FIRST)
    const reboot = clientMessage(DHCPREQUEST, {requestedAddress: FIRST}, {chaddr: '02:00:00:00:00:98'})
    expect(receive(reboot)).toEqual(['send DHCPNAK:0.0.0.0', 'tell DHCPREQUEST'])
    expect(dropped()).toEqual({})
  })

  it('a reply that is too long is cut, or is none', () => {
    const search = Array.from({length: 20}, (_, i) => `a-rather-long-name-${i}.example.org`)
    const options: Options = {parameterRequestList: [1, 3, 51, 58, 59, 119]}
    const cut = server({search}, {maximum: 300})
    expect(cut.receive(discover(VM, options))).toEqual([
      'warn too-long',
      `send DHCPOFFER:${VM_IP}`,
      'tell DHCPDISCOVER',
    ])
    const none = server({search}, {maximum: 240})
    expect(none.receive(discover(VM, options))).toEqual(['warn too-long', 'tell DHCPDISCOVER'])
    expect(none.dropped()).toEqual({'reply-too-long': 1})
  })
})

describe('a batch', () => {
  it('is answered once it is stored', () => {
    const {receive, stored, state, leaseOf} = server()
    receive(select(VM_IP, VM), select(FIRST))
    expect(state.counters.sent()).toEqual({})
    expect(stored()).toEqual([`send DHCPACK:${VM_IP} DHCPACK:${FIRST}`, 'tell DHCPREQUEST DHCPREQUEST'])
    expect([state.counters.sent(), leaseOf(FIRST)]).toEqual([{DHCPACK: 2}, 'bound'])
  })

  it('that cannot be stored is answered to nobody, and leaves what was, from the last change to the first', () => {
    const {receive, notStored, dropped, leaseOf, book} = server().leased(FIRST)
    const before = book.byIp(FIRST)
    receive(renew(FIRST), release(FIRST), select(VM_IP, VM))
    expect([leaseOf(FIRST), leaseOf(VM_IP)]).toEqual(['released', 'bound'])
    expect(notStored()).toEqual(['warn store'])
    expect(book.byIp(FIRST)).toBe(before)
    expect([leaseOf(VM_IP), dropped()]).toEqual(['none', {'not-stored': 1}])
  })

  it('that cannot be stored leaves its offers: they have gone out', () => {
    const {receive, notStored, leaseOf} = server({}, {probes: false})
    expect(receive(discover(), select(VM_IP, VM))).toEqual([
      `send DHCPOFFER:${FIRST}`,
      'tell DHCPDISCOVER',
      `commit ${VM_IP}=bound`,
    ])
    notStored()
    expect([leaseOf(FIRST), leaseOf(VM_IP)]).toEqual(['offered', 'none'])
  })
})

describe('an order to refuse the next renewal', () => {
  const ordered = () => {
    const vm = server().leased(VM_IP, VM)
    vm.happen({kind: 'changed', directives: [{segment: SEGMENT, mac: VM_MAC, site: 'y', nak: true}]})
    return vm
  }

  it('is done with by the NAK, once that is stored', () => {
    const vm = ordered()
    expect(vm.receive(renew(VM_IP, VM))).toEqual(['commit nak=false'])
    expect(vm.stored()).toEqual(['send DHCPNAK:0.0.0.0', 'tell DHCPREQUEST'])
    expect(vm.receive(renew(VM_IP, VM))).toEqual([`commit ${VM_IP}=bound`])
  })

  it('is done with where the client begins anew by itself', () => {
    const vm = ordered()
    expect(vm.receive(select(VM_IP, VM))).toEqual([`commit ${VM_IP}=bound nak=false`])
    expect(directiveOf(vm.state, SEGMENT, VM_MAC)).toMatchObject({site: 'y', nak: false})
  })

  it('stands where that cannot be stored', () => {
    const vm = ordered()
    vm.receive(renew(VM_IP, VM))
    expect(vm.nak()).toBe(false)
    expect(vm.notStored()).toEqual(['warn store'])
    expect(vm.nak()).toBe(true)
    expect(vm.receive(renew(VM_IP, VM))).toEqual(['commit nak=false'])
  })
})

describe('an address that is asked for', () => {
  const asking = () => {
    const it = server()
    expect(it.receive(discover())).toEqual([`probe ${FIRST}`])
    return it
  }

  it('is offered if nobody has it; meanwhile its client waits, and nobody else gets it', () => {
    const {receive, probed, dropped} = asking()
    expect(receive(discover())).toEqual([])
    expect(dropped()).toEqual({probing: 1})
    expect(receive(discover({chaddr: '02:00:00:00:00:98'}))).toEqual(['probe 10.0.0.101'])
    expect(probed(undefined)).toEqual([`send DHCPOFFER:${FIRST}`, 'tell DHCPDISCOVER'])
    // Now it is the client's own.
    expect(receive(discover())).toEqual([`send DHCPOFFER:${FIRST}`, 'tell DHCPDISCOVER'])
  })

  it('is left alone if somebody has it, and another is asked for, for the same message', () => {
    const {receive, probed, leaseOf, dropped} = asking()
    expect(probed(SQUATTER)).toEqual(['warn conflict', `commit ${FIRST}=declined`, 'probe 10.0.0.101'])
    expect([leaseOf(FIRST), dropped()]).toEqual(['declined', {conflict: 1}])
    expect(probed(undefined)).toEqual(['send DHCPOFFER:10.0.0.101', 'tell DHCPDISCOVER'])
    expect(receive(discover({chaddr: '02:00:00:00:00:98'}))).toEqual(['probe 10.0.0.102'])
  })

  it('is left alone also where that cannot be stored, which is no message without an answer', () => {
    const {probed, notStored, leaseOf, dropped} = asking()
    probed(SQUATTER)
    expect(notStored()).toEqual(['warn store'])
    expect([leaseOf(FIRST), dropped()]).toEqual(['declined', {conflict: 1}])
  })

  it('is not offered where nobody could be asked, and is asked for anew', () => {
    const {receive, notProbed, leaseOf} = asking()
    expect(notProbed()).toEqual(['warn probe'])
    expect(leaseOf(FIRST)).toBe('none')
    expect(receive(discover())).toEqual([`probe ${FIRST}`])
  })

  it('stays leased if the client has taken it meanwhile, where nobody could be asked', () => {
    const {receive, stored, notProbed, leaseOf} = asking()
    receive(select(FIRST))
    stored()
    notProbed()
    expect(leaseOf(FIRST)).toBe('bound')
  })

  /** Answers to one question after another, and what came of the last. */
  const answered = (over: Partial<ServeRequest>, ...holders: (Holder | undefined)[]) => {
    const one = server(over)
    one.receive(discover())
    return {...one, last: holders.map((holder) => one.probed(holder)).at(-1)!}
  }
  const OTHER: Holder = {mac: '02:00:00:00:00:56'}

  it.each<[string, (Holder | undefined)[], string[], number]>([
    ['three hosts have them', [SQUATTER, OTHER, SQUATTER], ['warn conflict', 'commit 10.0.0.102=declined'], 1],
    [
      'echoes come back from all, which name nobody',
      [ECHO, ECHO, ECHO],
      ['warn conflict', 'commit 10.0.0.102=declined'],
      1,
    ],
    [
      'one MAC answers for all, which is named, and leaves the pool as it was',
      [SQUATTER, SQUATTER, SQUATTER],
      [
        'warn conflict',
        'commit 10.0.0.102=declined',
        'commit 10.0.0.100=released 10.0.0.101=released 10.0.0.102=released',
        'warn answers-for-all',
      ],
      4,
    ],
  ])('is the last of three for one message: %s', (_, holders, want, free) => {
    const one = answered({}, ...holders)
    expect(one.last).toEqual(want)
    expect([one.dropped()['all-in-use'], one.book.count(NOW).free]).toEqual([1, free])
    // It asks again after seconds, and whoever it was may be gone.
    expect(one.receive(discover())).toEqual([`probe 10.0.0.10${free === 4 ? 2 : 3}`])
  })

  it.each<[string, Holder[], string[], number]>([
    [
      'one MAC',
      [SQUATTER, SQUATTER],
      [
        'warn conflict',
        'commit 10.0.0.101=declined',
        'commit 10.0.0.100=released 10.0.0.101=released',
        'warn answers-for-all',
        'warn pool-exhausted',
        'tell DHCPDISCOVER',
      ],
      2,
    ],
    [
      'two hosts',
      [SQUATTER, OTHER],
      ['warn conflict', 'commit 10.0.0.101=declined', 'warn pool-exhausted', 'tell DHCPDISCOVER'],
      0,
    ],
  ])('may be the last of a small pool, which %s answered for', (_, holders, want, free) => {
    const one = answered({pool: ['10.0.0.100-10.0.0.101']}, ...holders)
    expect([one.last, one.book.count(NOW).free]).toEqual([want, free])
  })

  it('is held for the host that had it and missed a renewal: it may have it again', () => {
    const one = server({pool: [FIRST], leaseS: 3600}).leased(FIRST, {chaddr: SQUATTER.mac!})
    one.clock.nowMs += 3_601_000
    expect(one.receive(discover())).toEqual([`probe ${FIRST}`])
    expect(one.probed(SQUATTER)).toEqual(['warn conflict', 'warn pool-exhausted', 'tell DHCPDISCOVER'])
    one.receive(renew(FIRST, {chaddr: SQUATTER.mac!}))
    expect(one.stored()).toEqual([`send DHCPACK:${FIRST}`, 'tell DHCPREQUEST'])
  })

  it('is not held for a host that has another one by now', () => {
    const one = server({pool: ['10.0.0.100-10.0.0.101'], leaseS: 3600}).leased(FIRST, {chaddr: SQUATTER.mac!})
    one.clock.nowMs += 3_601_000
    one.leased('10.0.0.101', {chaddr: SQUATTER.mac!})
    one.receive(discover())
    expect(one.probed(SQUATTER)[1]).toBe(`commit ${FIRST}=declined`)
  })

  it('is not asked for by echo where the answer may be the client itself', () => {
    const relayed = {giaddr: '10.0.0.2', hops: 1}
    const one = server({leaseS: 3600}).leased(FIRST, relayed)
    one.clock.nowMs += 3_601_000
    expect(one.receive(discover(relayed))).toEqual([`send DHCPOFFER:${FIRST}`, 'tell DHCPDISCOVER'])
    const other = {...relayed, chaddr: '02:00:00:00:00:98'}
    one.clock.nowMs += 60_000
    expect(one.receive(discover(other, {requestedAddress: FIRST}))).toEqual([`probe ${FIRST} by 10.0.0.2`])
  })

  it('is remembered with the message as it came: the buffer holds another packet by then', () => {
    const {happen, probed} = server()
    const one = arrival(discover())
    happen({kind: 'arrivals', batch: [one]})
    one.payload.fill(0)
    expect(probed(SQUATTER)).toEqual(['warn conflict', `commit ${FIRST}=declined`, 'probe 10.0.0.101'])
  })

  it.each(['probed', 'not_probed'] as const)('that nobody waits for is nothing (%s)', (kind) => {
    const {happen, state} = server()
    const client = `${SEGMENT} ${STRANGER}`
    expect(happen(kind === 'probed' ? {kind, client, holder: SQUATTER} : {kind, client, why: 'late'})).toEqual([])
    expect(state.counters.dropped()).toEqual({})
  })
})

describe('what changes otherwise', () => {
  it('is held from then on, and asks for nothing', () => {
    const {happen, receive, stored, book} = server().leased(VM_IP, VM)
    const lease: Lease = {...book.byIp(VM_IP)!, replay: 7n}
    expect(happen({kind: 'changed', lease})).toEqual([])
    expect(book.byIp(VM_IP)?.replay).toBe(7n)
    expect(happen({kind: 'changed', directives: [{segment: SEGMENT, mac: VM_MAC, site: 'y', nak: false}]})).toEqual([])
    receive(renew(VM_IP, VM))
    stored()
    expect(book.byIp(VM_IP)?.router).toBe('10.0.0.2')
  })
})

describe('another inventory', () => {
  it('counts from the next message on, and keeps leases and what was asked', () => {
    const one = server().leased(VM_IP, VM)
    one.receive(discover())
    const facts = factsFor({gateway: ['z=10.0.0.4'], site: 'z'})
    expect(one.happen({kind: 'reloaded', facts, books: one.state.books})).toEqual([])
    one.receive(renew(VM_IP, VM))
    one.stored()
    expect(one.book.byIp(VM_IP)?.router).toBe('10.0.0.4')
    expect(one.probed(undefined)).toEqual([`send DHCPOFFER:${FIRST}`, 'tell DHCPDISCOVER'])
  })

  it.each<[string, (string | undefined)[], string | undefined, string[]]>([
    ['a newer site', ['z'], undefined, ['commit nak=true']],
    ['a newer site, and the old one again', ['z', 'x'], undefined, ['commit nak=true']],
    ['no site, and the old one again', [undefined, 'x'], 'y', []],
    ['the same site', ['x'], 'y', []],
  ])('with %s decides whether what was said of a VM still counts, once for all', (_, sites, said, did) => {
    const {state, happen} = server()
    const directive = {segment: SEGMENT, mac: VM_MAC, site: 'y', inventorySite: 'x', nak: true}
    const elsewhere = {...directive, segment: 'served-no-more'}
    happen({kind: 'changed', directives: [directive, elsewhere]})
    const reload = (site: string | undefined) =>
      happen({kind: 'reloaded', facts: factsWithVmAt(site), books: state.books})
    expect(sites.flatMap(reload)).toEqual(did)
    expect(directiveOf(state, SEGMENT, VM_MAC)).toEqual({...directive, site: said})
    expect(directiveOf(state, elsewhere.segment, VM_MAC)).toEqual(elsewhere)
  })

  it('lets those go whose segment is served no more', () => {
    const one = server()
    one.receive(discover())
    one.happen({kind: 'reloaded', facts: one.state.facts, books: new Map()})
    expect(one.probed(SQUATTER)).toEqual([])
  })
})

describe('clients that say one identifier', () => {
  const clone = (ip: string, mac: string, options: Options = {}) =>
    clientMessage(
      DHCPREQUEST,
      {clientIdentifier: Uint8Array.of(255, 1), requestedAddress: ip, serverIdentifier: SERVER, ...options},
      {chaddr: mac},
    )
  const [A, B] = ['02:00:00:00:c2:0a', '02:00:00:00:c2:0b'] as const

  it('get one address, as the RFC has it, and are named', () => {
    const one = server()
    for (const mac of [A, A]) {
      one.receive(clone(FIRST, mac))
      expect(one.stored()).toEqual([`send DHCPACK:${FIRST}`, 'tell DHCPREQUEST'])
    }
    one.receive(clone(FIRST, B))
    expect(one.stored()).toEqual(['warn clone', `send DHCPACK:${FIRST}`, 'tell DHCPREQUEST'])
    // A network card that was replaced after the lease is no clone.
    one.clock.nowMs += 3_601_000
    one.receive(clone(FIRST, A))
    expect(one.stored()).toEqual([`send DHCPACK:${FIRST}`, 'tell DHCPREQUEST'])
  })

  it('get one each where identifiers are not looked at', () => {
    const one = server({ignoreClientId: true}, {probes: false})
    for (const mac of [A, B]) one.receive(discover({chaddr: mac}, {clientIdentifier: Uint8Array.of(255, 1)}))
    expect([...one.book.all()].map(({ip, client}) => [ip, client])).toEqual([
      [FIRST, `hw:1:${A}`],
      ['10.0.0.101', `hw:1:${B}`],
    ])
  })
})

describe('a client has asked', () => {
  const exchangesOf = (messages: Message[]) => {
    const facts = factsFor()
    const state = dhcpServer(facts, booksFor(facts), [])
    const now = {nowNs: () => BigInt(NOW) * 1_000_000n, newNonce: () => '', probes: false, maximum: 1472}
    return step(state, {kind: 'arrivals', batch: messages.map(arrival)}, now).flatMap((action) =>
      action.kind === 'tell' ? action.exchanges : action.kind === 'commit' ? action.batch.waiting : [],
    )
  }

  it.each<[string, Message, boolean]>([
    ['with a REQUEST that gets an ACK', select(VM_IP, VM), true],
    ['with a REQUEST that gets a NAK', clientMessage(DHCPREQUEST, {requestedAddress: '10.9.9.9'}, VM), true],
    ['not with a REQUEST to another server', select(VM_IP, VM, '10.0.0.4'), false],
    ['not with a DISCOVER', discover(VM), false],
  ])('%s', (_, message, want) => {
    expect(exchangesOf([message]).map(isAnsweredRequest)).toEqual([want])
  })
})
