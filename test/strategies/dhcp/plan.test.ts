import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import {clientTraits, knownKind} from '../../../src/domain/dhcp/client-kind.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../../src/domain/inventory/switchover.ts'
import {printConfig} from '../../../src/orders/print-config/print-config.ts'
import {openClientStore} from '../../../src/strategies/dhcp/client-store.ts'
import {dhcp} from '../../../src/strategies/dhcp/dhcp.ts'
import {dhcpOptions, readOption} from '../../../src/wire/dhcp-options.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {qmpDouble} from '../../support/qmp-double.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'
import {CLIENT, NONCE} from './support.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gwswitch-plan-'))
})
afterEach(() => rmSync(dir, {recursive: true, force: true}))

const DHCP = (): string =>
  `dhcp: {server: dnsmasq, optsfile: ${dir}/opts, pidfile: ${dir}/pid, log: ${dir}/log, nonces: ${dir}/nonces, state: ${dir}/state.db`

/** The inventory with a DHCP server (and more keys of it), and more keys of web-07. */
function inventoryWith({
  segment = '',
  vm = '',
  server = DHCP(),
}: {
  segment?: string
  vm?: string
  server?: string
} = {}) {
  const text = INVENTORY.replace('prefix: 10.0.0.0/24', `prefix: 10.0.0.0/24\n    ${server}${segment}}`).replace(
    'strategies: [agent, dhcp] }',
    `strategies: [agent, dhcp]${vm} }`,
  )
  return parseInventory(text, 'gwswitch.yaml')
}

interface Given {
  readonly segment?: string
  readonly vm?: string
  /** Lines of the server's log, and of the nonces file. */
  readonly log?: string
  readonly nonces?: string
  readonly server?: string
}

const SEEN = {
  kind: 'ack',
  mac: CLIENT.mac,
  xid: 1,
  ip: CLIENT.ip,
  router: '10.0.0.1',
  serverId: undefined,
  nonce: undefined,
  leaseS: 3600,
  renewS: 8,
} as const

async function plan(
  {log = '', nonces = '', ...keys}: Given,
  interfaces = [
    ethernetInterface({name: 'seg-a', mac: '02:00:00:00:0b:01', addresses: [{ip: '10.0.0.2', prefixLength: 24}]}),
  ],
  inventory = inventoryWith(keys),
) {
  writeFileSync(join(dir, 'opts'), '')
  // A process that is called dnsmasq, for as long as it is looked at, need not be one.
  writeFileSync(join(dir, 'pid'), `${process.pid}`)
  writeFileSync(join(dir, 'log'), log)
  writeFileSync(join(dir, 'nonces'), nonces)
  const switchover = switchoverFrom(resolveSwitchover(inventory, {vm: 'web-07', to: 'y'}))
  const name = process.title
  process.title = 'dnsmasq'
  try {
    return (await dhcp.plan(switchover, {}, fakeWorld({interfaces}))) as Awaited<ReturnType<typeof dhcp.plan>>
  } finally {
    process.title = name
  }
}

const ACK = `dnsmasq-dhcp[1]: 1830431548 DHCPACK(eth0) 10.0.0.10 ${CLIENT.mac}\n`
const NONCES = `${CLIENT.mac} ${Buffer.from(NONCE).toString('hex')}\n`

