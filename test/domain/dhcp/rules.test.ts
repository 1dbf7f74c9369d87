import {describe, expect, it} from 'vitest'
import {type Directive, type Lease, renewsAtMs} from '../../../src/domain/dhcp/lease.ts'
import {serializeReply} from '../../../src/domain/dhcp/reply.ts'
import type {ClientRequest} from '../../../src/domain/dhcp/request.ts'
import {answer, DECLINED_RESERVATION_MS, nextReplay, OFFER_MS} from '../../../src/domain/dhcp/rules.ts'
import type {ServeRequest} from '../../../src/domain/dhcp/serve-request.ts'
import {parseDhcp, serializeDhcp} from '../../../src/wire/dhcp.ts'
import {readReconfigureNonce} from '../../../src/wire/dhcp-auth.ts'
import {
  DHCPACK,
  DHCPDECLINE,
  DHCPDISCOVER,
  DHCPINFORM,
  DHCPNAK,
  DHCPOFFER,
  DHCPRELEASE,
  DHCPREQUEST,
} from '../../../src/wire/dhcp-options.ts'
import {booksFor, clientRequest, factsFor, NOW, option, SERVER, STRANGER, VM_IP, VM_MAC} from './maker.ts'

/** A server whose clock stands still until it is moved, and whose nonces can be told apart. */
function server(over: Partial<ServeRequest> = {}) {
  const facts = factsFor(over)
  const books = booksFor(facts)
  let nonces = 0
  const state = {nowMs: NOW, directive: undefined as Directive | undefined, segment: facts.local}
  const ask = (request: ClientRequest) => {
    const given = answer({
      request,
      scope: facts.scopes.get(state.segment)!,
      serverIdentifier: request.relay.serverIdOverride ?? facts.serverIdentifier,
      ownIdentifier: facts.serverIdentifier,
      leases: books.get(state.segment)!,
      directive: state.directive,
      nowMs: state.nowMs,
      nowNs: () => BigInt(state.nowMs) * 1_000_000n,
      newNonce: () => `${++nonces}`.padStart(32, '0'),
    })
    if (given.lease) books.get(state.segment)!.put(given.lease)
    return {...given, message: given.reply?.message}
  }
  return {state, ask, book: books.get(facts.local)!, put: (lease: Lease) => books.get(facts.local)!.put(lease)}
}

const discover = (options = {}, header = {}) => clientRequest(DHCPDISCOVER, options, header)
const select = (ip: string, options = {}, header = {}) =>
  clientRequest(DHCPREQUEST, {requestedAddress: ip, serverIdentifier: SERVER, ...options}, header)
const reboot = (ip: string, options = {}, header = {}) =>
  clientRequest(DHCPREQUEST, {requestedAddress: ip, ...options}, header)
const renew = (ip: string, options = {}, header = {}) =>
  clientRequest(DHCPREQUEST, options, {ciaddr: ip, ...header}, SERVER)
const rebind = (ip: string, options = {}, header = {}) => clientRequest(DHCPREQUEST, options, {ciaddr: ip, ...header})
const VM = {chaddr: VM_MAC}

