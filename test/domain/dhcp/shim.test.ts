import {describe, expect, it} from 'vitest'
import {shimReply} from '../../../src/domain/dhcp/shim.ts'
import {shimFrame} from '../../../src/domain/dhcp/shim-frame.ts'
import {shimScope} from '../../../src/domain/dhcp/shim-scope.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {BOOTREPLY, BOOTREQUEST, type Dhcp, parseDhcp, serializeDhcp} from '../../../src/wire/dhcp.ts'
import {DHCPACK, DHCPNAK, dhcpOptions, readOption} from '../../../src/wire/dhcp-options.ts'
import {parseFrame, udpFrame} from '../../../src/wire/frames.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {clientMessage, inventory, type Options, SERVER, STRANGER, VM_IP, VM_MAC} from './maker.ts'

const X = '10.0.0.1'
const Y = '10.0.0.2'
const OTHER = '10.0.0.77'
const scope = shimScope(inventory, 'y')
const rules = (pollS?: number) => ({...scope, ...(pollS !== undefined && {pollS})})
const ACK: Options = {router: [X], leaseTime: 3600, serverIdentifier: SERVER}

const reply = (options: Options = ACK, header: Partial<Dhcp> = {}, type = DHCPACK): Uint8Array =>
  serializeDhcp(clientMessage(type, options, {op: BOOTREPLY, yiaddr: VM_IP, chaddr: VM_MAC, ...header}))

/** What it becomes: its words, and the options named. */
function become(bytes: Uint8Array, pollS?: number) {
  const verdict = shimReply(bytes, rules(pollS))
  if (verdict.kind === 'unchanged') return verdict.reason
  const {options} = parseDhcp(verdict.message)
  return {
    router: readOption(options, dhcpOptions.router),
    routes: readOption(options, dhcpOptions.classlessStaticRoute)?.map(
      ({prefix, router}) => `${prefix.address}/${prefix.length} ${router}`,
    ),
    t1: readOption(options, dhcpOptions.renewalTime),
    t2: readOption(options, dhcpOptions.rebindingTime),
    ...verdict.changes,
  }
}

const route = (address: string, length: number, router: string) => ({prefix: {address, length}, router})

const withoutEnd = (bytes: Uint8Array): Uint8Array => bytes.slice(0, bytes.lastIndexOf(255))

