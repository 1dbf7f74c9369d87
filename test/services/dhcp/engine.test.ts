import {createHash} from 'node:crypto'
import {describe, expect, it} from 'vitest'
import type {ExchangeEvent} from '../../../src/domain/dhcp/control.ts'
import type {Directive, Lease} from '../../../src/domain/dhcp/lease.ts'
import {Failure} from '../../../src/errors.ts'
import {controlSession, watchers} from '../../../src/services/dhcp/control.ts'
import {createEngine, type Departure, type EngineOutside} from '../../../src/services/dhcp/engine.ts'
import {forcerenewer} from '../../../src/services/dhcp/forcerenew.ts'
import {exchangeLine, limitedWarnings, logLine} from '../../../src/services/dhcp/log.ts'
import {type Dhcp, parseDhcp, serializeDhcp} from '../../../src/wire/dhcp.ts'
import {verifyReconfigure} from '../../../src/wire/dhcp-auth.ts'
import {
  DHCPACK,
  DHCPDISCOVER,
  DHCPFORCERENEW,
  DHCPINFORM,
  DHCPNAK,
  DHCPOFFER,
  DHCPRELEASE,
  DHCPREQUEST,
} from '../../../src/wire/dhcp-options.ts'
import {
  booksFor,
  clientMessage,
  factsFor,
  NOW,
  type Options,
  option,
  SERVER,
  STRANGER,
  VM_IP,
  VM_MAC,
} from '../../domain/dhcp/maker.ts'
import {captureFrames, udpPayloadOf} from '../../support/captures.ts'

/** An engine in memory: what it stores, sends and says is looked at; time is moved by hand. */
function engineFor(over: Partial<EngineOutside> = {}) {
  const log: string[] = []
  const sent: Departure[] = []
  const events: ExchangeEvent[] = []
  const stored = {leases: [] as Lease[], directives: [] as Directive[]}
  const timers: {atMs: number; fn: () => void; live: boolean}[] = []
  const clock = {nowMs: NOW, failCommits: false}
  const outside: EngineOutside = {
    now: () => BigInt(clock.nowMs) * 1_000_000n,
    newNonce: () => 'ab'.repeat(16),
    commit(leases, directives = []) {
      log.push('commit')
      if (clock.failCommits) throw new Failure('runtime', 'the disk is full')
      stored.leases.push(...leases)
      stored.directives.push(...directives)
    },
    send(departures) {
      log.push('send')
      sent.push(...departures)
    },
    probe: undefined,
    report: (event) => void events.push(event),
    warn: (key) => void log.push(`warn ${key}`),
    maximum: 1472,
    ...over,
  }
  const facts = factsFor()
  const engine = createEngine(facts, booksFor(facts), [], outside)
  const renewer = forcerenewer(engine, outside, (ms, fn) => {
    const timer = {atMs: clock.nowMs + ms, fn, live: true}
    timers.push(timer)
    return {
      cancel() {
        timer.live = false
      },
    }
  })
  const pass = (ms: number): void => {
    clock.nowMs += ms
    for (const timer of timers.filter(({atMs, live}) => live && atMs <= clock.nowMs)) {
      timer.live = false
      timer.fn()
    }
  }
  const deliver = async (...messages: (Dhcp | [Dhcp, string])[]): Promise<Dhcp[]> => {
    sent.length = 0
    engine.receive(
      messages.map((each) => {
        const [message, destination] = Array.isArray(each) ? each : [each, '255.255.255.255']
        return {payload: serializeDhcp(message), destination}
      }),
    )
    await settled()
    return sent.map(({payload}) => parseDhcp(payload))
  }
  return {engine, renewer, log, sent, events, stored, clock, pass, deliver, outside}
}

/** Whatever was stored has been settled. */
const settled = async (): Promise<void> => {
  for (let i = 0; i < 4; i++) await null
}

const types = (messages: readonly Dhcp[]) => messages.map((message) => option(message, 'messageType'))
const vmDiscover = (options: Options = {}) => clientMessage(DHCPDISCOVER, options, {chaddr: VM_MAC})
const vmSelect = (options: Options = {}, xid = 5) =>
  clientMessage(DHCPREQUEST, {requestedAddress: VM_IP, serverIdentifier: SERVER, ...options}, {chaddr: VM_MAC, xid})
