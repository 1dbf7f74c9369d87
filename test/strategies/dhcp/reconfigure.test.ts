import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {Failure} from '../../../src/errors.ts'
import {reconfigureText} from '../../../src/orders/reconfigure/reconfigure-report.ts'
import type {ReconfigureOrder} from '../../../src/orders/reconfigure/reconfigure-request.ts'
import {runReconfigure} from '../../../src/orders/reconfigure/run-reconfigure.ts'
import {type ClientStore, openClientStore} from '../../../src/strategies/dhcp/client-store.ts'
import {findCredentials} from '../../../src/strategies/dhcp/credentials.ts'
import {parseDhcp} from '../../../src/wire/dhcp.ts'
import {dhcpOptions, readOption} from '../../../src/wire/dhcp-options.ts'
import {parseFrame} from '../../../src/wire/frames.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'
import {CLIENT, clientsBehind, type FakeClient, NONCE} from './support.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gwswitch-unit-'))
})
afterEach(() => rmSync(dir, {recursive: true, force: true}))

const ETH0 = ethernetInterface({mac: '02:00:00:00:0f:01', addresses: [{ip: '10.0.0.253', prefixLength: 24}]})
const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
const dhcpcd = (more: Partial<FakeClient> = {}): FakeClient => ({
  ...CLIENT,
  xid: 0x6d1a2b3c,
  nonce: NONCE,
  router: '10.0.0.2',
  ...more,
})

async function run(
  clients: readonly FakeClient[],
  over: Partial<ReconfigureOrder> = {},
  door: {dryRun?: boolean} = {},
) {
  const world = fakeWorld({interfaces: [ETH0], onSend: clientsBehind(clients)})
  writeFileSync(join(dir, 'nonces'), Buffer.from(NONCE).toString('hex'))
  const order = {
    client: 'web-07',
    all: false,
    xid: '6d1a2b3c',
    nonceFile: join(dir, 'nonces'),
    unauthenticated: false,
    attempts: 3,
    timeoutMs: 1000,
    rate: 50,
    state: join(dir, 'state.db'),
    ...over,
  }
  const document = await runReconfigure(order, inventory, {
    world,
    signal: new AbortController().signal,
    dryRun: false,
    ...door,
  })
  const sent = world.sent.map((bytes) => {
    const frame = parseFrame(bytes)
    if (frame.kind !== 'udp') throw new Error(frame.kind)
    return {...frame, dhcp: parseDhcp(frame.udp.payload)}
  })
  return {document, sent, world, row: document.clients[0]!}
}