describe('DISCOVER', () => {
  it('offers a VM its own address with the router of the site it is in, and asks nobody first', () => {
    const {ask, state} = server()
    const first = ask(discover({}, VM))
    expect(first.message).toMatchObject({op: 2, yiaddr: VM_IP, xid: 0x1122_3344, chaddr: VM_MAC})
    expect([option(first.message, 'messageType'), option(first.message, 'router')]).toEqual([DHCPOFFER, ['10.0.0.1']])
    expect(first.probe).toBeUndefined()
    state.directive = {segment: 'tenant-a', mac: VM_MAC, site: 'y', nak: false}
    expect(option(ask(discover({}, VM)).message, 'router')).toEqual(['10.0.0.2'])
  })

  it('offers a stranger a free address, asked for first, and the same again while it is held', () => {
    const {ask, state} = server()
    const first = ask(discover())
    expect([first.ip, first.probe]).toEqual(['10.0.0.100', '10.0.0.100'])
    expect(first.lease).toMatchObject({state: 'offered', expiresAtMs: NOW + OFFER_MS})
    const again = ask(discover())
    expect([again.ip, again.probe]).toEqual(['10.0.0.100', undefined])
    expect(ask(discover({}, {chaddr: '02:00:00:00:00:98'})).ip).toBe('10.0.0.101')
    state.nowMs += OFFER_MS + 1
    expect(ask(discover({requestedAddress: '10.0.0.103'})).ip).toBe('10.0.0.100')
  })

  it('asks for an address whose lease has run out before it offers it again, and while it runs, not', () => {
    const {ask, state} = server({leaseS: 3600})
    ask(discover())
    ask(select('10.0.0.100'))
    state.nowMs += 3_599_000
    expect(ask(discover())).toMatchObject({ip: '10.0.0.100', probe: undefined})
    state.nowMs += 2000
    expect(ask(discover())).toMatchObject({ip: '10.0.0.100', probe: '10.0.0.100'})
  })

  it('gives the address that a client wants, and never one that is reserved or not in the pool', () => {
    expect(server().ask(discover({requestedAddress: '10.0.0.102'})).ip).toBe('10.0.0.102')
    for (const ip of [VM_IP, '10.0.0.1', SERVER, '10.0.0.200', '10.9.9.9']) {
      expect(server().ask(discover({requestedAddress: ip})).ip).toBe('10.0.0.100')
    }
  })

  it('says nothing once the pool is exhausted, and offers again when an offer has lapsed', () => {
    const {ask, state} = server()
    for (let i = 0; i < 4; i++) expect(ask(discover({}, {chaddr: `02:00:00:00:01:0${i}`})).ip).toBe(`10.0.0.10${i}`)
    const late = ask(discover())
    expect([late.reply, late.reason]).toEqual([undefined, 'pool-exhausted'])
    state.nowMs += OFFER_MS + 1000
    expect(ask(discover()).ip).toBe('10.0.0.100')
  })

  it('never puts a nonce into an offer, which dhcpcd would drop', () => {
    const offer = server().ask(discover({forcerenewNonceCapable: [1]}))
    expect(option(offer.message, 'authentication')).toBeUndefined()
    expect(offer.lease).toMatchObject({capable145: true, nonce: ''})
  })
})