const vmRenew = (xid = 6): [Dhcp, string] => [
  clientMessage(DHCPREQUEST, {forcerenewNonceCapable: [1]}, {chaddr: VM_MAC, ciaddr: VM_IP, xid}),
  SERVER,
]

describe('a batch', () => {
  it('is stored once, and before anything of it leaves', async () => {
    const {deliver, log, stored} = engineFor()
    const strangers = [1, 2].map((n) => clientMessage(DHCPDISCOVER, {}, {chaddr: `02:00:00:00:03:0${n}`}))
    expect(types(await deliver(vmDiscover(), ...strangers))).toEqual([DHCPOFFER, DHCPOFFER, DHCPOFFER])
    expect(log).toEqual(['send'])
    log.length = 0
    const select = (n: number) =>
      clientMessage(
        DHCPREQUEST,
        {requestedAddress: `10.0.0.10${n - 1}`, serverIdentifier: SERVER},
        {chaddr: `02:00:00:00:03:0${n}`},
      )
    expect(types(await deliver(vmSelect(), select(1), select(2)))).toEqual([DHCPACK, DHCPACK, DHCPACK])
    expect(log).toEqual(['commit', 'send'])
    log.length = 0
    expect(types(await deliver(vmRenew(), clientMessage(DHCPDISCOVER)))).toEqual([DHCPOFFER, DHCPACK])
    expect(log).toEqual(['send', 'commit', 'send'])
    expect(stored.leases.slice(0, 3).map(({ip, state}) => [ip, state])).toEqual([
      [VM_IP, 'bound'],
      ['10.0.0.100', 'bound'],
      ['10.0.0.101', 'bound'],
    ])
  })

  it('that cannot be stored gets no ACK, and leaves the leases as they were', async () => {
    const {deliver, engine, clock, log} = engineFor()
    await deliver(vmDiscover())
    clock.failCommits = true
    const stranger = clientMessage(DHCPDISCOVER)
    // An offer promises nothing that the disk would have to keep.
    expect(types(await deliver(vmSelect(), stranger))).toEqual([DHCPOFFER])
    expect(log).toContain('warn store')
    expect(engine.book('tenant-a').byIp(VM_IP)?.state).toBe('offered')
    expect(engine.counters.dropped()).toMatchObject({'not-stored': 1})
    clock.failCommits = false
    expect(types(await deliver(vmSelect()))).toEqual([DHCPACK])
  })
})

describe('a fresh address', () => {
  it('is offered once nobody answered for it; meanwhile the client is not answered twice', async () => {
    const asked: string[] = []
    const {promise, resolve} = Promise.withResolvers<boolean>()
    const {deliver, sent} = engineFor({probe: (ip) => [asked.push(ip), promise][1] as Promise<boolean>})
    const discover = clientMessage(DHCPDISCOVER)
    expect(await deliver(discover, discover)).toEqual([])
    resolve(false)
    await promise
    await Promise.resolve()
    expect(sent.map(({to}) => to)).toEqual([{to: 'client', ip: '10.0.0.100', mac: STRANGER}])
    expect(asked).toEqual(['10.0.0.100'])
    // A reservation has no other choice, and is not asked for.
    expect(types(await deliver(vmDiscover()))).toEqual([DHCPOFFER])
  })

  it('that somebody uses is left alone, and the client gets the next', async () => {
    const {deliver, sent, stored, log} = engineFor({probe: async (ip) => ip === '10.0.0.100'})
    await deliver(clientMessage(DHCPDISCOVER))
    await new Promise((resolve) => setImmediate(resolve))
    expect(sent.map(({to}) => to)).toEqual([{to: 'client', ip: '10.0.0.101', mac: STRANGER}])
    expect(stored.leases).toMatchObject([{ip: '10.0.0.100', state: 'declined'}])
    expect(log).toContain('warn conflict')
  })
})

