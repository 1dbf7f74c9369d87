import {describe, expect, it} from 'vitest'
import {leaseBook} from '../../../src/domain/dhcp/book.ts'
import {type ClientRequest, clientKey, readRequest} from '../../../src/domain/dhcp/request.ts'
import {rangeText, routersAt, scopeFor, siteOf} from '../../../src/domain/dhcp/scope.ts'
import {type ServeRequest, type Share, serverFacts} from '../../../src/domain/dhcp/serve-request.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {DHCPDISCOVER, DHCPREQUEST, type RelaySubOption} from '../../../src/wire/dhcp-options.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {asked, clientMessage, clientRequest, factsFor, inventory, SERVER, VM_IP, VM_MAC} from './maker.ts'

describe('serverFacts', () => {
  it('takes the segment of the interface, its VMs and its gateways from the inventory, and the others for relays', () => {
    const facts = factsFor()
    const scope = facts.scopes.get('tenant-a')!
    expect([facts.local, facts.serverIdentifier, [...facts.scopes.keys()]]).toEqual([
      'tenant-a',
      SERVER,
      ['tenant-a', 'tenant-b'],
    ])
    expect(scope.reservations.get(VM_MAC)).toEqual({vm: 'web-07', mac: VM_MAC, ip: VM_IP, site: undefined})
    expect(scope.routers).toEqual([
      {site: 'x', ip: '10.0.0.1'},
      {site: 'y', ip: '10.0.0.2'},
    ])
    for (const ip of ['10.0.0.0', '10.0.0.255', '10.0.0.1', '10.0.0.2', SERVER, VM_IP])
      expect(scope.excluded.has(ip)).toBe(true)
    expect(scope.times).toEqual({leaseS: 3600, t1S: 1800, t2S: 3150})
  })

  it('gives out no address of its own, whichever of them it is known by', () => {
    const own = ['10.0.0.100', SERVER, '10.0.0.102'].map((ip) => ({ip, prefixLength: 24}))
    const {scopes, serverIdentifier} = serverFacts(asked(), inventory, own)
    const {pool, excluded} = scopes.get('tenant-a')!
    const book = leaseBook(pool, excluded)
    expect([serverIdentifier, book.poolSize, book.pick(0), book.pick(0, '10.0.0.102')]).toEqual([
      '10.0.0.100',
      2,
      '10.0.0.101',
      '10.0.0.101',
    ])
  })

  it('takes pool, lease and T1 of each segment from the inventory, and flags before them', () => {
    const keys = 'dhcp: {server: gwswitch, pool: [10.1.0.50-10.1.0.59], lease: 600, renewEvery: 20}'
    const own = parseInventory(INVENTORY.replace('prefix: 10.1.0.0/24', `prefix: 10.1.0.0/24\n    ${keys}`), 'g.yaml')
    const scope = (over: Partial<ServeRequest>) =>
      serverFacts({...asked(), ...over}, own, [{ip: SERVER, prefixLength: 24}]).scopes.get('tenant-b')!
    const bare = {pool: [], leaseS: undefined}
    expect(scope(bare).times).toEqual({leaseS: 600, t1S: 20, t2S: 525})
    expect(scope(bare).pool.map(rangeText)).toEqual(['10.1.0.50-10.1.0.59'])
    expect(scope({leaseS: 900, t1S: 9}).times).toEqual({leaseS: 900, t1S: 9, t2S: 787})
    expect(scope({pool: ['10.1.0.7']}).pool.map(rangeText)).toEqual(['10.1.0.7-10.1.0.7'])
    const wrong = parseInventory(
      INVENTORY.replace('prefix: 10.1.0.0/24', 'prefix: 10.1.0.0/24\n    dhcp: {server: gwswitch, pool: [10.0.0.5]}'),
      'g.yaml',
    )
    expect(() => serverFacts({...asked(), ...bare}, wrong, [{ip: SERVER, prefixLength: 24}])).toThrow(
      'g.yaml: segments.tenant-b.dhcp.pool: 10.0.0.5-10.0.0.5 lies in no segment (want one inside 10.1.0.0/24 (tenant-b))',
    )
  })

  it.each([
    ['10.0.0.100-10.0.0.103', '10.0.0.100-10.0.0.101', '10.0.0.102-10.0.0.103'],
    ['10.0.0.100-10.0.0.104', '10.0.0.100-10.0.0.102', '10.0.0.103-10.0.0.104'],
    ['10.0.0.100-10.0.0.100', '10.0.0.100-10.0.0.100', ''],
  ])('two servers share the pool %s: %s and %s', (range, first, second) => {
    const poolOf = (share: Share) =>
      factsFor({pool: [range], share})
        .scopes.get('tenant-a')!
        .pool.map(rangeText)
        .join()
    expect([poolOf('1/2'), poolOf('2/2')]).toEqual([first, second])
  })

  it('needs no inventory', () => {
    const request = asked({
      gateway: ['x=10.0.0.1', 'y=10.0.0.2'],
      reserve: ['web=02-00-00-00-00-10=10.0.0.10', '02:00:00:00:00:11=10.0.0.11'],
      site: 'y',
    })
    const facts = serverFacts(request, undefined, [{ip: SERVER, prefixLength: 24}])
    const scope = facts.scopes.get('eth0')!
    expect([...scope.reservations.values()].map(({vm, ip}) => [vm, ip])).toEqual([
      ['web', '10.0.0.10'],
      ['02:00:00:00:00:11', '10.0.0.11'],
    ])
    expect(routersAt(scope, siteOf(scope, VM_MAC, undefined))).toEqual(['10.0.0.2'])
    expect(routersAt(scope, siteOf(scope, VM_MAC, {segment: 'eth0', mac: VM_MAC, site: 'x', nak: false}))).toEqual([
      '10.0.0.1',
    ])
    expect(routersAt(scope, 'nowhere')).toEqual(['10.0.0.1'])
  })

  it.each([
    [{pool: ['10.0.0.9-10.0.0.1']}, '--pool "10.0.0.9-10.0.0.1" is not a range (want 10.0.0.100-10.0.0.199)'],
    [
      {pool: ['192.0.2.1-192.0.2.9']},
      '--pool 192.0.2.1-192.0.2.9 lies in no segment (want one inside 10.0.0.0/24 (tenant-a), 10.1.0.0/24 (tenant-b))',
    ],
    [{segment: 'tenant-c'}, 'gwswitch.yaml: no segment "tenant-c" (did you mean "tenant-a"?)'],
    [
      {segment: 'tenant-b'},
      'eth0 has no address in 10.1.0.0/24 of segment tenant-b (want one: clients must reach the server)',
    ],
    [{site: 'z'}, '--site z has no router on segment tenant-a (known: x, y)'],
    [{gateway: ['x10.0.0.1']}, '--gateway "x10.0.0.1" is not SITE=IP (want x=10.0.0.1)'],
    [{gateway: ['x=10.3.0.1']}, '--gateway x=10.3.0.1: 10.3.0.1 is outside 10.0.0.0/24 of segment tenant-a'],
    [
      {reserve: ['web=10.0.0.9']},
      '--reserve "web=10.0.0.9" is not MAC=IP or NAME=MAC=IP (want web-07=02:00:00:00:00:10=10.0.0.10)',
    ],
    [
      {reserve: ['02:00:00:00:00:77=10.0.0.10']},
      '--reserve 02:00:00:00:00:77=10.0.0.10: 10.0.0.10 is already reserved for web-07',
    ],
    [{leaseS: 100, t1S: 200}, 'T1 200 s, T2 200 s, lease 100 s (want T1 <= T2 <= lease)'],
    [{dns: ['ns1']}, '--dns "ns1" is not an IPv4 address (want 10.0.0.53)'],
    [{option: ['3=ip:10.0.0.1']}, '--option 3=ip:10.0.0.1: the server itself fills in option 3'],
    [
      {option: ['66=boot']},
      '--option "66=boot" is no option (want CODE=TYPE:VALUE, TYPE one of ip, text, hex, u8, u16, u32: 42=ip:10.0.0.4,10.0.0.5)',
    ],
    [{option: ['6=ip:10.0.0.9']}, 'option 6 is given twice'],
    [
      {option: ['26=u16:70000']},
      '--option 26=u16:70000: dhcp option: value 70000 is not a whole number from 0 to 65535',
    ],
    [
      {route: ['10.0.0.1/16=10.0.0.3']},
      '--route "10.0.0.1/16=10.0.0.3" is not PREFIX=ROUTER (want 10.9.0.0/16=10.0.0.3)',
    ],
  ])('refuses %j', (over, message) => {
    expect(() => factsFor(over)).toThrow(expect.objectContaining({kind: 'usage', message}))
  })

  it('refuses to serve beside another server, without an address, and with nothing to give', () => {
    const kea = parseInventory(
      INVENTORY.replace('prefix: 10.0.0.0/24', 'prefix: 10.0.0.0/24\n    dhcp: {server: kea}'),
      'k.yaml',
    )
    expect(() => serverFacts(asked(), kea, [{ip: SERVER, prefixLength: 24}])).toThrow(
      'the DHCP server of segment tenant-a is kea',
    )
    expect(() => serverFacts(asked(), undefined, [])).toThrow('eth0 has no IPv4 address')
    expect(() => serverFacts(asked({pool: []}), undefined, [{ip: SERVER, prefixLength: 24}])).toThrow(
      'nothing to give out on segment eth0',
    )
    expect(() =>
      serverFacts(asked({pool: ['10.0.0.1-10.9.255.254']}), undefined, [{ip: SERVER, prefixLength: 8}]),
    ).toThrow('want at most 131072 a server')
  })
})

