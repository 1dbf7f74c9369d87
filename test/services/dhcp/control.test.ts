import {describe, expect, it} from 'vitest'
import type {ServerStatus} from '../../../src/domain/dhcp/control.ts'
import {type ControlParts, controlSession, serverStatus, watchers} from '../../../src/services/dhcp/control.ts'
import {parseDhcp} from '../../../src/wire/dhcp.ts'
import {verifyReconfigure} from '../../../src/wire/dhcp-auth.ts'
import {
  DHCPACK,
  DHCPDECLINE,
  DHCPDISCOVER,
  DHCPFORCERENEW,
  DHCPNAK,
  DHCPOFFER,
  DHCPREQUEST,
} from '../../../src/wire/dhcp-options.ts'
import {clientMessage, factsFor, NOW, option, SERVER, STRANGER, VM_IP, VM_MAC} from '../../domain/dhcp/maker.ts'
import {until} from '../../support/until.ts'
import {engineFor, types, vmDiscover, vmRenew, vmSelect} from './engine-in-memory.ts'

describe('control', () => {
  const capable = {forcerenewNonceCapable: [1]}
  function control(parts = engineFor(), more: Pick<ControlParts, 'peer'> = {}) {
    const {engine, renewer, clock} = parts
    const said: Record<string, unknown>[] = []
    const watching = watchers()
    const lines = {send: (value: unknown) => said.push(value as Record<string, unknown>) * 0, close: () => {}}
    const control = {
      ...{engine, forcerenewer: renewer, nowMs: () => clock.nowMs, watchers: watching, warn: parts.outside.warn},
      ...{interfaceName: 'eth0', sinceMs: NOW, residentBytes: () => 1},
      status: (): ServerStatus => serverStatus(control),
      ...more,
    }
    const session = controlSession(control, lines)
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
    expect(stored.directives).toMatchObject([
      {segment: 'tenant-a', mac: VM_MAC, site: 'y', nak: false, inventorySite: ''},
    ])
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

  it('site: tells who said where a VM is, and relocate takes back what was said', () => {
    const {ask, stored} = control()
    const before = ask({do: 'site', vm: 'web-07'})
    expect(before).toEqual({ok: true, vm: 'web-07', said: undefined, site: undefined, router: '10.0.0.1'})
    ask({do: 'relocate', vm: 'web-07', site: 'y', trigger: false})
    expect(ask({do: 'site', vm: VM_MAC})).toMatchObject({said: 'y', site: 'y', router: '10.0.0.2'})
    expect(ask({do: 'relocate', vm: 'web-07', site: null, trigger: false})).toMatchObject({router: before.router})
    expect(ask({do: 'site', vm: 'web-07'})).toEqual(before)
    expect(stored.directives.at(-1)).toMatchObject({segment: 'tenant-a', mac: VM_MAC, site: undefined, nak: false})
  })

  it('relocate: withdraws an order to refuse the next renewal, which was for another router', async () => {
    const {ask, deliver, stored} = control()
    await deliver(vmDiscover(), vmSelect())
    ask({do: 'relocate', vm: 'web-07', site: 'y', trigger: false})
    expect(ask({do: 'nak', vm: 'web-07'})).toMatchObject({trigger: 'nak', site: 'y'})
    expect(ask({do: 'relocate', vm: 'web-07', site: 'x', trigger: false})).toMatchObject({trigger: 'renewal'})
    expect(stored.directives.at(-1)).toMatchObject({site: 'x', nak: false})
    expect(types(await deliver(vmRenew()))).toEqual([DHCPACK])
  })

  it('nak: is done with when the client begins anew by itself, and that is stored with its lease', async () => {
    const {ask, deliver, stored, clock, engine} = control()
    expect(ask({do: 'nak', vm: 'web-07'})).toMatchObject({ok: true, trigger: 'none'})
    clock.failCommits = true
    expect(types(await deliver(vmDiscover(), vmSelect()))).toEqual([DHCPOFFER])
    expect(engine.directive('tenant-a', VM_MAC)?.nak).toBe(true)
    clock.failCommits = false
    expect(types(await deliver(vmSelect()))).toEqual([DHCPACK])
    expect([stored.leases.length, stored.directives.at(-1)?.nak]).toEqual([1, false])
    expect(types(await deliver(vmRenew()))).toEqual([DHCPACK])
  })

  it('tells the T1 that the client was given, whatever is configured by now, and when it is overdue', async () => {
    const before = control(engineFor({}, factsFor({leaseS: 86_400})))
    await before.deliver(vmDiscover(), vmSelect())
    const after = control(engineFor({}, factsFor({leaseS: 86_400, t1S: 10}), before.books))
    const renewsBy = new Date(NOW + 43_200_000).toISOString()
    after.pass(60_000)
    expect(after.ask({do: 'transaction', vm: 'web-07'})).toMatchObject({renewsBy, renewsEvery: 43_200})
    expect(after.ask({do: 'relocate', vm: 'web-07', site: 'y'})).toMatchObject({renewsBy, trigger: 'renewal'})
    after.pass(50_000_000)
    expect(after.ask({do: 'transaction', vm: 'web-07'})).toMatchObject({renewsBy, renewsEvery: 43_200})
    await after.deliver(vmRenew())
    expect(after.ask({do: 'transaction', vm: 'web-07'})).toMatchObject({renewsEvery: 10})
  })

  it('tells what the client says it is', async () => {
    const {ask, deliver} = control()
    await deliver(vmDiscover(), vmSelect({vendorClassIdentifier: 'udhcp 1.35.0'}))
    expect(ask({do: 'transaction', vm: 'web-07'})).toMatchObject({kind: 'udhcpc', renewsEvery: 1800})
    await deliver(vmRenew())
    expect(ask({do: 'transaction', vm: 'web-07'}).kind).toBeUndefined()
  })

  it('finds a client by name, address and MAC, also one with an identifier of its own, and without a search', async () => {
    const {ask, deliver, engine} = control()
    engine.book('tenant-a').all = () => {
      throw new Error('looks through all leases')
    }
    const id = {clientIdentifier: Uint8Array.of(255, 1, 2, 3)}
    const requestedAddress = '10.0.0.100'
    const stranger = clientMessage(DHCPREQUEST, {requestedAddress, serverIdentifier: SERVER, ...id})
    await deliver(vmDiscover(), vmSelect(), clientMessage(DHCPDISCOVER, id), stranger)
    for (const vm of ['web-07', VM_IP, VM_MAC]) expect(ask({do: 'transaction', vm})).toMatchObject({ip: VM_IP})
    for (const vm of [requestedAddress, STRANGER, STRANGER.replaceAll(':', '-').toUpperCase()])
      expect(ask({do: 'transaction', vm})).toMatchObject({ip: requestedAddress, mac: STRANGER})
    await deliver(clientMessage(DHCPDECLINE, {requestedAddress, serverIdentifier: SERVER, ...id}))
    for (const vm of [requestedAddress, STRANGER])
      expect(ask({do: 'transaction', vm})).toMatchObject({error: {message: expect.stringContaining('no VM')}})
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

  it('watch: ends with the connection, also where it waited for an answer before it', async () => {
    const told = Promise.withResolvers<'unreachable'>()
    const peer = {tell: () => told.promise, status: () => ({peer: '', connected: true, since: '', lastSequence: 0})}
    const {ask, said, watching, session} = control(engineFor(), {peer})
    ask({do: 'relocate', vm: 'web-07', site: 'y'})
    ask({do: 'watch'})
    session.onClose()
    told.resolve('unreachable')
    await until(async () => said.length === 2, 1000, 'both are answered')
    await null
    expect(watching.size).toBe(0)
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
    [[], '"do" must be one of relocate, site, nak, forcerenew, transaction, leases, status, watch'],
    [{do: 'stop'}, '"do" must be one of relocate, site, nak, forcerenew, transaction, leases, status, watch'],
    [{do: 'status', loud: 1}, 'status has no "loud"'],
    [{do: 'leases', limt: 1}, 'leases has no "limt" (did you mean "limit"?)'],
    [{do: 'leases', limit: 0}, 'leases: "limit" is not a whole number from 1 to 1000'],
    [{do: 'relocate', vm: 'web-07', site: 'y', trigger: 'yes'}, 'relocate: "trigger" is not true or false'],
    [{do: 'toString'}, '"do" must be one of relocate'],
    ['null', '"do" must be one of relocate'],
    ['"status"', '"do" must be one of relocate'],
    [{do: {toString: 1}}, '"do" must be one of relocate'],
    [{do: {toString: null, valueOf: null}}, '"do" must be one of relocate'],
    [{do: ['status']}, '"do" must be one of relocate'],
    [{do: null}, '"do" must be one of relocate'],
    ['{"do": "status", "__proto__": 1}', 'status has no "__proto__"'],
    [{do: 'nak', vm: ['web-07']}, 'nak: "vm" is not a text of 1 to 255 characters'],
    [{do: 'nak', vm: {toString: 1}}, 'nak: "vm" is not a text of 1 to 255 characters'],
    [{do: 'watch', vm: null}, 'watch: "vm" is not a text of 1 to 255 characters'],
    [{do: 'relocate', vm: 'web-07', site: {length: 3}}, 'relocate: "site" is not a text of 1 to 255 characters'],
    [{do: 'relocate', vm: 'web-07', site: 'y', trigger: null}, 'relocate: "trigger" is not true or false'],
    [{do: 'transaction', vm: 'web-07', reserveReplay: 1}, 'transaction: "reserveReplay" is not true or false'],
    [{do: 'leases', segment: 1}, 'leases: "segment" is not a text of 1 to 255 characters'],
    [{do: 'leases', after: '0'}, 'leases: "after" is not a whole number from 0 to 1000000000'],
    [{do: 'leases', after: [1]}, 'leases: "after" is not a whole number from 0 to 1000000000'],
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

  it('answers what met a bug with an error too, says where, and goes on', () => {
    const {ask, log, engine} = control()
    Object.assign(engine.counters, {
      sent() {
        throw new TypeError('a bug')
      },
    })
    expect(ask({do: 'status'})).toEqual({ok: false, error: {kind: 'runtime', message: 'internal error: a bug'}})
    expect(log).toEqual(['warn internal'])
    expect(ask({do: 'leases'})).toMatchObject({ok: true})
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