describe('a plan of the dhcp strategy', () => {
  it('triggers dhcpcd by FORCERENEW, and says all of it in words', async () => {
    const made = await plan({log: ACK, nonces: NONCES})
    expect(made.triggers).toEqual([{kind: 'forcerenew', attempts: 3, timeoutMs: 1000, longestMs: 10_000}])
    expect(made).toMatchObject({
      strategy: 'dhcp',
      interface: 'seg-a',
      sourceIp: '10.0.0.2',
      longestMs: 10_000,
      from: {name: 'rx'},
      to: {name: 'ry', ip: '10.0.0.2'},
    })
    expect(JSON.parse(JSON.stringify(made))).toEqual(made)
    const words = dhcp.describe(made).join('\n')
    expect(words).toContain('the router 10.0.0.2 (ry, site y)')
    expect(words).toContain('FORCERENEW out of seg-a')
    expect(words).toContain('otherwise have the server give again what it gave before')
  })

  it.each([
    ['a guest agent', {vm: ', dhcp: {client: networkd, guestAgent: /run/qga}'}, ['guest-agent']],
    [
      'a FORCERENEW, then the guest agent, then its T1',
      {log: ACK, nonces: NONCES, segment: ', renewEvery: 5', vm: ', dhcp: {guestAgent: /run/qga}'},
      ['forcerenew', 'guest-agent', 'wait'],
    ],
    ['its own short T1', {segment: ', renewEvery: 10', vm: ', dhcp: {client: dhclient-hook}'}, ['wait']],
  ] as const)('takes %s', async (_, given, kinds) => {
    const made = await plan(given)
    expect(made.triggers.map(({kind}) => kind)).toEqual(kinds)
    expect(made.longestMs).toBeLessThanOrEqual(25_000)
  })

  it('takes the link down as the last resort, where that is written, fits, and does something', async () => {
    const qmp = join(dir, 'qmp')
    const open = await qmpDouble(qmp, {macs: {net0: CLIENT.mac}})
    const link = {kind: 'carrier', link: {mac: CLIENT.mac, qmp}, longestMs: 10_000}
    const kinds = async (given: Given) => (await plan(given)).triggers.map(({kind}) => kind)
    const vm = (client: string) => `, dhcp: {client: ${client}, carrier: {qmp: ${qmp}}}`
    const made = await plan({vm: vm('networkd')})
    expect(made.triggers).toEqual([link])
    expect(dhcp.describe(made).join('\n')).toContain(
      `as the last resort, take its link down for 1 s and up again (QMP ${qmp}) and see whether it asks within 10 s: nothing reaches it for 1 s, and systemd-networkd is without its address until its server answers`,
    )
    expect(await kinds({vm: vm('networkd'), segment: ', renewEvery: 5'})).toEqual(['wait', 'carrier'])
    // No time is left for it, and its client asks by itself.
    expect(await kinds({vm: vm('networkd'), segment: ', renewEvery: 20'})).toEqual(['wait'])
    expect(await kinds({vm: vm('udhcpc'), segment: ', renewEvery: 5'})).toEqual(['wait'])
    await expect(plan({vm: ', dhcp: {client: networkd}'})).rejects.toThrow(
      'as a last resort its link (vms.web-07.dhcp.carrier)',
    )
    // It is of no use to that one.
    await expect(plan({vm: vm('networkmanager')})).rejects.toThrow(/dhcp\.guestAgent\), or see docs\/dhcp\.md$/)
    open.close()

    // Not its hypervisor.
    const elsewhere = await plan({vm: vm('networkd'), segment: ', renewEvery: 5'})
    expect(elsewhere.triggers.map(({kind}) => kind)).toEqual(['wait'])
    expect(elsewhere.cautions[0]).toMatch(
      /^does not take the link of web-07 down, whatever comes: \S+qmp: no such socket/,
    )
    await expect(plan({vm: vm('networkd')})).rejects.toThrow('no such socket')
  })

  it.each([
    [
      'stock dhclient',
      {vm: ', dhcp: {client: dhclient}', segment: ', renewEvery: 5'},
      'web-07 runs stock dhclient, which keeps its old router on a renewal: install the exit hook',
    ],
    ['a client that its server never heard', {nonces: NONCES}, 'was not heard by its server yet'],
    ['one without a nonce', {log: ACK}, 'was given no nonce by its server'],
    [
      'one that does not listen, with a long lease',
      {log: ACK, nonces: NONCES, vm: ', dhcp: {client: networkd}', segment: ', renewEvery: 43200'},
      'web-07 (networkd) does not listen for FORCERENEW, and it asks by itself only within 43201 s, longer than a switch may take, and a lease cannot be shortened after the fact',
    ],
  ] as const)('refuses %s', async (_, given, message) => {
    await expect(plan(given)).rejects.toThrow(message)
  })

  it('knows when a client asks from the ACK that was seen', async () => {
    const store = await openClientStore(join(dir, 'state.db'))
    const now = fakeWorld().now()
    store.learn({...SEEN, atNs: now - 2_000_000_000n})
    store.close()
    // Of a T1 of 8 s, 6 are left; a rollback may take all of it.
    expect((await plan({vm: ', dhcp: {client: networkd}'})).triggers).toEqual([{kind: 'wait', longestMs: 9000}])
  })

  it.each([
    ['T1 of a day', {leaseS: 86_400, renewS: 43_200}, ', dhcp: {client: networkd}', 43_141],
    ['udhcpc, which reads no T1', {leaseS: 3600, renewS: 10}, ', dhcp: {client: udhcpc}', 1801],
  ])('goes by the ACK that was seen, and not by the inventory that was changed since: %s', async (_, times, vm, s) => {
    const store = await openClientStore(join(dir, 'state.db'))
    const now = fakeWorld().now()
    const ack = {kind: 'ack', mac: CLIENT.mac, ip: CLIENT.ip, xid: 1, router: '10.0.0.1'} as const
    store.learn({...ack, ...times, atNs: now - 60_000_000_000n, serverId: undefined, nonce: undefined})
    store.close()
    await expect(plan({vm, segment: ', renewEvery: 10'})).rejects.toThrow(
      `it asks by itself only within ${s} s, longer than a switch may take`,
    )
  })

  it('triggers a client that listens by FORCERENEW, whatever another kind of it was seen as before', async () => {
    const store = await openClientStore(join(dir, 'state.db'))
    const request = {kind: 'request', mac: CLIENT.mac, ip: CLIENT.ip, xid: 1, discover: false} as const
    store.learn({...request, atNs: 1n, traits: {kind: 'udhcpc', canListen: false}})
    store.learn({...request, atNs: 2n, traits: {kind: undefined, canListen: true}})
    expect(store.read(CLIENT.mac)).toMatchObject({kind: undefined, canListen: true})
    store.close()
    expect((await plan({log: ACK, nonces: NONCES})).triggers).toMatchObject([{kind: 'forcerenew'}])
  })

  it('goes by the inventory where the ACK that was seen is of another time', async () => {
    const store = await openClientStore(join(dir, 'state.db'))
    const ack = {kind: 'ack', mac: CLIENT.mac, ip: CLIENT.ip, xid: 1, router: '10.0.0.1', leaseS: 86_400} as const
    const atNs = fakeWorld().now() - 90_000_000_000_000n
    store.learn({...ack, renewS: 43_200, atNs, serverId: undefined, nonce: undefined})
    store.close()
    const given = {vm: ', dhcp: {client: networkd}', segment: ', renewEvery: 10'}
    expect((await plan(given)).triggers).toEqual([{kind: 'wait', longestMs: 11_000}])
  })

  /** Every file in the directory with its bytes. */
  const filesOf = (where: string): Record<string, string> =>
    Object.fromEntries(readdirSync(where).map((name) => [name, readFileSync(join(where, name), 'latin1')]))

  it('makes no directory and no database', async () => {
    const state = join(dir, 'made', 'by', 'state.db')
    const server = DHCP().replace(`${dir}/state.db`, state)
    await plan({log: ACK, nonces: NONCES, server})
    expect(Object.keys(filesOf(dir)).sort()).toEqual(['log', 'nonces', 'opts', 'pid'])
  })

  it('reads what is remembered without a trace, whether another process has it open or not', async () => {
    const store = await openClientStore(join(dir, 'state.db'))
    store.learn({...SEEN, atNs: fakeWorld().now() - 2_000_000_000n})
    const vm = ', dhcp: {client: networkd}'
    const expected = [{kind: 'wait', longestMs: 9000}]
    for (const closed of [false, true]) {
      if (closed) store.close()
      await plan({vm})
      const before = filesOf(dir)
      expect((await plan({vm})).triggers).toEqual(expected)
      const after = filesOf(dir)
      expect(Object.keys(after)).toEqual(Object.keys(before))
      // The index of an open log is memory of those who read it, too.
      for (const name of Object.keys(after).filter((each) => !each.endsWith('-shm')))
        expect(after[name] === before[name], name).toBe(true)
      if (closed) expect(Object.keys(after).filter((name) => name.startsWith('state'))).toEqual(['state.db'])
    }
  })

  it('says that a file is no record of clients', async () => {
    writeFileSync(join(dir, 'state.db'), 'something else')
    await expect(plan({log: ACK, nonces: NONCES})).rejects.toThrow('state.db: cannot read what DHCP clients said')
  })

  it.each([
    [
      'is told apart',
      ', ip6: ["2001:db8::10"]',
      'ry has IPv6 addresses; unless web-07 leaves through ry over IPv6 already',
    ],
    ['of the VM is not in the inventory', '', 'the inventory gives web-07 no ip6'],
  ])('says that it leaves IPv6 behind where that %s', async (_, vm, words) => {
    const text = INVENTORY.replace('prefix: 10.0.0.0/24', `prefix: 10.0.0.0/24\n    ${DHCP()}}`)
      .replace('strategies: [agent, dhcp] }', `strategies: [agent, dhcp]${vm} }`)
      .replace('mac: "02:00:00:00:0b:01" }', 'mac: "02:00:00:00:0b:01", ip6: ["fe80::b"] }')
    const made = await plan({log: ACK, nonces: NONCES}, undefined, parseInventory(text, 'gwswitch.yaml'))
    expect(made.scene.families).toEqual(vm === '' ? [4] : [4, 6])
    expect(dhcp.describe(made)[0]).toContain(words)
  })

  it('refuses what it cannot see or cannot tell apart', async () => {
    await expect(plan({log: ACK, nonces: NONCES}, [ethernetInterface()])).rejects.toThrow(
      "no interface here is on segment tenant-a: name the VM's port",
    )
    await expect(
      plan({log: ACK, nonces: NONCES}, [
        ethernetInterface({mac: CLIENT.mac, addresses: [{ip: '10.0.0.10', prefixLength: 24}]}),
      ]),
    ).rejects.toThrow('is the VM itself')
    const bare = parseInventory(INVENTORY, 'gwswitch.yaml')
    const ask = (vm: string) => dhcp.plan(switchoverFrom(resolveSwitchover(bare, {vm, to: 'y'})), {}, fakeWorld())
    await expect(ask('web-07')).rejects.toThrow('want segments.tenant-a.dhcp in the inventory')
    const shared = parseInventory(
      INVENTORY.replace('prefix: 10.1.0.0/24', 'prefix: 10.1.0.0/24\n    dhcp: {server: gwswitch}'),
      'gwswitch.yaml',
    )
    await expect(
      dhcp.plan(switchoverFrom(resolveSwitchover(shared, {vm: 'db-03', to: 'y'})), {}, fakeWorld()),
    ).rejects.toThrow('share the address 10.1.0.254')
  })
})