describe('siteOf', () => {
  const siteBy = (inventorySite: string | undefined, said: string | undefined, then: string | undefined) => {
    const scope = factsFor({site: 'd', gateway: ['d=10.0.0.9']}).scopes.get('tenant-a')!
    const own = {...scope.reservations.get(VM_MAC)!, site: inventorySite}
    const directive = {segment: 'tenant-a', mac: VM_MAC, site: said, nak: false, inventorySite: then}
    return siteOf({...scope, reservations: new Map([[VM_MAC, own]])}, VM_MAC, directive)
  }
  it.each<[string, Parameters<typeof siteBy>, string]>([
    ['what was said, before the inventory', ['x', 'y', 'x'], 'y'],
    ['what was said where the inventory says nothing, then and now', [undefined, 'y', ''], 'y'],
    ['what was said where the inventory says nothing any more', [undefined, 'y', 'x'], 'y'],
    ['the inventory, where nothing was said', ['x', undefined, 'x'], 'x'],
    ['the inventory, where it was changed after that', ['z', 'y', 'x'], 'z'],
    ['the inventory, where it says something since', ['z', 'y', ''], 'z'],
    ['what was said, where an older store did not write down what the inventory said', ['x', 'y', undefined], 'y'],
    ['--site, where nobody says anything', [undefined, undefined, undefined], 'd'],
  ])('is %s', (_, args, want) => {
    expect(siteBy(...args)).toBe(want)
  })
})

