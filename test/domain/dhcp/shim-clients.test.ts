import {describe, expect, it} from 'vitest'
import {shimReply} from '../../../src/domain/dhcp/shim.ts'
import {shimClients} from '../../../src/domain/dhcp/shim-clients.ts'
import {shimScope, shimSites} from '../../../src/domain/dhcp/shim-scope.ts'
import {BOOTREPLY, type Dhcp, parseDhcp, serializeDhcp} from '../../../src/wire/dhcp.ts'
import {derivedNonce, readReconfigureNonce, reconfigureNonce} from '../../../src/wire/dhcp-auth.ts'
import {DHCPACK, DHCPNAK, DHCPREQUEST, dhcpOptions, readOption} from '../../../src/wire/dhcp-options.ts'
import {udpFrame} from '../../../src/wire/frames.ts'
import {clientMessage, inventory, NOW, type Options, option, SERVER, STRANGER, VM_IP, VM_MAC} from './maker.ts'

const X = '10.0.0.1'
const Y = '10.0.0.2'
const PORT = 7
const OTHER_PORT = 8
const MTU = 1500
const NOW_NS = BigInt(NOW) * 1_000_000n
const SECRET = new TextEncoder().encode('a secret that all sites share, 32')
const NONCE = derivedNonce(SECRET, VM_MAC)
const rules = shimScope(inventory, 'y')
const CAPABLE: Options = {forcerenewNonceCapable: [1], parameterRequestList: [1, 121, 3]}
const RENEWING = {ciaddr: VM_IP}
const ACK: Options = {router: [X], leaseTime: 3600, serverIdentifier: SERVER}

type Shim = ReturnType<typeof shim>

/** A shim of site y, between a client and a server. */
function shim(secret: Uint8Array | undefined) {
  const clients = shimClients(rules.vms, secret)
  return {
    clients,
    /** The client's REQUEST; `source`: who sends it. */
    asks(options: Options = CAPABLE, header: Partial<Dhcp> = {}, source = VM_MAC, port = PORT) {
      const wanted = {...(header.ciaddr === undefined && {requestedAddress: VM_IP}), ...options}
      const payload = serializeDhcp(clientMessage(DHCPREQUEST, wanted, {chaddr: VM_MAC, xid: 1, ...header}))
      const ends = {source: '0.0.0.0', destination: '255.255.255.255'}
      const udp = {sourcePort: 68, destinationPort: 67, payload}
      clients.heard(udpFrame({destination: 'ff:ff:ff:ff:ff:ff', source}, ends, udp), port)
    },
    /** The server's reply, as it goes on out of a port: its message, and what was learned of it. */
    says(options: Options = ACK, {port = PORT, mtu = MTU, xid = 1, type = DHCPACK, nowNs = NOW_NS} = {}) {
      const header = {op: BOOTREPLY, yiaddr: VM_IP, chaddr: VM_MAC, xid}
      const bytes = serializeDhcp(clientMessage(type, options, header))
      const verdict = shimReply(bytes, rules, (ack) => clients.grant(ack, {index: port, mtu}, nowNs))
      const sent = verdict.kind === 'changed' ? verdict.message : bytes
      const message = parseDhcp(sent)
      const authentication = readOption(message.options, dhcpOptions.authentication)
      return {
        ...{message, verdict, answer: clients.answered(sent, port, nowNs)},
        nonce: authentication && readReconfigureNonce(authentication),
        replay: authentication?.replay,
      }
    },
  }
}

describe('a nonce', () => {
  it('is the same at every site, and another for every VM', () => {
    expect(NONCE).toHaveLength(16)
    expect(derivedNonce(SECRET, VM_MAC)).toEqual(NONCE)
    expect(derivedNonce(SECRET, STRANGER)).not.toEqual(NONCE)
    expect(derivedNonce(new Uint8Array(32), VM_MAC)).not.toEqual(NONCE)
  })

  it('goes with the ACK of a client that takes one, beside this site’s router', () => {
    const {asks, says} = shim(SECRET)
    asks()
    const {nonce, replay, message, verdict} = says()
    expect([nonce, replay, option(message, 'router')]).toEqual([NONCE, NOW_NS, [Y]])
    expect(verdict).toMatchObject({changes: {router: `${X}>${Y}`, nonce: 'added'}})
  })

  it('goes with one that names this site’s gateway already, and with every later one, its replay value growing', () => {
    const {asks, says} = shim(SECRET)
    asks()
    expect(says({...ACK, router: [Y]})).toMatchObject({nonce: NONCE, replay: NOW_NS})
    asks(CAPABLE, {...RENEWING, xid: 2})
    // A clock that was set back.
    expect(says({...ACK, router: [Y]}, {xid: 2, nowNs: NOW_NS - 5n})).toMatchObject({nonce: NONCE, replay: NOW_NS + 1n})
  })

  it('does not go with the ACK of a renewal that its client asks for again: it may not have taken it for the nonce', () => {
    const {asks, says, clients} = shim(SECRET)
    const nonceFor = (xid: number) => {
      asks(CAPABLE, {...RENEWING, xid})
      return says(ACK, {xid}).nonce
    }
    expect([nonceFor(2), nonceFor(2), nonceFor(3)]).toEqual([NONCE, undefined, NONCE])
    expect(clients.leases.get(VM_MAC)?.nonce).toBe(Buffer.from(NONCE).toString('hex'))
  })

  it('leaves the one that its server gave until the client begins anew', () => {
    const {asks, says} = shim(SECRET)
    const server = new Uint8Array(16).fill(9)
    asks()
    expect(says({...ACK, authentication: reconfigureNonce(5n, server)})).toMatchObject({nonce: server})
    asks(CAPABLE, {...RENEWING, xid: 2})
    expect(says(ACK, {xid: 2}).nonce).toBeUndefined()
    asks(CAPABLE, {xid: 3})
    expect(says(ACK, {xid: 3}).nonce).toEqual(NONCE)
  })

  type Row = {
    secret?: undefined
    asks?: Parameters<Shim['asks']> | null
    says?: Parameters<Shim['says']>
    nonce?: Uint8Array
  }
  const server = new Uint8Array(16).fill(9)
  const given = {...ACK, authentication: reconfigureNonce(5n, server)}
  it.each<[string, Row]>([
    ['without a key', {secret: undefined}],
    ['to a client that takes none', {asks: [{}]}],
    ['to one whose request was not seen', {asks: null}],
    ['in the answer to another request', {says: [ACK, {xid: 2}]}],
    ['to another port that an answer to all floods to', {says: [ACK, {port: OTHER_PORT}]}],
    ['for a request in another’s name', {asks: [CAPABLE, {}, STRANGER]}],
    ['for one that a relay passed on', {asks: [CAPABLE, {giaddr: '10.0.0.9'}]}],
    ['where its server gave one', {says: [given], nonce: server}],
    [
      'where the message would be longer than the client takes',
      {asks: [{...CAPABLE, maximumMessageSize: 576}], says: [{...ACK, message: 'x'.repeat(255)}]},
    ],
    ['where it would be longer than the port takes', {says: [{...ACK, message: 'x'.repeat(40)}, {mtu: 328}]}],
  ])('is not added %s', (_, row) => {
    const {asks, says} = shim('secret' in row ? undefined : SECRET)
    if (row.asks !== null) asks(...(row.asks ?? []))
    const {nonce, message} = says(...(row.says ?? []))
    expect([nonce, option(message, 'router')]).toEqual([row.nonce, [Y]])
  })
})

