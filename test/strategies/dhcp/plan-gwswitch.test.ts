// Plans for VMs that `gwswitch serve dhcp` serves: what it tells of a client decides.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import type {SegmentDhcp} from '../../../src/domain/inventory/segment-dhcp.ts'
import {resolveSwitchover, switchoverFrom} from '../../../src/domain/inventory/switchover.ts'
import {serveJson} from '../../../src/net/stream/json-lines.ts'
import type {UnixServer} from '../../../src/net/stream/unix-socket.ts'
import {type ControlParts, controlSession, serverStatus, watchers} from '../../../src/services/dhcp/control.ts'
import {backendFor} from '../../../src/strategies/dhcp/backends/backends.ts'
import type {DhcpPlan} from '../../../src/strategies/dhcp/plan.ts'
import {planDhcp} from '../../../src/strategies/dhcp/plan.ts'
import {factsFor, type Options} from '../../domain/dhcp/maker.ts'
import {engineFor, vmDiscover, vmRenew, vmSelect} from '../../services/dhcp/engine-in-memory.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'

const DHCLIENT: Options = {parameterRequestList: [1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42]}
const UDHCPC: Options = {vendorClassIdentifier: 'udhcp 1.35.0'}
const SILENT: Options = {}

let dir = ''
let socket: UnixServer | undefined
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gwswitch-plan-'))
})
afterEach(async () => {
  await socket?.close()
  socket = undefined
  rmSync(dir, {recursive: true, force: true})
})

type Server = ReturnType<typeof engineFor>

/** A server that web-07 has had a lease of for as long as the clock was moved since. */
async function served(options: Options, times: {leaseS?: number; t1S?: number}): Promise<Server> {
  const server = engineFor({}, factsFor(times))
  await server.deliver(vmDiscover(options), vmSelect(options))
  await listen(server)
  return server
}

async function listen({engine, renewer, clock, outside}: Server, peer?: ControlParts['peer']): Promise<void> {
  await socket?.close()
  const parts = {
    ...{engine, forcerenewer: renewer, nowMs: () => clock.nowMs, watchers: watchers(), warn: outside.warn},
    ...{interfaceName: 'eth0', sinceMs: 0, residentBytes: () => 1},
    ...(peer && {peer}),
    status: () => serverStatus(parts),
  }
  socket = await serveJson(join(dir, 'sock'), {lineLimit: 16_384, connectionLimit: 8}, (lines) =>
    controlSession(parts, lines),
  )
}

function plan({clock}: Server, renewEvery?: number): Promise<DhcpPlan> {
  const every = renewEvery === undefined ? '' : `, renewEvery: ${renewEvery}`
  const server = `dhcp: {server: gwswitch, control: ${dir}/sock, state: ${dir}/state.db${every}}`
  const inventory = parseInventory(INVENTORY.replace('prefix: 10.0.0.0/24', `prefix: 10.0.0.0/24\n    ${server}`), 'g')
  const world = fakeWorld({interfaces: [ethernetInterface({addresses: [{ip: '10.0.0.2', prefixLength: 24}]})]})
  const switchover = switchoverFrom(resolveSwitchover(inventory, {vm: 'web-07', to: 'y'}))
  return planDhcp(switchover, {}, {...world, now: () => BigInt(clock.nowMs) * 1_000_000n})
}

describe('a plan with gwswitch serve dhcp', () => {
  it('refuses the renewal of stock dhclient on its first switch, as the server says what runs there', async () => {
    expect(await plan(await served(DHCLIENT, {t1S: 10}))).toMatchObject({
      client: 'dhclient',
      triggers: [{kind: 'nak', longestMs: 11_000}],
    })
  })

  it('waits for the renewal of others', async () => {
    expect(await plan(await served(SILENT, {t1S: 10}))).toMatchObject({
      client: null,
      triggers: [{kind: 'wait', longestMs: 11_000}],
    })
  })

  it('does not count on T1 where the client does not', async () => {
    const asksAfter = (s: number) =>
      `web-07 (udhcpc) does not listen for FORCERENEW, and it asks by itself only within ${s} s`
    await expect(plan(await served(UDHCPC, {t1S: 10}))).rejects.toThrow(asksAfter(1801))
    await expect(plan(await served(UDHCPC, {t1S: 10}), 10)).rejects.toThrow(asksAfter(1801))
    expect((await plan(await served(UDHCPC, {leaseS: 40, t1S: 10}))).triggers).toEqual([
      {kind: 'wait', longestMs: 21_000},
    ])
  })

  it('refuses a lease of a day, whatever server and inventory say since', async () => {
    const before = await served(SILENT, {leaseS: 86_400})
    const after = engineFor({}, factsFor({leaseS: 86_400, t1S: 10}), before.books)
    await listen(after)
    after.pass(3_600_000)
    const refusal = `it asks by itself only within ${43_200 - 3600 + 1} s, longer than a switch may take, and a lease cannot be shortened after the fact`
    await expect(plan(after, 10)).rejects.toThrow(refusal)
    // Once its old T1 is nearly over, what comes then is short.
    after.pass(43_200_000 - 3_600_000 - 5000)
    expect((await plan(after, 10)).triggers).toEqual([{kind: 'wait', longestMs: 11_000}])
    await after.deliver(vmRenew(6, SILENT))
    expect((await plan(after)).triggers).toEqual([{kind: 'wait', longestMs: 11_000}])
  })

  it('does not wait for one that should have asked long ago', async () => {
    const server = await served(SILENT, {t1S: 10})
    server.pass(14_000)
    expect((await plan(server)).triggers).toEqual([{kind: 'wait', longestMs: 11_000}])
    server.pass(60_000)
    await expect(plan(server)).rejects.toThrow('and when it will ask by itself is not known')
  })
})

it('a plan says that the other server of the segment is out of reach, and a switch that it was not told', async () => {
  const server = await served(UDHCPC, {leaseS: 10})
  const caution =
    'the other DHCP server of the segment (10.0.0.4:647) is out of reach: it is told when it is back, and a client that it answers until then gets what it gave before'
  for (const [connected, word] of [
    [true, 'taken'],
    [true, 'unreachable'],
    [false, 'unreachable'],
  ] as const) {
    await listen(server, {
      status: () => ({peer: '10.0.0.4:647', connected, since: '', lastSequence: 0}),
      tell: async () => word,
    })
    const {cautions, server: dhcp} = await plan(server)
    expect(cautions.includes(caution)).toBe(!connected)
    const backend = backendFor(dhcp as unknown as SegmentDhcp, {segment: 'tenant-a', world: {sleep: async () => {}}})
    const client = {name: 'web-07', ip: '10.0.0.10', mac: '02:00:00:00:00:10'}
    await backend.setRouter(client, {site: 'y', ip: '10.0.0.2'})
    expect(await backend.condition!()).toBe(
      word === 'taken' ? undefined : 'the other DHCP server of the segment (10.0.0.4:647) is out of reach',
    )
  }
})