describe('scopeFor', () => {
  const facts = factsFor()
  const name = (giaddr: string, ciaddr = '0.0.0.0', unicast = false, ...relay: RelaySubOption[]) =>
    scopeFor(facts, clientRequest(DHCPDISCOVER, {relayAgentInformation: relay}, {giaddr, ciaddr}), unicast)?.segment
  const selects = (...data: number[]) => ({code: 5, data: Uint8Array.from(data)})
  it('goes by the relay, else by the address of a client that writes to the server itself, else by the interface', () => {
    expect(name('0.0.0.0')).toBe('tenant-a')
    expect(name('10.1.0.254')).toBe('tenant-b')
    expect(name('192.0.2.1')).toBeUndefined()
    expect(name('0.0.0.0', '10.1.0.10', true)).toBe('tenant-b')
    expect(name('0.0.0.0', '10.1.0.10', false)).toBe('tenant-a')
    expect(name('0.0.0.0', '192.0.2.1', true)).toBe('tenant-a')
  })

  it.each<[string, string, RelaySubOption[], string | undefined]>([
    ['before the address of the relay', '10.0.0.254', [selects(10, 1, 0, 1)], 'tenant-b'],
    ['where that is in no segment', '10.33.33.33', [selects(10, 1, 0, 1)], 'tenant-b'],
    ['and nothing else where it is none of ours', '10.0.0.254', [selects(192, 0, 2, 1)], undefined],
    ['but not where it is no address', '10.0.0.254', [selects(10, 1, 0)], 'tenant-a'],
    ['but not from a client without a relay', '0.0.0.0', [selects(10, 1, 0, 1)], 'tenant-a'],
  ])('goes by the link that a relay selects (RFC 3527) %s', (_, giaddr, relay, want) => {
    expect(name(giaddr, '0.0.0.0', false, ...relay)).toBe(want)
  })

  it('goes by the relay where its option 82 cannot be read', () => {
    const message = clientMessage(DHCPDISCOVER, {}, {giaddr: '10.1.0.254'})
    const broken = {...message, options: [...message.options, {code: 82, data: Uint8Array.of(5, 9, 10)}]}
    const request = readRequest(broken, '255.255.255.255') as ClientRequest
    expect(scopeFor(facts, request, false)?.segment).toBe('tenant-b')
  })
})