describe('send-reconfigure', () => {
  it('sees a client act, and stops there', async () => {
    const {document, sent, row, world} = await run([dhcpcd()])
    expect(row).toMatchObject({
      outcome: 'acted',
      router: '10.0.0.2',
      attempts: 1,
      toldBy: 'wire',
      canListen: true,
      advice: null,
    })
    expect(row.requestMs).toBeCloseTo(0.3)
    expect(row.ackMs).toBeCloseTo(1)
    expect(document.exitCode).toBe(0)
    expect(sent).toHaveLength(1)
    expect(sent[0]).toMatchObject({
      ethernet: {destination: CLIENT.mac, source: ETH0.mac},
      ip: {source: '10.0.0.253', destination: CLIENT.ip},
      udp: {destinationPort: 68},
    })
    expect(sent[0]!.udp.sourcePort).not.toBe(67)
    expect(world.openLinks).toBe(0)
    expect(reconfigureText(document)).toEqual([
      'ACTED  web-07 (10.0.0.10)  02:00:00:00:00:10    router 10.0.0.2, ACK 1.0 ms after the FORCERENEW',
    ])
  })

  it('repeats what was lost with twice the wait and a higher replay value', async () => {
    const {sent, row} = await run([dhcpcd({lose: 2})])
    expect(row).toMatchObject({outcome: 'acted', attempts: 3})
    const replays = sent.map(({dhcp}) => readOption(dhcp.options, dhcpOptions.authentication)!.replay)
    expect(replays[1]).toBe(replays[0]! + 1_000_000_000n)
    expect(replays[2]).toBe(replays[1]! + 2_000_000_000n)
  })

  it('reads the xid anew before each try: a client that renewed by itself meanwhile is still reached', async () => {
    const state = join(dir, 'state.db')
    const acked = {
      kind: 'ack',
      atNs: 1n,
      mac: CLIENT.mac,
      ip: CLIENT.ip,
      router: '10.0.0.1',
      serverId: '10.0.0.254',
      nonce: NONCE,
      leaseS: 3600,
      renewS: 1800,
    } as const
    // Another process listens, and writes down what it sees.
    const listener = await openClientStore(state)
    listener.learn({...acked, xid: 1})
    const client = dhcpcd({xid: 77})
    const behind = clientsBehind([client])
    const world = fakeWorld({
      interfaces: [ETH0],
      onSend(bytes, there) {
        behind(bytes, there)
        listener.learn({...acked, xid: 77})
      },
    })
    const order = {client: 'web-07', all: false, unauthenticated: false, attempts: 3, timeoutMs: 1000, rate: 50, state}
    const document = await runReconfigure(order, inventory, {
      world,
      signal: new AbortController().signal,
      dryRun: false,
    })
    listener.close()
    const xids = world.sent.map(
      (bytes) => parseDhcp((parseFrame(bytes) as {udp: {payload: Uint8Array}}).udp.payload).xid,
    )
    expect(xids).toEqual([1, 77])
    expect(document.clients[0]).toMatchObject({outcome: 'acted', attempts: 2})
  })

  it.each([
    ['a client without a listener', {manner: 'deaf'}, {}, {outcome: 'unreachable', attempts: 1}, 4, 'udhcpc'],
    ['a NAK', {answer: 'nak'}, {}, {outcome: 'refused', router: null}, 4, 'begins anew'],
    [
      'another router than wanted',
      {router: '10.0.0.1'},
      {router: '10.0.0.2'},
      {outcome: 'refused', router: '10.0.0.1'},
      4,
      'still gives 10.0.0.1',
    ],
    [
      'a server that does not answer',
      {answer: 'none'},
      {},
      {outcome: 'unanswered', attempts: 1},
      5,
      'reachable from the site',
    ],
    [
      'a client that takes no notice',
      {manner: 'mute'},
      {},
      {outcome: 'silent', attempts: 3},
      5,
      'either it does not listen',
    ],
    [
      'an ACK without a router where one is wanted',
      {router: undefined},
      {router: '10.0.0.2'},
      {outcome: 'refused', router: null},
      4,
      'gives no router, not 10.0.0.2',
    ],
    ['a wrong xid', {xid: 5}, {}, {outcome: 'silent', attempts: 3}, 5, 'xid and nonce are not its own'],
    [
      'a signature that is asked for and not there',
      {},
      {unauthenticated: true},
      {outcome: 'silent'},
      5,
      'does not listen',
    ],
  ] as const)('tells %s', async (_, client, over, row, exitCode, advice) => {
    const {document} = await run([dhcpcd(client)], over)
    expect(document.clients[0]).toMatchObject(row)
    expect(document.exitCode).toBe(exitCode)
    expect(document.clients[0]!.advice).toContain(advice)
  })

  it('says of an ACK without a router that it is no NAK', async () => {
    const {document} = await run([dhcpcd({router: undefined})], {router: '10.0.0.2'})
    expect(reconfigureText(document)[0]).toContain('renewed, but the ACK gives no router')
    expect((await run([dhcpcd({router: undefined})])).row).toMatchObject({outcome: 'acted', router: null})
  })

  it('says what --unauthenticated opens, and reaches a client that does not check', async () => {
    const {nonce: _, ...careless} = dhcpcd()
    const {document, sent} = await run([careless], {unauthenticated: true, nonceFile: undefined})
    expect(document.clients[0]!.outcome).toBe('acted')
    expect(document.warnings.join()).toContain('CVE-2020-13529')
    expect(readOption(sent[0]!.dhcp.options, dhcpOptions.authentication)).toBeUndefined()
  })

  it('sends to a whole segment at the rate asked for, one row a client', async () => {
    const store = await openClientStore(join(dir, 'state.db'))
    const clients = Array.from({length: 40}, (_, i) =>
      dhcpcd({
        ip: `10.0.0.${100 + i}`,
        mac: `02:00:00:00:01:${(16 + i).toString(16)}`,
        xid: i + 1,
        ...(i % 10 === 3 && {manner: 'mute'}),
      }),
    )
    for (const {ip, mac, xid} of clients) {
      store.learn({
        kind: 'ack',
        atNs: 1n,
        mac,
        xid,
        ip,
        router: '10.0.0.1',
        serverId: undefined,
        nonce: NONCE,
        leaseS: 60,
        renewS: 30,
      })
    }
    store.close()
    const progress: number[] = []
    const {document, sent} = await run(
      clients,
      {client: undefined, all: true, segment: 'tenant-a', xid: undefined, nonceFile: undefined, rate: 20, attempts: 1},
      {
        progress: (done: number) => void progress.push(done),
      } as object,
    )
    const outcomes = document.clients.map(({outcome}) => outcome)
    expect(outcomes.filter((outcome) => outcome === 'acted')).toHaveLength(36)
    expect(outcomes.filter((outcome) => outcome === 'silent')).toHaveLength(4)
    // web-07 of the inventory was never heard of.
    expect(document.clients.find(({client}) => client === 'web-07')).toMatchObject({
      outcome: 'skipped',
      advice: expect.stringContaining('no transaction'),
    })
    expect(document.exitCode).toBe(4)
    expect(progress.at(-1)).toBe(41)
    const replays = sent.map(({dhcp}) => readOption(dhcp.options, dhcpOptions.authentication)!.replay)
    expect(Number(replays[1]! - replays[0]!) / 1e6).toBeCloseTo(50, 0)
  })

  it('sends nothing in a dry run, and uses up no replay value', async () => {
    const {document, sent} = await run([dhcpcd()], {}, {dryRun: true})
    expect(sent).toEqual([])
    expect(document.frames).toMatchObject([{client: 'web-07', xid: '6d1a2b3c', authenticated: true, layer: 'ethernet'}])
    expect(reconfigureText(document)[0]).toBe(
      'would send web-07 (10.0.0.10, 02:00:00:00:00:10) a FORCERENEW, xid 6d1a2b3c from the command line',
    )
  })

  it.each([
    [{client: 'web-8', xid: undefined}, 'gwswitch.yaml: no VM "web-8"'],
    [{client: undefined}, 'name a client'],
    [{client: undefined, all: undefined}, 'name a client'],
    [{all: true}, '--all means every client'],
    [{client: undefined, all: true, segment: 'tenant-a'}, "--xid is one client's"],
    [{xid: '123456789'}, '--xid 123456789 is not a transaction id'],
    [{xid: 'zz'}, '--xid zz is not a transaction id'],
    [{mac: 'ff:ff:ff:ff:ff:ff'}, 'which no station has'],
    [{serverId: '10.0.0.999'}, '--server-id 10.0.0.999 is not an IPv4 address'],
    [{router: 'ry'}, '--router ry is not an IPv4 address'],
    [{client: '224.0.0.1'}, 'no address a client can have'],
    [{client: '10.0.0.77'}, 'the MAC of 10.0.0.77 is not known: give --mac'],
    [{xid: undefined}, 'no transaction of web-07'],
    [{nonceFile: undefined}, 'no nonce of web-07'],
    [{nonceFile: '/nonexistent/nonce'}, '--nonce-file /nonexistent/nonce: no such file'],
    [{client: undefined, all: true, xid: undefined, segment: 'tenant-c'}, 'no segment "tenant-c"'],
    [{interfaceName: 'eth9'}, 'no interface eth9'],
  ] as const)('refuses %j before anything is sent', async (over, message) => {
    await expect(run([dhcpcd()], over as Partial<ReconfigureOrder>)).rejects.toThrow(message)
    await expect(run([dhcpcd()], over as Partial<ReconfigureOrder>)).rejects.toBeInstanceOf(Failure)
  })

  it.each([
    ['udhcpc', 'web-07 runs udhcpc, which has no listener while it holds its lease: kill -USR1'],
    ['networkd', 'web-07 runs systemd-networkd, which ignores FORCERENEW: networkctl renew IF'],
    ['networkmanager', 'web-07 runs NetworkManager, which ignores FORCERENEW: nmcli device reapply IF'],
    ['dhclient', 'web-07 runs stock dhclient, which ignores FORCERENEW and keeps its old router on a renewal'],
    ['dhclient-hook', 'web-07 runs dhclient, which ignores FORCERENEW: wait for T1'],
  ] as const)('says of a client that cannot listen what it is (%s), and not how to sign', async (kind, message) => {
    const sources = {
      world: fakeWorld(),
      store: {read: () => ({kind})} as unknown as ClientStore,
      unauthenticated: false,
    }
    const refused = expect.objectContaining({kind: 'refused', message: expect.stringContaining(message)})
    await expect(findCredentials(CLIENT, sources)).rejects.toEqual(refused)
    const told = {...sources, store: {read: () => undefined} as unknown as ClientStore, kindOf: () => kind}
    await expect(findCredentials(CLIENT, told)).rejects.toEqual(refused)
  })

  it('signs for a client that says that it listens, whatever it was taken for before', async () => {
    const store = {read: () => ({kind: 'udhcpc', canListen: true, xid: 7, nonce: NONCE})} as unknown as ClientStore
    const sources = {world: fakeWorld(), store, unauthenticated: false, dryRun: true}
    expect(await findCredentials(CLIENT, sources)).toMatchObject({xid: 7, key: {nonce: NONCE}})
  })

  it('asks for a source address where the interface has none on the subnet', async () => {
    const {ip, mac} = CLIENT
    const world = fakeWorld({interfaces: [ethernetInterface({addresses: []})], onSend: clientsBehind([dhcpcd()])})
    const order = {
      client: ip,
      mac,
      all: false,
      interfaceName: 'eth0',
      xid: '6d1a2b3c',
      unauthenticated: true,
      attempts: 1,
      timeoutMs: 1000,
      rate: 1,
      state: join(dir, 'state.db'),
    }
    const door = {world, signal: new AbortController().signal, dryRun: false}
    await expect(runReconfigure(order, undefined, door)).rejects.toThrow('give --server-id')
    expect(world.sent).toEqual([])
  })

  it('is stopped between two tries', async () => {
    const controller = new AbortController()
    const world = fakeWorld({
      interfaces: [ETH0],
      onSend: () => setImmediate(() => controller.abort(new Failure('runtime', 'stopped by SIGINT'))),
    })
    const order = {
      client: 'web-07',
      all: false,
      xid: '1',
      unauthenticated: true,
      attempts: 5,
      timeoutMs: 1000,
      rate: 1,
      state: join(dir, 'state.db'),
    }
    await expect(runReconfigure(order, inventory, {world, signal: controller.signal, dryRun: false})).rejects.toThrow(
      'stopped by SIGINT',
    )
    expect(world.sent).toHaveLength(1)
    expect(world.openLinks).toBe(0)
  })
})