describe('a reply to a VM', () => {
  it.each<[string, Options, object | string]>([
    ['the other site’s gateway makes way for this site’s', {router: [X]}, {router: `${X}>${Y}`}],
    ['this site’s alone stays of both', {router: [X, Y]}, {router: `${X},${Y}>${Y}`}],
    [
      'a router that is no gateway stays beside it, in its place',
      {router: [OTHER, X]},
      {router: `${OTHER},${X}>${OTHER},${Y}`},
    ],
    ['this site’s stays as it is', {router: [Y]}, "names this site's gateway already"],
    ['a router that nobody knows stays', {router: [OTHER]}, `names ${OTHER}, no gateway of segment tenant-a`],
    ['none stays none', {leaseTime: 60}, 'names no router'],
    ['a default route of option 121', {classlessStaticRoute: [route('0.0.0.0', 0, X)]}, {routes: `${X}>${Y}`}],
    ['its halves', {classlessStaticRoute: [route('0.0.0.0', 1, X), route('128.0.0.0', 1, X)]}, {routes: `${X}>${Y}`}],
    [
      'both options',
      {router: [X], classlessStaticRoute: [route('0.0.0.0', 0, X)]},
      {router: `${X}>${Y}`, routes: `${X}>${Y}`},
    ],
    ['that of Microsoft', {microsoftClasslessStaticRoute: [route('0.0.0.0', 0, X)]}, {routes: `${X}>${Y}`}],
    [
      'a route to a part alone is no default route',
      {classlessStaticRoute: [route('10.8.0.0', 16, X)]},
      'names no router',
    ],
  ])('%s', (_, options, expected) => {
    const verdict = shimReply(reply(options), rules())
    expect(verdict.kind === 'changed' ? verdict.changes : verdict.reason).toEqual(expected)
  })

  it('keeps the other routes of option 121, and has a host route to the gateway lead to this one', () => {
    const routes = [
      route(X, 32, '0.0.0.0'),
      route('0.0.0.0', 0, X),
      route('10.8.0.0', 16, X),
      route('10.9.0.0', 16, OTHER),
    ]
    expect(become(reply({classlessStaticRoute: routes}))).toMatchObject({
      routes: `${X}>${Y}`,
    })
    const verdict = shimReply(reply({classlessStaticRoute: routes}), rules())
    const message = verdict.kind === 'changed' ? verdict.message : reply()
    expect(readOption(parseDhcp(message).options, dhcpOptions.classlessStaticRoute)).toEqual([
      route(Y, 32, '0.0.0.0'),
      route('0.0.0.0', 0, Y),
      ...routes.slice(2),
    ])
  })

  it('changes nothing beside: every other byte is the server’s', () => {
    const bytes = reply({...ACK, hostName: 'web-07', relayAgentInformation: [{code: 1, data: Uint8Array.of(7)}]})
    const verdict = shimReply(bytes, rules())
    const message = verdict.kind === 'changed' ? verdict.message : bytes
    expect(message.length).toBe(bytes.length)
    const different = [...message].flatMap((byte, i) => (byte === bytes[i] ? [] : [[bytes[i], byte]]))
    expect(different).toEqual([[1, 2]])
  })

  it.each<[string, Options, number | undefined, object]>([
    ['as the server says without a poll', {renewalTime: 1800}, undefined, {t1: 1800, t2: undefined}],
    ['earlier', {renewalTime: 1800, rebindingTime: 3150}, 30, {t1: '1800>30', t2: 52}],
    ['earlier than half the lease, which nobody says', {}, 30, {t1: '1800>30', t2: 52}],
    ['no later', {renewalTime: 20, rebindingTime: 40}, 30, {t1: 20, t2: 40}],
    ['before it is rebound', {rebindingTime: 20}, 30, {t1: '1800>19', t2: 20}],
    ['within a short lease', {leaseTime: 4}, 1, {t1: '2>1', t2: 2}],
    ['and not within one that has no room', {leaseTime: 2}, 1, {t1: undefined, t2: undefined}],
    ['never with a lease for ever', {leaseTime: 0xffff_ffff}, 30, {t1: undefined}],
  ])('is renewed %s', (_, options, pollS, expected) => {
    expect(become(reply({...ACK, ...options}), pollS)).toMatchObject(expected)
  })

  it('of an INFORM has no lease to renew', () => {
    const {leaseTime: _, ...inform} = ACK
    expect(become(reply(inform), 30)).toMatchObject({router: `${X}>${Y}`, t1: undefined})
  })

  it('that names this site’s gateway is renewed earlier all the same', () => {
    expect(become(reply({...ACK, router: [Y]}), 30)).toMatchObject({router: [Y], t1: '1800>30'})
  })

  it.each<[string, Uint8Array, string]>([
    ['a NAK', reply(ACK, {}, DHCPNAK), 'carries no lease'],
    ['a request', reply(ACK, {op: BOOTREQUEST}), 'no reply of a DHCP server'],
    ['BOOTP', serializeDhcp({...parseDhcp(reply()), options: []}), 'no reply of a DHCP server'],
    ['that of a stranger', reply(ACK, {chaddr: STRANGER}), 'its client is no VM of a segment that is changed here'],
    ['that of another medium', reply(ACK, {htype: 6}), 'its client is no VM of a segment that is changed here'],
    [
      'an authenticated one',
      reply({
        ...ACK,
        authentication: {protocol: 1, algorithm: 1, replayMethod: 0, replay: 1n, information: new Uint8Array(20)},
      }),
      'authenticated by its server (option 90)',
    ],
    ['one cut in the middle', reply().slice(0, 250), 'dhcp: option 51 is cut'],
    [
      'one that makes no sense',
      reply({router: [X], domainName: 'a'}).map((byte, i) => (i === 244 ? 3 : byte)),
      'dhcp option: 3 bytes are no list of addresses',
    ],
    ['one that does not end', withoutEnd(reply()), 'dhcp: no end option'],
  ])('%s stays as it is', (_, bytes, reason) => {
    const verdict = shimReply(bytes, rules(30))
    expect(verdict).toMatchObject({kind: 'unchanged', reason: expect.stringContaining(reason)})
  })

  it('with a nonce is changed: the nonce signs nothing', () => {
    const authentication = {
      protocol: 3,
      algorithm: 1,
      replayMethod: 0,
      replay: 1n,
      information: Uint8Array.of(1, ...new Uint8Array(16)),
    }
    expect(become(reply({...ACK, authentication}))).toMatchObject({router: `${X}>${Y}`})
  })

  it('is changed in the field that it lies in (overload)', () => {
    const options = parseDhcp(reply()).options.map((option) =>
      option.code === 3 ? {...option, field: 'sname' as const} : option,
    )
    expect(become(serializeDhcp({...parseDhcp(reply()), options}))).toMatchObject({router: `${X}>${Y}`})
  })
})