describe('REQUEST', () => {
  it('selecting: binds what was offered, with lease, T1, T2 and the rest', () => {
    const {ask} = server({leaseS: 3600, t1S: 10})
    ask(discover())
    const ack = ask(select('10.0.0.100', {parameterRequestList: [1, 3, 6, 28, 15]}))
    expect(ack.lease).toMatchObject({
      state: 'bound',
      ip: '10.0.0.100',
      expiresAtMs: NOW + 3_600_000,
      xid: 0x1122_3344,
      router: '10.0.0.1',
    })
    const told = (
      ['messageType', 'serverIdentifier', 'leaseTime', 'renewalTime', 'rebindingTime', 'subnetMask', 'router'] as const
    ).map((name) => option(ack.message, name))
    expect(told).toEqual([DHCPACK, SERVER, 3600, 10, 3150, '255.255.255.0', ['10.0.0.1']])
    expect([option(ack.message, 'domainNameServer'), option(ack.message, 'broadcastAddress')]).toEqual([
      ['10.0.0.53'],
      '10.0.0.255',
    ])
    expect(option(ack.message, 'domainName')).toBeUndefined()
  })

  it('selecting: refuses an address that is not theirs, and lets an offer go that was not taken', () => {
    const {ask, book} = server()
    ask(discover())
    ask(select('10.0.0.100'))
    const thief = ask(select('10.0.0.100', {}, {chaddr: '02:00:00:00:00:98'}))
    expect([thief.reply?.type, thief.reason]).toEqual([DHCPNAK, 'held-by-another'])
    expect(ask(select('10.0.0.77', {}, {chaddr: '02:00:00:00:00:98'})).reason).toBe('not-served')
    ask(discover({}, {chaddr: '02:00:00:00:00:97'}))
    const elsewhere = ask(
      clientRequest(
        DHCPREQUEST,
        {requestedAddress: '10.0.0.101', serverIdentifier: '10.0.0.4'},
        {chaddr: '02:00:00:00:00:97'},
      ),
    )
    expect([elsewhere.reply, elsewhere.reason]).toEqual([undefined, 'other-server'])
    expect(book.pick(NOW, '10.0.0.101')).toBe('10.0.0.101')
  })

  it('init-reboot: acknowledges what it knows, refuses what is wrong, is silent on what it does not know', () => {
    const {ask} = server()
    expect(ask(reboot('10.0.0.100')).reason).toBe('no-record')
    expect(ask(reboot('192.0.2.7')).reply?.type).toBe(DHCPNAK)
    ask(discover())
    ask(select('10.0.0.100'))
    expect(ask(reboot('10.0.0.100')).reply?.type).toBe(DHCPACK)
    expect(ask(reboot('10.0.0.100', {}, {chaddr: '02:00:00:00:00:98'})).reply?.type).toBe(DHCPNAK)
    // The inventory knows the VM although the server never saw it.
    expect(ask(reboot(VM_IP, {}, VM)).reply?.type).toBe(DHCPACK)
    expect(ask(reboot('10.0.0.101', {}, VM)).reason).toBe('reserved-another')
  })

  it('renewing: extends the lease, tells the new router after a move, straight to the client', () => {
    const {ask, state} = server()
    ask(discover({}, VM))
    ask(select(VM_IP, {}, VM))
    state.nowMs += 1000
    state.directive = {segment: 'tenant-a', mac: VM_MAC, site: 'y', nak: false}
    const ack = ask(renew(VM_IP, {}, {...VM, xid: 7}))
    expect(ack.reply).toMatchObject({type: DHCPACK, to: {to: 'client', ip: VM_IP, mac: VM_MAC}})
    expect([option(ack.message, 'router'), ack.message?.ciaddr]).toEqual([['10.0.0.2'], VM_IP])
    expect(ack.lease).toMatchObject({xid: 7, expiresAtMs: NOW + 1000 + 3_600_000, router: '10.0.0.2'})
  })

  it('renewing: goes on with a client that it has forgotten; rebinding: leaves it to whoever remembers', () => {
    const {ask} = server()
    expect(ask(rebind('10.0.0.102')).reason).toBe('no-record')
    expect(ask(renew('10.0.0.102')).reply?.type).toBe(DHCPACK)
    expect(ask(rebind('10.0.0.102')).reply?.type).toBe(DHCPACK)
    const foreign = ask(rebind('192.0.2.9', {}, {chaddr: '02:00:00:00:00:98'}))
    expect(foreign.reply).toMatchObject({type: DHCPNAK, to: {to: 'all'}})
    expect(foreign.message).toMatchObject({ciaddr: '0.0.0.0', yiaddr: '0.0.0.0'})
  })

  it('refuses the next renewal when told to, at the address where the client listens, and only that one', () => {
    const {ask, state} = server()
    ask(discover({}, VM))
    ask(select(VM_IP, {}, VM))
    state.directive = {segment: 'tenant-a', mac: VM_MAC, site: 'y', nak: true}
    const refused = ask(renew(VM_IP, {}, VM))
    expect(refused.reply).toMatchObject({type: DHCPNAK, to: {to: 'client', ip: VM_IP, mac: VM_MAC}})
    expect([refused.nakDone, refused.reason]).toEqual([true, 'ordered'])
    expect(ask(rebind(VM_IP, {}, VM))).toMatchObject({nakDone: true, reason: 'ordered'})
    state.directive = {...state.directive, nak: false}
    expect(ask(discover({}, VM)).ip).toBe(VM_IP)
    expect(ask(select(VM_IP, {}, VM))).toMatchObject({nakDone: false, reply: {type: DHCPACK}})
  })

  it('takes the order to refuse for done once the client begins anew by itself', () => {
    for (const begin of [select, reboot]) {
      const {ask, state} = server()
      state.directive = {segment: 'tenant-a', mac: VM_MAC, site: 'y', nak: true}
      expect(ask(discover({}, VM)).nakDone).toBe(false)
      const ack = ask(begin(VM_IP, {}, VM))
      expect([ack.reply?.type, ack.nakDone, ack.router]).toEqual([DHCPACK, true, '10.0.0.2'])
      // One that is refused has not begun.
      expect(ask(begin('192.0.2.7', {}, VM)).nakDone).toBe(false)
    }
  })

  it('keeps which T1 the client was given, and what it says it is', () => {
    const {ask} = server({leaseS: 3600, t1S: 10})
    expect(ask(discover({vendorClassIdentifier: 'udhcp 1.35.0'}, VM)).lease).toMatchObject({t1S: 0, kind: ''})
    const dhclient = {parameterRequestList: [1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42]}
    expect(ask(select(VM_IP, dhclient, VM)).lease).toMatchObject({t1S: 10, kind: 'dhclient'})
    const udhcpc = ask(renew(VM_IP, {vendorClassIdentifier: 'udhcp 1.35.0'}, VM)).lease!
    expect([udhcpc.kind, renewsAtMs(udhcpc)]).toEqual(['udhcpc', NOW + 1_800_000])
    const other = ask(renew(VM_IP, {}, VM)).lease!
    expect([other.kind, renewsAtMs(other)]).toEqual(['', NOW + 10_000])
  })
})