describe('readRequest', () => {
  const everybody = '255.255.255.255'
  it.each([
    ['selecting', {serverIdentifier: SERVER, requestedAddress: '10.0.0.9'}, {}, everybody],
    ['init-reboot', {requestedAddress: '10.0.0.9'}, {}, everybody],
    ['renewing', {}, {ciaddr: '10.0.0.9'}, SERVER],
    ['rebinding', {}, {ciaddr: '10.0.0.9'}, everybody],
    ['rebinding', {}, {ciaddr: '10.0.0.9', giaddr: '10.0.0.1'}, SERVER],
  ])('tells that a client is %s', (state, options, header, destination) => {
    expect(readRequest(clientMessage(DHCPREQUEST, options, header), destination)).toMatchObject({state})
  })

  it.each<[string, number[], Partial<ClientRequest>]>([
    ['of an address that is short', [50, 10, 9], {requestedIp: undefined}],
    ['of an address that is long', [50, 10, 9, 0, 150, 1], {requestedIp: '10.9.0.150'}],
    ['of a size that is short', [57, 9], {maximum: 548}],
    ['of a size that is long', [57, 3, 0xe8, 5, 220], {maximum: 972}],
    ['of a server that is short', [54, 10, 9, 0], {serverIdentifier: undefined}],
    ['of no list', [55], {wants: []}],
  ])('reads an option %s as far as it goes', (_, [code, ...data], want) => {
    const message = clientMessage(DHCPDISCOVER)
    const odd = {...message, options: [...message.options, {code: code!, data: Uint8Array.from(data)}]}
    expect(readRequest(odd, everybody)).toMatchObject(want)
  })

  it.each([
    ['not-a-request', {}, {op: 2}],
    ['not-ethernet', {}, {htype: 6}],
    ['not-ethernet', {}, {chaddr: ''}],
    ['not-ethernet', {}, {chaddr: '01:00:5e:00:00:01'}],
    ['not-ethernet', {}, {chaddr: '00:00:00:00:00:00'}],
    ['too-many-hops', {}, {hops: 17}],
    ['no-message-type', {}, {options: []}],
    ['contradictory', {}, {}],
    ['contradictory', {serverIdentifier: SERVER}, {}],
  ])('drops as %s', (reason, options, header) => {
    expect(readRequest(clientMessage(DHCPREQUEST, options, header), everybody)).toBe(reason)
  })

  it("keeps a stranger's host name printable, and its wish for size within one frame", () => {
    const evil = '\x1b[31mpwn ed'
    const request = readRequest(clientMessage(DHCPDISCOVER, {hostName: evil, maximumMessageSize: 65_000}), everybody)
    expect(request).toMatchObject({hostName: '?[31mpwn?ed', maximum: 1472})
    expect(readRequest(clientMessage(DHCPDISCOVER, {maximumMessageSize: 68}), everybody)).toMatchObject({maximum: 548})
  })
})

it('names clients by identifier, by address, and VMs by address alone', () => {
  expect(clientKey(VM_MAC, undefined, false)).toBe(`hw:1:${VM_MAC}`)
  expect(clientKey(VM_MAC, Uint8Array.of(1, 0xab), false)).toBe('id:01ab')
  expect(clientKey(VM_MAC, Uint8Array.of(1, 0xab), true)).toBe(`hw:1:${VM_MAC}`)
  expect(inventory.vms.some(({mac}) => mac === VM_MAC)).toBe(true)
})