const addresses = {destination: VM_MAC, source: '02:00:00:00:00:fe'}
const ends = {source: SERVER, destination: VM_IP, ttl: 128, dscp: 4, identification: 77}
const ports = {sourcePort: 67, destinationPort: 68}
const framed = (payload: Uint8Array, more: object = {}) => udpFrame({...addresses, ...more}, ends, {...ports, payload})

describe('a frame with it', () => {
  it.each([
    ['to the VM alone', {}],
    ['to everybody', {destination: 'ff:ff:ff:ff:ff:ff'}],
    ['with a tag', {vlan: {id: 10, priority: 5, dropEligible: true}}],
  ])('%s has the same headers, with the lengths and checksums of what is in it now', (_, more) => {
    const {frame, verdict} = shimFrame(framed(reply(), more), 1500, rules(30))
    expect(verdict.kind).toBe('changed')
    // It reads every length and checksum.
    const [before, after] = [parseFrame(framed(reply(), more)), parseFrame(frame)]
    expect(after).toMatchObject({kind: 'udp', ethernet: before.ethernet, ip: {ttl: 128, dscp: 4, identification: 77}})
    const {ip: _ip, ...rest} = after as Extract<typeof after, {kind: 'udp'}>
    expect(readOption(parseDhcp(rest.udp.payload).options, dhcpOptions.router)).toEqual([Y])
  })

  it('that would outgrow the port’s MTU goes as it is, and this is said', () => {
    const full = parseDhcp(reply())
    const bytes = serializeDhcp(
      {...full, options: [...full.options, {code: 224, data: new Uint8Array(250).fill(1)}]},
      {minimum: 0},
    )
    const frame = framed(bytes)
    const grown = shimFrame(frame, 1500, rules(30))
    const length = grown.frame.length - 14
    expect([grown.verdict.kind, length]).toEqual(['changed', frame.length - 14 + 12])
    expect(shimFrame(frame, length, rules(30))).toEqual(grown)
    const kept = shimFrame(frame, length - 1, rules(30))
    expect(kept.frame).toEqual(frame)
    expect(kept.verdict).toMatchObject({
      kind: 'unchanged',
      reason: `would be ${length} bytes long, more than the port's MTU of ${length - 1}`,
      type: 'DHCPACK',
    })
  })

  const pending = (payload: Uint8Array): Uint8Array => {
    // The sum of the pseudo header alone, as the kernel leaves it to a network card.
    const frame = framed(payload)
    const length = 8 + payload.length
    const words = [...ends.source.split('.'), ...ends.destination.split('.')].map(Number)
    const sum = words.reduce((all, byte, i) => all + (i % 2 === 0 ? byte << 8 : byte), 17 + length)
    const folded = (sum & 0xffff) + (sum >>> 16)
    frame.set([folded >>> 8, folded & 0xff], 14 + 20 + 6)
    return frame
  }

  it('whose checksum was left to a network card has it computed, changed or not', () => {
    for (const payload of [reply(), reply(ACK, {chaddr: STRANGER}), reply().slice(0, 250)])
      expect(shimFrame(pending(payload), 1500, rules()).frame).toEqual(shimFrame(framed(payload), 1500, rules()).frame)
  })

  it.each<[string, (frame: Uint8Array) => Uint8Array, string]>([
    [
      'with a wrong UDP checksum',
      (frame) => frame.map((byte, i) => (i === 14 + 20 + 6 ? byte ^ 1 : byte)),
      'udp: checksum is wrong',
    ],
    ['cut short', (frame) => frame.slice(0, 100), 'ipv4: total length'],
    ['that is no IPv4', (frame) => frame.map((byte, i) => (i === 13 ? 6 : byte)), 'no IPv4 packet'],
    ['of no length at all', () => new Uint8Array(0), 'ethernet: '],
  ])('%s goes byte for byte', (_, spoil, reason) => {
    const frame = spoil(framed(reply()))
    const out = shimFrame(frame, 1500, rules(30))
    expect(out.frame).toBe(frame)
    expect(out.verdict).toMatchObject({kind: 'unchanged', reason: expect.stringContaining(reason)})
  })

  it('that is a fragment, or from another port, goes byte for byte', () => {
    const fragment = udpFrame(
      addresses,
      {...ends, dontFragment: false, moreFragments: true},
      {...ports, payload: reply()},
    )
    const other = udpFrame(addresses, ends, {sourcePort: 67, destinationPort: 67, payload: reply()})
    for (const [frame, reason] of [
      [fragment, 'no whole UDP datagram'],
      [other, 'not from a DHCP server to a client'],
    ] as const)
      expect(shimFrame(frame, 1500, rules(30))).toMatchObject({frame, verdict: {reason}})
  })
})