describe('the nonce of RFC 6704', () => {
  const capable = {forcerenewNonceCapable: [1]}
  const nonceIn = (message: ReturnType<ReturnType<typeof server>['ask']>['message']) => {
    const found = option(message, 'authentication')
    const key = found && readReconfigureNonce(found)
    return key && Buffer.from(key).toString('hex')
  }

  it('goes to a client that starts and advertised 145, in the ACK alone, and not into a plain renewal', () => {
    const {ask} = server()
    ask(discover(capable))
    const ack = ask(select('10.0.0.100', capable))
    expect(nonceIn(ack.message)).toBe('1'.padStart(32, '0'))
    expect(ack.lease).toMatchObject({nonce: '1'.padStart(32, '0'), replay: BigInt(NOW) * 1_000_000n})
    const renewed = ask(renew('10.0.0.100', capable, {xid: 2}))
    expect(nonceIn(renewed.message)).toBeUndefined()
    expect(renewed.lease?.nonce).toBe('1'.padStart(32, '0'))
    // A restart of the client: it has lost the key.
    expect(nonceIn(ask(reboot('10.0.0.100', capable, {xid: 3})).message)).toBe('2'.padStart(32, '0'))
  })

  it('is the same again for a client that repeats its request because the ACK was lost', () => {
    const {ask} = server()
    ask(discover(capable))
    const [one, two] = [ask(select('10.0.0.100', capable)), ask(select('10.0.0.100', capable))]
    expect(nonceIn(two.message)).toBe(nonceIn(one.message))
    expect(two.lease!.replay).toBeGreaterThan(one.lease!.replay)
  })

  it('goes to nobody who did not ask for it, also if the algorithm is another', () => {
    for (const options of [{}, {forcerenewNonceCapable: [2]}]) {
      const {ask} = server()
      ask(discover(options))
      const ack = ask(select('10.0.0.100', options))
      expect(nonceIn(ack.message)).toBeUndefined()
      expect(ack.lease).toMatchObject({capable145: false, nonce: ''})
    }
  })

  it('has replay values that grow though the clock goes back', () => {
    expect(nextReplay(5n, 9n)).toBe(9n)
    expect(nextReplay(9n, 5n)).toBe(10n)
    expect(nextReplay(9n, 9n)).toBe(10n)
  })
})