describe('control', () => {
  const capable = {forcerenewNonceCapable: [1]}
  function control(parts = engineFor()) {
    const {engine, renewer, clock} = parts
    const said: Record<string, unknown>[] = []
    const watching = watchers()
    const lines = {send: (value: unknown) => said.push(value as Record<string, unknown>) * 0, close: () => {}}
    const session = controlSession(
      {
        engine,
        forcerenewer: renewer,
        nowMs: () => clock.nowMs,
        watchers: watching,
        interfaceName: 'eth0',
        sinceMs: NOW,
        residentBytes: () => 1,
      },
      lines,
    )
    const ask = (request: unknown) => {
      session.onLine(typeof request === 'string' ? request : JSON.stringify(request))
      return said.at(-1)!
    }
    return {...parts, ask, said, watching, session}
  }

  it('relocate: stores the site, and sends FORCERENEWs that the client can verify until it asks', async () => {
    const {ask, deliver, sent, stored, pass, engine} = control()
    await deliver(vmDiscover(capable))
    await deliver(vmSelect(capable, 0xaabb))
    sent.length = 0
    expect(ask({do: 'relocate', vm: 'web-07', site: 'y'})).toMatchObject({
      ok: true,
      router: '10.0.0.2',
      trigger: 'forcerenew',
      renewsBy: new Date(NOW + 1_800_000).toISOString(),
    })
    expect(stored.directives).toEqual([{segment: 'tenant-a', mac: VM_MAC, site: 'y', nak: false}])
    expect(sent).toMatchObject([{to: {to: 'client', ip: VM_IP, mac: VM_MAC}}])
    const message = parseDhcp(sent[0]!.payload)
    expect([option(message, 'messageType'), message.xid]).toEqual([DHCPFORCERENEW, 0xaabb])
    expect(verifyReconfigure(sent[0]!.payload, Uint8Array.from(Buffer.from('ab'.repeat(16), 'hex')))).toBe(true)
    pass(999)
    expect(sent.length).toBe(1)
    pass(1)
    pass(2000)
    expect(sent.length).toBe(3)
    const replays = sent.map(({payload}) => option(parseDhcp(payload), 'authentication')!.replay)
    expect(replays).toEqual([...replays].sort((a, b) => Number(a - b)))
    expect(new Set(replays).size).toBe(3)
    const [ack] = await deliver(vmRenew(0xccdd))
    expect(option(ack, 'router')).toEqual(['10.0.0.2'])
    pass(60_000)
    expect(sent.length).toBe(1)
    // The next one carries the xid of the renewal.
    ask({do: 'forcerenew', vm: VM_IP})
    expect(parseDhcp(sent[1]!.payload).xid).toBe(0xccdd)
    expect(engine.counters.sent()).toMatchObject({DHCPFORCERENEW: 4})
  })

  it('relocate: says what a client that takes none will do', async () => {
    const {ask, deliver, sent} = control()
    expect(ask({do: 'relocate', vm: 'web-07', site: 'y'})).toMatchObject({
      ok: true,
      trigger: 'none',
      router: '10.0.0.2',
    })
    await deliver(vmDiscover())
    const [ack] = await deliver(vmSelect())
    expect(option(ack, 'router')).toEqual(['10.0.0.2'])
    sent.length = 0
    expect(ask({do: 'relocate', vm: VM_MAC, site: 'x'})).toMatchObject({trigger: 'renewal', site: 'x'})
    expect(ask({do: 'forcerenew', vm: 'web-07'})).toMatchObject({ok: false, error: {kind: 'refused'}})
    expect(sent).toEqual([])
  })

  it('nak: the next renewal is refused, once', async () => {
    const {ask, deliver, stored} = control()
    await deliver(vmDiscover(), vmSelect())
    expect(ask({do: 'nak', vm: 'web-07'})).toMatchObject({ok: true, trigger: 'nak'})
    expect(types(await deliver(vmRenew()))).toEqual([DHCPNAK])
    expect(stored.directives.map(({nak}) => nak)).toEqual([true, false])
    expect(types(await deliver(vmRenew()))).toEqual([DHCPACK])
  })

  it('transaction: all that a sender needs; a reserved replay value is stored and never told twice', async () => {
    const {ask, deliver, stored} = control()
    expect(ask({do: 'transaction', vm: 'web-07'})).toMatchObject({
      ok: false,
      error: {message: 'web-07 has no lease here'},
    })
    await deliver(vmDiscover(capable), vmSelect(capable, 0x1234))
    const [one, two] = [1, 2].map(() => ask({do: 'transaction', vm: 'web-07', reserveReplay: true}) as {replay: string})
    expect(one).toMatchObject({ip: VM_IP, mac: VM_MAC, xid: '0x00001234', nonce: 'ab'.repeat(16), capable145: true})
    expect(BigInt(two!.replay)).toBeGreaterThan(BigInt(one!.replay))
    expect(stored.leases.at(-1)?.replay).toBe(BigInt(two!.replay))
  })

  it('leases: in pages; status: what came and what became of it', async () => {
    const {ask, deliver} = control()
    await deliver(vmDiscover(), vmSelect(), clientMessage(DHCPDISCOVER), clientMessage(DHCPDISCOVER, {}, {op: 2}))
    const first = ask({do: 'leases', limit: 1}) as {leases: {ip: string}[]; next: number}
    const second = ask({do: 'leases', limit: 1, after: first.next}) as {leases: {ip: string}[]; next?: number}
    expect([...first.leases, ...second.leases].map(({ip}) => ip)).toEqual([VM_IP, '10.0.0.100'])
    expect(second.next).toBeUndefined()
    expect(ask({do: 'status'})).toMatchObject({
      received: {DHCPDISCOVER: 2, DHCPREQUEST: 1},
      sent: {DHCPOFFER: 2, DHCPACK: 1},
      dropped: {'not-a-request': 1},
      segments: [{segment: 'tenant-a', pool: {size: 4, free: 3}, bound: 1}, {segment: 'tenant-b'}],
    })
  })

  it('watch: exchanges of one VM, and of nobody else, to those who asked', async () => {
    const {ask, deliver, said, events, watching, session} = control()
    expect(ask({do: 'watch', vm: 'web-07'})).toEqual({ok: true, watching: true})
    await deliver(vmDiscover(), clientMessage(DHCPDISCOVER))
    for (const event of events) watching.tell(event)
    expect(said.slice(1)).toMatchObject([
      {event: {vm: 'web-07', message: 'DHCPDISCOVER', answer: 'DHCPOFFER', router: '10.0.0.1'}},
    ])
    session.onClose()
    expect(watching.size).toBe(0)
  })

  it.each([
    ['{', 'the request is not JSON (want one object a line, {"do": "status"})'],
    [[], '"do" must be one of relocate, nak, forcerenew, transaction, leases, status, watch'],
    [{do: 'stop'}, '"do" must be one of relocate, nak, forcerenew, transaction, leases, status, watch'],
    [{do: 'status', loud: 1}, 'status has no "loud"'],
    [{do: 'leases', limt: 1}, 'leases has no "limt" (did you mean "limit"?)'],
    [{do: 'leases', limit: 0}, 'leases: "limit" is not a whole number from 1 to 1000'],
    [{do: 'relocate', vm: 'web-07', site: 'y', trigger: 'yes'}, 'relocate: "trigger" is not true or false'],
    [{do: 'toString'}, '"do" must be one of relocate'],
    ['null', '"do" must be one of relocate'],
    [{do: 'nak'}, 'nak: "vm" is not a text of 1 to 255 characters'],
    [{do: 'nak', vm: 'web-08'}, 'no VM "web-08" here (did you mean "web-07"?)'],
    [{do: 'nak', vm: '10.0.0.99'}, 'no VM "10.0.0.99" here (no lease and no reservation)'],
    [{do: 'relocate', vm: 'web-07', site: 'q'}, 'site "q" has no router on segment tenant-a (known: x, y)'],
    [{do: 'leases', segment: 'tenant'}, 'no segment "tenant" here (did you mean "tenant-a"?)'],
    ['x'.repeat(20_000), 'the request is longer than 16384 bytes'],
  ])('answers %j with an error', (request, message) => {
    expect(control().ask(request)).toMatchObject({
      ok: false,
      error: {kind: 'usage', message: expect.stringContaining(message)},
    })
  })

  it('reports a store that fails as the answer to the request', async () => {
    const parts = control()
    parts.clock.failCommits = true
    expect(parts.ask({do: 'relocate', vm: 'web-07', site: 'y'})).toEqual({
      ok: false,
      error: {kind: 'runtime', message: 'the disk is full'},
    })
    expect(parts.engine.directive('tenant-a', VM_MAC)).toBeUndefined()
  })
})