describe('whose leases are changed', () => {
  it('is whose segment has other gateways elsewhere', () => {
    expect([...scope.vms.values()]).toEqual([
      {name: 'web-07', mac: VM_MAC, ip: VM_IP, segment: 'tenant-a', local: [Y], foreign: new Set([X])},
    ])
    expect(scope.leftOut).toEqual([
      {segment: 'tenant-b', reason: 'has the same gateway address at every site, which DHCP cannot tell apart'},
    ])
  })

  it('is not one whose MAC a VM of another tenant has too, which is said', () => {
    const twin = '  app-01: { segment: tenant-a, ip: 10.0.0.11, mac: "02:00:00:00:01:10" }\n'
    const {vms, leftOut} = shimScope(parseInventory(INVENTORY + twin, 'gwswitch.yaml'), 'y')
    expect([...vms.keys()]).toEqual([VM_MAC])
    expect(leftOut[0]).toEqual({
      segment: 'tenant-a',
      reason: 'has VMs whose MAC one of another segment has too: app-01 (02:00:00:00:01:10)',
    })
  })

  it.each([
    ['an unknown site', INVENTORY, 'z', /no site "z"/],
    [
      'a site without a gateway',
      `${INVENTORY}`.replace('sites:', 'sites:\n  z: {}'),
      'z',
      /segment tenant-a has no gateway at site z; segment tenant-b has no gateway/,
    ],
    ['no VMs', INVENTORY.slice(0, INVENTORY.indexOf('vms:')), 'y', /it has no VMs/],
  ])('is nobody with %s', (_, text, site, message) => {
    expect(() => shimScope(parseInventory(text, 'gwswitch.yaml'), site)).toThrowError(message)
  })
})