describe('what a shim knows of a client', () => {
  it('is what its last ACK gave it, at the port that it asked from', () => {
    const {asks, says, clients} = shim(SECRET)
    asks(CAPABLE, {xid: 0xaabb})
    const {answer} = says({...ACK, renewalTime: 30}, {xid: 0xaabb})
    expect(answer).toMatchObject({type: DHCPACK, lease: clients.leases.get(VM_MAC)})
    expect(clients.leases.get(VM_MAC)).toMatchObject({
      ...{segment: 'tenant-a', ip: VM_IP, xid: 0xaabb, router: Y, t1S: 30, kind: 'dhcpcd', capable145: true},
      ...{nonce: Buffer.from(NONCE).toString('hex'), replay: NOW_NS, serverIdentifier: SERVER, portIndex: PORT},
      ...{lastSeenMs: NOW, expiresAtMs: NOW + 3_600_000},
    })
  })

  it('has the nonce of its server until it begins anew', () => {
    const {asks, says, clients} = shim(undefined)
    const held = () => clients.leases.get(VM_MAC)?.nonce
    asks()
    says({...ACK, authentication: reconfigureNonce(5n, new Uint8Array(16).fill(9))})
    expect(held()).toBe('09'.repeat(16))
    asks(CAPABLE, {...RENEWING, xid: 2})
    says(ACK, {xid: 2})
    expect(held()).toBe('09'.repeat(16))
    asks(CAPABLE, {xid: 3})
    says(ACK, {xid: 3})
    expect(held()).toBe('')
  })

  it('is nothing of one that was not seen asking, nor of one that the inventory has no more', () => {
    const {asks, says, clients} = shim(SECRET)
    says()
    expect(clients.leases.size).toBe(0)
    asks()
    says()
    clients.keep(new Map())
    expect(clients.leases.size).toBe(0)
    asks()
    expect(says().answer).toBeUndefined()
  })
})

describe('a client whose next renewal is to be refused', () => {
  it('gets a NAK for it once, and then what its server says', () => {
    const {asks, says, clients} = shim(SECRET)
    asks({clientIdentifier: Uint8Array.of(1, 2)})
    says()
    clients.refused.set(VM_MAC, NOW + 1)
    asks({clientIdentifier: Uint8Array.of(1, 2)}, {...RENEWING, xid: 2})
    const {message, verdict, answer} = says(ACK, {xid: 2})
    expect(verdict).toMatchObject({kind: 'changed', changes: {answer: 'DHCPNAK'}})
    expect(message).toMatchObject({op: BOOTREPLY, xid: 2, chaddr: VM_MAC, ciaddr: '0.0.0.0', yiaddr: '0.0.0.0'})
    expect(message.options.map(({code}) => code)).toEqual([53, 54, 56, 61])
    expect([option(message, 'messageType'), option(message, 'serverIdentifier')]).toEqual([DHCPNAK, SERVER])
    expect([answer?.type, clients.refused.size]).toEqual([DHCPNAK, 0])
    asks({}, {xid: 3})
    expect(option(says(ACK, {xid: 3}).message, 'messageType')).toBe(DHCPACK)
  })

  it('gets none once it has begun anew by itself', () => {
    const {asks, says, clients} = shim(SECRET)
    clients.refused.set(VM_MAC, NOW + 1)
    asks({serverIdentifier: SERVER})
    expect([option(says().message, 'messageType'), clients.refused.size]).toEqual([DHCPACK, 0])
  })
})

describe('the segments of a shim', () => {
  it('have the routers of its site alone, and every VM there', () => {
    expect(shimSites(rules).get('tenant-a')).toMatchObject({
      ...{segment: 'tenant-a', routers: [{site: 'y', ip: Y}], defaultSite: 'y'},
      reservations: new Map([[VM_MAC, {vm: 'web-07', mac: VM_MAC, ip: VM_IP, site: 'y'}]]),
    })
  })
})
