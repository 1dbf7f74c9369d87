// `send-reconfigure --all` against our own server's control socket.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {reconfigureText} from '../../../src/orders/reconfigure/reconfigure-report.ts'
import type {ReconfigureOrder} from '../../../src/orders/reconfigure/reconfigure-request.ts'
import {runReconfigure} from '../../../src/orders/reconfigure/run-reconfigure.ts'
import {type ControlDouble, controlDouble, type LeaseDouble, leaseDouble} from '../../strategies/dhcp/control-double.ts'
import {clientsBehind, type FakeClient, NONCE} from '../../strategies/dhcp/support.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'

let dir: string
let server: ControlDouble | undefined
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gwswitch-all-'))
})
afterEach(async () => {
  await server?.close()
  rmSync(dir, {recursive: true, force: true})
})

const ETH0 = ethernetInterface({mac: '02:00:00:00:0f:01', addresses: [{ip: '10.0.0.253', prefixLength: 24}]})
const many = (count: number): LeaseDouble[] =>
  Array.from({length: count}, (_, i) =>
    leaseDouble({
      ip: `10.0.0.${i % 250}`,
      mac: `02:00:00:01:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`,
      xid: i + 1,
    }),
  )
/** Clients as their server knows them. */
const behind = (leases: readonly LeaseDouble[]): FakeClient[] =>
  leases.map(({ip, mac, xid}) => ({ip, mac, xid, nonce: NONCE, router: '10.0.0.1'}))

async function all(leases: readonly LeaseDouble[], over: Partial<ReconfigureOrder> = {}, dryRun = false) {
  const control = join(dir, 'control')
  server = await controlDouble(control, leases)
  const inventory = parseInventory(
    INVENTORY.replace(
      'prefix: 10.0.0.0/24',
      `prefix: 10.0.0.0/24\n    dhcp: {server: gwswitch, control: ${control}, state: ${dir}/state.db}`,
    ),
    'gwswitch.yaml',
  )
  const world = fakeWorld({interfaces: [ETH0], onSend: clientsBehind(behind(leases))})
  const order = {all: true, unauthenticated: false, attempts: 2, timeoutMs: 1000, rate: 1000, ...over}
  const document = await runReconfigure(order, inventory, {world, signal: new AbortController().signal, dryRun})
  return {document, world}
}

describe('send-reconfigure --all', () => {
  it.each([true, false])('of a server without a lease has nothing to do (dry run: %s)', async (dryRun) => {
    const {document, world} = await all([], {}, dryRun)
    expect(document).toMatchObject({exitCode: 0, clients: [], frames: [], dryRun})
    expect(reconfigureText(document)).toEqual(['no client has a lease: nothing to send'])
    expect(world.openLinks).toBe(0)
  })

  it('of nobody still says that an interface is none', async () => {
    await expect(all([], {interfaceName: 'eth9'})).rejects.toThrow('no interface eth9')
  })

  // One at a time; the server may notice the end of the one before late.
  const FEW = 4

  it('asks for 300 clients over one connection, at any rate', async () => {
    const {document} = await all(many(300))
    expect(document.clients.filter(({outcome}) => outcome === 'acted')).toHaveLength(300)
    expect(server!.most).toBeLessThan(FEW)
  })

  it('shows the frames of more clients than the server takes connections', async () => {
    const {document, world} = await all(many(100), {}, true)
    expect(document).toMatchObject({exitCode: 0, clients: []})
    expect(document.frames).toHaveLength(100)
    expect(server!.most).toBeLessThan(FEW)
    expect(world.sent).toEqual([])
  })

  it('skips a client without a nonce, in a dry run as in a real one', async () => {
    const leases = many(3)
    leases[1]!.nonce = undefined
    const skipped = {
      ip: '10.0.0.1',
      outcome: 'skipped',
      advice: expect.stringContaining('10.0.0.1 did not send option 145'),
    }
    const dry = (await all(leases, {}, true)).document
    expect(dry).toMatchObject({exitCode: 4, clients: [skipped], frames: [{ip: '10.0.0.0'}, {ip: '10.0.0.2'}]})
    expect(reconfigureText(dry).at(-1)).toMatch(
      /^would send 10\.0\.0\.1 \(.*\) nothing: 10\.0\.0\.1 did not send option 145/,
    )
    await server!.close()
    const real = (await all(leases)).document
    expect(real).toMatchObject({exitCode: 4, clients: [{outcome: 'acted'}, skipped, {outcome: 'acted'}]})
  })
})