describe('the inventory of a DHCP server', () => {
  it.each([
    ['dhcp: {server: dhcpd}', 'segments.tenant-a.dhcp.server'],
    ['dhcp: {server: dnsmasq}', 'segments.tenant-a.dhcp.optsfile is missing (the server dnsmasq needs it)'],
    [
      'dhcp: {server: kea, optsfile: /x}',
      'segments.tenant-a.dhcp.optsfile is not for the server kea (want control, controls, ca, cert, key, persist, log, nonces)',
    ],
    ['dhcp: {server: kea, control: kea.sock}', 'segments.tenant-a.dhcp.control is not an absolute path'],
    ['dhcp: {server: isc, omapi: localhost}', 'segments.tenant-a.dhcp.omapi is not ADDRESS:PORT'],
    ['dhcp: {server: kea, adress: 10.0.0.9}', 'did you mean'],
    ['dhcp: {server: gwswitch, renewEvery: 0}', 'segments.tenant-a.dhcp.renewEvery is not a time'],
  ])('%s is refused', (server, message) => {
    const text = INVENTORY.replace('prefix: 10.0.0.0/24', `prefix: 10.0.0.0/24\n    ${server}`)
    expect(() => parseInventory(text, 'gwswitch.yaml')).toThrow(message)
  })
  it('of a VM too', () => {
    expect(() => inventoryWith({vm: ', dhcp: {client: pump}'})).toThrow('vms.web-07.dhcp.client')
    expect(() => inventoryWith({vm: ', dhcp: {carrier: {}}'})).toThrow('wants one of qmp and domain')
    expect(() => inventoryWith({vm: ', dhcp: {guest: /x}'})).toThrow('is not a key of the inventory')
    expect(inventoryWith({vm: ', dhcp: {client: udhcpc}'}).vms[0]!.dhcp).toEqual({client: 'udhcpc'})
  })
})

