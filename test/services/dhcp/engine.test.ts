import {createHash} from 'node:crypto'
import {describe, expect, it} from 'vitest'
import type {Holder} from '../../../src/domain/dhcp/conflict.ts'
import {exchangeLine, limitedWarnings, logLine} from '../../../src/services/dhcp/log.ts'
import {parseDhcp, serializeDhcp} from '../../../src/wire/dhcp.ts'
import {DHCPACK, DHCPDISCOVER, DHCPINFORM, DHCPOFFER, DHCPRELEASE, DHCPREQUEST} from '../../../src/wire/dhcp-options.ts'
import {localStamp} from '../../../src/wire/local-time.ts'
import {booksFor, clientMessage, factsWithVmAt, NOW, SERVER, STRANGER, VM_IP, VM_MAC} from '../../domain/dhcp/maker.ts'
import {captureFrames, udpPayloadOf} from '../../support/captures.ts'
import {engineFor, settled, types, vmDiscover, vmRenew, vmSelect} from './engine-in-memory.ts'

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
  const SQUATTER: Holder = {mac: '02:00:00:00:00:55'}

  it('is offered once nobody answered for it; meanwhile the client is not answered twice', async () => {
    const asked: string[] = []
    const {promise, resolve} = Promise.withResolvers<Holder | undefined>()
    const {deliver, sent} = engineFor({probe: (ip) => [asked.push(ip), promise][1] as Promise<Holder | undefined>})
    const discover = clientMessage(DHCPDISCOVER)
    expect(await deliver(discover, discover)).toEqual([])
    resolve(undefined)
    await promise
    await Promise.resolve()
    expect(sent.map(({to}) => to)).toEqual([{to: 'client', ip: '10.0.0.100', mac: STRANGER}])
    expect(asked).toEqual(['10.0.0.100'])
    // A reservation has no other choice, and is not asked for.
    expect(types(await deliver(vmDiscover()))).toEqual([DHCPOFFER])
  })

  it('that somebody uses is left alone, and the client gets the next', async () => {
    const {deliver, sent, stored, log} = engineFor({probe: async (ip) => (ip === '10.0.0.100' ? SQUATTER : undefined)})
    await deliver(clientMessage(DHCPDISCOVER))
    await new Promise((resolve) => setImmediate(resolve))
    expect(sent.map(({to}) => to)).toEqual([{to: 'client', ip: '10.0.0.101', mac: STRANGER}])
    expect(stored.leases).toMatchObject([{ip: '10.0.0.100', state: 'declined'}])
    expect(log).toContain('warn conflict')
  })

  it('that somebody uses is left alone also while nothing can be stored', async () => {
    const {deliver, sent, stored, log, clock, engine} = engineFor({
      probe: async (ip) => (ip === '10.0.0.100' ? SQUATTER : undefined),
    })
    clock.failCommits = true
    await deliver(clientMessage(DHCPDISCOVER))
    await new Promise((resolve) => setImmediate(resolve))
    expect(sent.map(({to}) => to)).toEqual([{to: 'client', ip: '10.0.0.101', mac: STRANGER}])
    expect([stored.leases, log.filter((line) => line.startsWith('warn'))]).toEqual([
      [],
      ['warn conflict', 'warn store'],
    ])
    expect(engine.book('tenant-a').byIp('10.0.0.100')?.state).toBe('declined')
  })

  it('is a warning, and not the end, where the answer to the question meets a bug', async () => {
    const send = (): never => {
      throw new TypeError('a bug')
    }
    const {deliver, log} = engineFor({probe: async () => undefined, send})
    await deliver(clientMessage(DHCPDISCOVER))
    expect(log).toEqual(['warn internal'])
  })

  it('is not offered where nobody could be asked, not even when the client asks again', async () => {
    const {deliver, log, engine} = engineFor({probe: () => Promise.reject(new Error('the interface is down'))})
    for (let i = 1; i <= 2; i++) {
      expect(await deliver(clientMessage(DHCPDISCOVER))).toEqual([])
      expect(log).toEqual(Array(i).fill('warn probe'))
    }
    expect([...engine.book('tenant-a').all()]).toEqual([])
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
      expect.arrayContaining(['truncated', 'malformed', 'not-ethernet']),
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
      `at=${localStamp(NOW)} event=DHCPACK to=DHCPREQUEST state=selecting vm=web-07 mac=${VM_MAC} ip=${VM_IP} router=10.0.0.1 segment=tenant-a xid=0x00000005`,
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

it('a server that starts with a newer site in its inventory forgets what was said of the VM before, for good', () => {
  const facts = factsWithVmAt('z')
  const said = {segment: 'tenant-a', mac: VM_MAC, site: 'y', inventorySite: 'x', nak: false}
  const {stored, engine} = engineFor({}, facts, booksFor(facts), [said])
  expect(stored.directives).toMatchObject([{...said, site: undefined}])
  expect(engine.directive('tenant-a', VM_MAC)?.site).toBeUndefined()
})

it('a FORCERENEW is not sent again for a segment that is not served any more since a reload', async () => {
  const {engine, renewer, deliver, sent, log, pass} = engineFor()
  await deliver(vmDiscover(), vmSelect({forcerenewNonceCapable: [1]}))
  sent.length = 0
  renewer.start(engine.book('tenant-a').byIp(VM_IP)!)
  pass(1000)
  expect(sent.length).toBe(2)
  engine.reload({...engine.facts, scopes: new Map()}, new Map())
  pass(2000)
  expect([sent.length, log.filter((line) => line.startsWith('warn'))]).toEqual([2, []])
})