describe('DECLINE, RELEASE, INFORM', () => {
  it('leaves a declined address alone, and a reservation for a while', () => {
    const {ask, state} = server()
    ask(discover())
    ask(select('10.0.0.100'))
    const refused = ask(clientRequest(DHCPDECLINE, {requestedAddress: '10.0.0.100', serverIdentifier: SERVER}))
    expect(refused.lease?.state).toBe('declined')
    expect(refused.reply).toBeUndefined()
    expect(ask(discover({requestedAddress: '10.0.0.100'})).ip).toBe('10.0.0.101')
    ask(discover({}, VM))
    ask(select(VM_IP, {}, VM))
    ask(clientRequest(DHCPDECLINE, {requestedAddress: VM_IP, serverIdentifier: SERVER}, VM))
    expect(ask(discover({}, VM)).reason).toBe('reservation-in-use')
    state.nowMs += DECLINED_RESERVATION_MS + 1
    expect(ask(discover({}, VM)).ip).toBe(VM_IP)
  })

  it('heeds DECLINE and RELEASE from the holder alone, and for this server alone', () => {
    const {ask, book} = server()
    ask(discover())
    ask(select('10.0.0.100'))
    const other = {chaddr: '02:00:00:00:00:98'}
    expect(
      ask(clientRequest(DHCPDECLINE, {requestedAddress: '10.0.0.100', serverIdentifier: SERVER}, other)).reason,
    ).toBe('not-its-own')
    expect(
      ask(clientRequest(DHCPRELEASE, {serverIdentifier: SERVER}, {...other, ciaddr: '10.0.0.100'}, SERVER)).reason,
    ).toBe('not-its-own')
    expect(ask(clientRequest(DHCPRELEASE, {serverIdentifier: '10.0.0.4'}, {ciaddr: '10.0.0.100'}, SERVER)).reason).toBe(
      'other-server',
    )
    expect(book.byIp('10.0.0.100')?.state).toBe('bound')
    const released = ask(clientRequest(DHCPRELEASE, {serverIdentifier: SERVER}, {ciaddr: '10.0.0.100'}, SERVER))
    expect([released.reply, released.lease?.state]).toEqual([undefined, 'released'])
    expect(book.pick(NOW, '10.0.0.100')).toBe('10.0.0.100')
    expect(ask(discover()).ip).toBe('10.0.0.100')
  })

  it('tells an INFORM everything but a lease', () => {
    const inform = server().ask(
      clientRequest(DHCPINFORM, {parameterRequestList: [1, 3, 6]}, {ciaddr: '10.0.0.50'}, SERVER),
    )
    expect(inform.reply).toMatchObject({type: DHCPACK, to: {to: 'client', ip: '10.0.0.50', mac: STRANGER}})
    expect(inform.message).toMatchObject({yiaddr: '0.0.0.0', ciaddr: '10.0.0.50'})
    expect([
      option(inform.message, 'router'),
      option(inform.message, 'leaseTime'),
      option(inform.message, 'renewalTime'),
    ]).toEqual([['10.0.0.1'], undefined, undefined])
    expect(inform.lease).toBeUndefined()
    expect(server().ask(clientRequest(DHCPINFORM)).reason).toBe('no-address')
  })
})