describe('strange packets', () => {
  /** Reproducible numbers below `n`. */
  function numbers(seed: string) {
    let pool: number[] = []
    let round = 0
    return (n: number): number => {
      if (pool.length < 4) pool = [...createHash('sha512').update(`${seed}${round++}`).digest()]
      return pool.splice(0, 4).reduce((a, b) => a * 256 + b, 0) % n
    }
  }

  it('100,000 mutated messages, most of them of real clients, are answered or dropped with a reason, and none is an exception', async () => {
    const {engine, sent, stored, events} = engineFor()
    const made = [
      vmDiscover({forcerenewNonceCapable: [1], parameterRequestList: [1, 3, 6, 121], hostName: 'web'}),
      vmSelect({clientIdentifier: Uint8Array.of(1, 2, 3)}),
      vmRenew()[0],
      clientMessage(DHCPINFORM, {}, {ciaddr: '10.0.0.44'}),
      clientMessage(DHCPRELEASE, {serverIdentifier: SERVER}, {ciaddr: VM_IP, chaddr: VM_MAC}),
      clientMessage(
        DHCPDISCOVER,
        {relayAgentInformation: [{code: 1, data: Uint8Array.of(1)}]},
        {giaddr: '10.1.0.254', hops: 1},
      ),
    ].map((message) => serializeDhcp(message))
    const recorded = ['dhcpcd', 'udhcpc'].flatMap((name) =>
      captureFrames(name).flatMap(({bytes}) => udpPayloadOf(bytes, 67) ?? []),
    )
    expect(recorded.length).toBeGreaterThan(8)
    const seeds = [...recorded, ...made]
    const below = numbers('dhcp')
    let replies = 0
    for (let i = 0; i < 100_000; i++) {
      let payload = Uint8Array.from(seeds[i % seeds.length]!)
      for (let change = below(6); change >= 0; change--) payload[below(payload.length)] = below(256)
      if (below(5) === 0) payload = payload.subarray(0, below(payload.length + 1))
      sent.length = 0
      engine.receive([{payload, destination: below(2) === 0 ? SERVER : '255.255.255.255'}])
      await settled()
      for (const {payload: reply} of sent) expect(parseDhcp(reply).op).toBe(2)
      replies += sent.length
      stored.leases.length = events.length = 0
    }
    const dropped = Object.values(engine.counters.dropped()).reduce((a, b) => a + b, 0)
    expect(replies + dropped).toBeGreaterThan(90_000)
    expect(replies).toBeGreaterThan(1000)
    expect(Object.keys(engine.counters.dropped())).toEqual(
      expect.arrayContaining(['truncated', 'bad-option', 'malformed', 'not-ethernet']),
    )
  }, 60_000)

  it('a flood of unknown MACs holds no more than the pool, and one warning', async () => {
    const {engine, log, deliver} = engineFor()
    for (let i = 0; i < 5000; i++) {
      await deliver(
        clientMessage(
          DHCPDISCOVER,
          {},
          {chaddr: `02:11:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`},
        ),
      )
    }
    expect([...engine.book('tenant-a').all()].length).toBe(4)
    expect(engine.counters.dropped()).toMatchObject({'pool-exhausted': 4996})
    expect(log.filter((line) => line === 'warn pool-exhausted').length).toBe(4996)
    // A VM with a reservation is served all the same.
    expect(types(await deliver(vmDiscover()))).toEqual([DHCPOFFER])
  })
})

describe('the log', () => {
  it('is a line an exchange, safe to read', async () => {
    const {deliver, events} = engineFor()
    await deliver(vmDiscover(), vmSelect())
    expect(exchangeLine(events[1]!)).toBe(
      `at=${new Date(NOW).toISOString()} event=DHCPACK to=DHCPREQUEST state=selecting vm=web-07 mac=${VM_MAC} ip=${VM_IP} router=10.0.0.1 segment=tenant-a xid=0x00000005`,
    )
    expect(logLine({a: 'b c', d: '\x1b[0m', e: undefined, f: 'x=y', g: 1})).toBe('a="b c" d="\\u001b[0m" f="x=y" g=1')
  })

  it('passes on one warning of a kind in ten seconds, and how many were held back', async () => {
    const clock = {now: 0}
    const said: [string, number][] = []
    const warn = limitedWarnings(
      () => clock.now,
      (line, held) => void said.push([line, held]),
    )
    for (let i = 0; i < 5; i++) warn('pool', `p${i}`)
    warn('other', 'o')
    clock.now = 10_000
    warn('pool', 'again')
    expect(said).toEqual([
      ['p0', 0],
      ['o', 0],
      ['again', 4],
    ])
  })
})