describe('client kinds', () => {
  const list = (...numbers: number[]) => ({code: dhcpOptions.parameterRequestList.code, data: Uint8Array.from(numbers)})
  const vendor = (text: string) => ({
    code: dhcpOptions.vendorClassIdentifier.code,
    data: new TextEncoder().encode(text),
  })
  const listens = {code: dhcpOptions.forcerenewNonceCapable.code, data: Uint8Array.of(1)}
  it.each([
    [[vendor('udhcp 1.35.0')], {kind: 'udhcpc', canListen: false}],
    [[vendor('dhcpcd-10.3.2:Linux'), listens], {kind: 'dhcpcd', canListen: true}],
    [[list(1, 121, 3), listens], {kind: 'dhcpcd', canListen: true}],
    [[list(1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42)], {kind: 'dhclient', canListen: false}],
    [[vendor('MSFT 5.0'), list(1, 3, 6)], {kind: undefined, canListen: false}],
    [[], {kind: undefined, canListen: false}],
  ])('are told by what they say: %#', (options, traits) => {
    expect(clientTraits(options)).toEqual(traits)
  })

  it.each([
    ['the inventory before all', 'networkd', {kind: 'udhcpc'}, {kind: 'dhcpcd', canListen: true}, 'networkd'],
    ['the server before what was seen', undefined, {kind: 'udhcpc'}, {kind: 'dhcpcd'}, 'udhcpc'],
    ['what was seen', undefined, undefined, {kind: 'dhclient', canListen: false}, 'dhclient'],
    ['no guess that its option 145 belies', undefined, {kind: undefined}, {kind: 'udhcpc', canListen: true}, undefined],
    ['what its server said of option 145', undefined, {canListen: true}, {kind: 'udhcpc', canListen: false}, undefined],
    ['a guess that takes option 145', undefined, {canListen: true}, {kind: 'dhcpcd'}, 'dhcpcd'],
  ] as const)('are known by %s', (_, said, told, seen, kind) => {
    expect(knownKind(said, told, seen)).toBe(kind)
  })
})