describe('what a reply carries, and where it goes', () => {
  it('goes to the relay with option 82 as it came, behind all others', () => {
    const relayed = {giaddr: '10.0.0.1', hops: 1, flags: 0x8000}
    const agent = [{code: 1, data: Uint8Array.of(9, 9)}]
    const {ask} = server()
    const offer = ask(discover({relayAgentInformation: agent, clientIdentifier: Uint8Array.of(0, 1)}, relayed))
    expect(offer.reply?.to).toEqual({to: 'relay', ip: '10.0.0.1'})
    const sent = parseDhcp(serializeDhcp(offer.message!))
    expect(sent).toMatchObject({giaddr: '10.0.0.1', hops: 0, flags: 0x8000})
    expect(sent.options.at(-1)).toEqual({code: 82, data: Uint8Array.of(1, 2, 9, 9)})
    expect(option(sent, 'clientIdentifier')).toEqual(Uint8Array.of(0, 1))
    const refused = ask(reboot('192.0.2.7', {relayAgentInformation: agent}, {giaddr: '10.0.0.1'}))
    expect(refused.reply?.to).toEqual({to: 'relay', ip: '10.0.0.1'})
    expect([refused.message?.flags, refused.message?.options.at(-1)?.code]).toEqual([0x8000, 82])
  })

  it('carries option 82 back without a relay too: a switch that adds it leaves giaddr alone', () => {
    const agent = [{code: 1, data: Uint8Array.of(7)}]
    const {ask} = server()
    const given = [
      ask(discover({relayAgentInformation: agent})),
      ask(select('10.0.0.100', {relayAgentInformation: agent})),
      ask(reboot('192.0.2.7', {relayAgentInformation: agent})),
      ask(clientRequest(DHCPINFORM, {relayAgentInformation: agent}, {ciaddr: '10.0.0.50'}, SERVER)),
    ]
    expect(given.map(({reply}) => reply?.type)).toEqual([DHCPOFFER, DHCPACK, DHCPNAK, DHCPACK])
    for (const {message} of given)
      expect(parseDhcp(serializeDhcp(message!)).options.at(-1)).toEqual({code: 82, data: Uint8Array.of(1, 1, 7)})
    expect(option(ask(discover()).message, 'relayAgentInformation')).toBeUndefined()
  })

  it('says where to boot from in OFFER and ACK, and nothing where nobody said it', () => {
    const {ask} = server({nextServer: '10.0.0.4'})
    expect([ask(discover()), ask(select('10.0.0.100'))].map(({message}) => message?.siaddr)).toEqual([
      '10.0.0.4',
      '10.0.0.4',
    ])
    expect(ask(reboot('192.0.2.7')).message?.siaddr).toBe('0.0.0.0')
    expect(server().ask(discover()).message?.siaddr).toBe('0.0.0.0')
    expect(() => factsFor({nextServer: 'boot'})).toThrow('--next-server "boot" is not an IPv4 address')
  })

  it('heeds the broadcast flag', () => {
    const {ask} = server()
    expect(ask(discover({}, {flags: 0x8000})).reply?.to).toEqual({to: 'all'})
    expect(ask(discover()).reply?.to).toEqual({to: 'client', ip: '10.0.0.100', mac: STRANGER})
  })

  it('tells those who take option 121 their default route there too', () => {
    const {ask} = server({route: ['10.8.0.0/16=10.0.0.4']})
    const offer = ask(discover({parameterRequestList: [121, 3, 1]}, VM))
    expect(option(offer.message, 'classlessStaticRoute')).toEqual([
      {prefix: {address: '0.0.0.0', length: 0}, router: '10.0.0.1'},
      {prefix: {address: '10.8.0.0', length: 16}, router: '10.0.0.4'},
    ])
    expect(option(ask(discover({parameterRequestList: [3, 1]}, VM)).message, 'classlessStaticRoute')).toBeUndefined()
  })

  it('carries options that are longer than 255 bytes', () => {
    const long = 'ab'.repeat(300)
    const {ask} = server({option: [`43=hex:${long}`]})
    const request = discover({parameterRequestList: [43], maximumMessageSize: 1400}, VM)
    const sent = parseDhcp(serializeDhcp(ask(request).message!, {maximum: request.maximum}))
    expect(sent.options.find(({code}) => code === 43)?.data.length).toBe(300)
  })

  it('leaves out what a client can do without, rather than the answer, where options are too long for it', () => {
    const {ask} = server({option: [`43=hex:${'ab'.repeat(300)}`, '44=ip:10.0.0.5']})
    const {message} = ask(discover({parameterRequestList: [43, 44, 1, 3]}, VM))
    const {payload, left} = serializeReply(message!, 548)
    const sent = parseDhcp(payload)
    expect(left).toEqual([43])
    expect([payload.length <= 548, option(sent, 'router'), sent.options.some(({code}) => code === 44)]).toEqual([
      true,
      ['10.0.0.1'],
      true,
    ])
  })

  it('knows a client by its identifier, and a VM by its MAC whatever it calls itself', () => {
    const {ask} = server()
    const id = (n: number) => ({clientIdentifier: Uint8Array.of(255, n)})
    expect(ask(discover(id(1))).ip).toBe('10.0.0.100')
    expect(ask(discover(id(2))).ip).toBe('10.0.0.101')
    expect(ask(discover(id(1), {chaddr: '02:00:00:00:00:98'})).ip).toBe('10.0.0.100')
    for (const n of [1, 2]) expect(ask(discover(id(n), VM)).ip).toBe(VM_IP)
  })
})