describe('printed configuration', () => {
  it.each(['dnsmasq', 'kea', 'isc'] as const)(
    'for %s holds the nonce of every VM in option 90, as an ACK carries it',
    (server) => {
      const {segments, vms} = inventoryWith()
      const blocks = printConfig({server, segment: segments[0]!, vms, drawNonce: () => NONCE})
      const all = blocks.map(({text}) => text).join('\n')
      const data = /(?:03:?01:?00(?::?[0-9a-f]{2}){25})/i.exec(all.replaceAll('\n', ' '))![0].replaceAll(':', '')
      const authentication = dhcpOptions.authentication.read(Uint8Array.from(Buffer.from(data, 'hex')))
      expect(authentication).toMatchObject({protocol: 3, algorithm: 1, replayMethod: 0, replay: 1n})
      expect([...authentication.information]).toEqual([1, ...NONCE])
      expect(blocks.every(({file, note}) => file !== '' && note !== '')).toBe(true)
      expect(
        readOption([{code: 90, data: Uint8Array.from(Buffer.from(data, 'hex'))}], dhcpOptions.authentication),
      ).toEqual(authentication)
    },
  )
  it('is nothing for a segment without VMs', () => {
    const {segments} = inventoryWith()
    expect(() => printConfig({server: 'kea', segment: segments[0]!, vms: [], drawNonce: () => NONCE})).toThrow(
      'segment tenant-a has no VMs',
    )
  })
})
