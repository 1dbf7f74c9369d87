// The back end of a shim, and when it is the one that counts.
import {chmodSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import type {SegmentDhcp} from '../../../src/domain/inventory/segment-dhcp.ts'
import {serveJson} from '../../../src/net/stream/json-lines.ts'
import {runReconfigure} from '../../../src/orders/reconfigure/run-reconfigure.ts'
import {backendFor} from '../../../src/strategies/dhcp/backends/backends.ts'
import {checkVantage, chooseServer, whoAnswers} from '../../../src/strategies/dhcp/choose-server.ts'
import {derivedNonce} from '../../../src/wire/dhcp-auth.ts'
import {parseFrame} from '../../../src/wire/frames.ts'
import {inventory, NOW, SERVER, VM_IP, VM_MAC} from '../../domain/dhcp/maker.ts'
import {PORT, SECRET, type ShimInMemory, shimInMemory, useScratch} from '../../services/shim-in-memory.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'

const CLIENT = {name: 'web-07', ip: VM_IP, mac: VM_MAC}
const [X, Y] = [
  {site: 'x', ip: '10.0.0.1'},
  {site: 'y', ip: '10.0.0.2'},
]
const SEGMENT = inventory.segments.find(({name}) => name === 'tenant-a')!

const scratch = useScratch()
const control = (): string => join(scratch.dir, 'sock')

async function listening(change: (shim: ShimInMemory) => void = (shim) => shim.lease(1)): Promise<ShimInMemory> {
  const shim = shimInMemory('y')
  await shim.listen(control(), scratch.open)
  change(shim)
  return shim
}

const backend = () =>
  backendFor({server: 'shim', control: control()}, {segment: SEGMENT.name, world: {sleep: async () => {}}})

describe('a shim as back end', () => {
  it('tells what the ACK at the VM’s port gave it, by what and until when', async () => {
    await listening()
    expect(await backend().lastTransaction(CLIENT)).toEqual({
      ...{xid: 1, serial: new Date(NOW).toISOString(), router: Y.ip, acked: Y.ip, serverId: SERVER, kind: undefined},
      ...{canListen: true, renewsNs: BigInt(NOW + 30_000) * 1_000_000n, renewS: 30},
    })
    expect(await backend().nonce(CLIENT)).toEqual(derivedNonce(SECRET, VM_MAC))
    // Each above the one before, and that of the ACK.
    const first = await backend().nextReplay!(CLIENT)
    expect([first > BigInt(NOW) * 1_000_000n, (await backend().nextReplay!(CLIENT)) > first]).toEqual([true, true])
  })

  it('says that its own site’s gateway comes next, and nothing of the VM alone', async () => {
    await listening()
    expect(await backend().statement(CLIENT)).toEqual({router: Y.ip, own: null, legible: true})
    await backend().setRouter(CLIENT, Y)
    await backend().restore(CLIENT, {router: Y.ip, own: null, legible: true})
    expect(await backend().statement(CLIENT)).toEqual({router: Y.ip, own: null, legible: true})
  })

  it('gives no other gateway, and leaves no order behind that was for one', async () => {
    const shim = await listening()
    await backend().nakNext!(CLIENT)
    expect(shim.clients.refused.size).toBe(1)
    await expect(backend().setRouter(CLIENT, X)).rejects.toThrow('the gateway of their site, here y')
    expect(shim.clients.refused.size).toBe(0)
  })

  it.each<[string, typeof X, (shim: ShimInMemory) => void, RegExp | undefined]>([
    ['its own gateway for a VM at a port', Y, (shim) => shim.lease(1), undefined],
    ['its own gateway for one that it has not heard yet', Y, () => {}, undefined],
    ['that of another site', X, (shim) => shim.lease(1), /gives web-07 10.0.0.2, not 10.0.0.1 \(site x\)/],
    [
      'its own for a VM that is gone',
      Y,
      (shim) => {
        shim.lease(1)
        shim.state.ports = []
      },
      /web-07 is at no port of this host/,
    ],
  ])('is asked for %s', async (_, to, change, problem) => {
    await listening(change)
    const checked = backend().check(CLIENT, to)
    if (problem === undefined) await checked
    else await expect(checked).rejects.toMatchObject({kind: 'usage', message: expect.stringMatching(problem)})
  })
})

describe('where a shim’s word is seen', () => {
  const BRIDGES: Readonly<Record<string, string>> = {[PORT.name]: 'br0', vx0: 'br0', tap0: 'fwbr0'}
  const world = {bridgeOf: async (name: string) => ({portOf: BRIDGES[name], isBridge: false})}

  it.each([
    ['at the VM’s port', PORT.name, true],
    ['at what lies behind it', 'tap0', true],
    ['at what is no bridge port', 'eth9', true],
    ['not at another port of the bridge', 'vx0', false],
  ])('is %s', async (_, via, sees) => {
    await listening()
    const checked = checkVantage(via, CLIENT, backend(), world)
    if (sees) await checked
    else await expect(checked).rejects.toMatchObject({kind: 'usage', message: expect.stringContaining('want -i vnet0')})
  })
})

describe('send-reconfigure at a hypervisor with a shim', () => {
  it('sends in the name of the server that the shim has seen, where the VM’s port has no address', async () => {
    await listening()
    const text = INVENTORY.replace(
      'prefix: 10.0.0.0/24',
      `prefix: 10.0.0.0/24\n    dhcp: {server: shim, control: ${control()}}`,
    )
    const world = fakeWorld({interfaces: [ethernetInterface({name: PORT.name, addresses: []})]})
    const order = {
      ...{
        client: 'web-07',
        interfaceName: PORT.name,
        state: join(scratch.dir, 'state.db'),
        all: false,
        unauthenticated: false,
      },
      ...{attempts: 1, timeoutMs: 1000, rate: 1},
    }
    const stage = {world, signal: new AbortController().signal, dryRun: true}
    const {frames} = await runReconfigure(order, parseInventory(text, 'gwswitch.yaml'), stage)
    expect(parseFrame(Buffer.from(frames[0]!.hex, 'hex'))).toMatchObject({ip: {source: SERVER, destination: VM_IP}})
  })
})

describe('the server that counts', () => {
  const kea: SegmentDhcp = {server: 'kea', state: '/s', address: SERVER}
  const named: SegmentDhcp = {server: 'shim', control: '/elsewhere'}
  const choose = (dhcp: SegmentDhcp | undefined, to = Y) => chooseServer({...SEGMENT, dhcp}, CLIENT, to, control())
  const shim = () => ({server: 'shim', control: control()})

  it.each<[string, SegmentDhcp | undefined, typeof Y, ((shim: ShimInMemory) => void) | undefined, () => object]>([
    ['a shim that has the VM at a port', undefined, Y, (made) => made.lease(1), shim],
    ['such a shim before the server of the inventory', kea, Y, (made) => made.lease(1), () => ({...kea, ...shim()})],
    ['the shim that the inventory names', named, Y, (made) => made.lease(1), () => named],
    [
      'such a shim, which will refuse it, for another site',
      kea,
      X,
      (made) => made.lease(1),
      () => ({...kea, ...shim()}),
    ],
    [
      'the inventory’s for another gateway of the shim’s own site, which the shim lets pass',
      kea,
      {site: 'y', ip: '10.0.0.9'},
      (made) => made.lease(1),
      () => kea,
    ],
    ['the inventory’s where the shim has not heard the VM', kea, Y, () => {}, () => kea],
    [
      'the inventory’s where the VM is at no port of the shim',
      kea,
      Y,
      (made) => {
        made.lease(1)
        made.state.ports = []
      },
      () => kea,
    ],
    ['the inventory’s where there is no shim', kea, Y, undefined, () => kea],
  ])('is %s', async (_, dhcp, to, change, expected) => {
    if (change) await listening(change)
    expect((await choose(dhcp, to)).dhcp).toEqual(expected())
  })

  it('is such a shim for who wants its client to renew, whatever that is given', async () => {
    await listening()
    expect((await whoAnswers(SEGMENT, CLIENT, undefined, control())).dhcp).toEqual(shim())
    expect((await whoAnswers({...SEGMENT, dhcp: kea}, CLIENT, undefined, '/nowhere')).dhcp).toEqual(kea)
    expect((await whoAnswers(SEGMENT, CLIENT, undefined, '/nowhere')).dhcp).toBeUndefined()
  })

  it('is said where it is not that of the inventory', async () => {
    await listening()
    const {caution} = await choose(kea)
    expect(caution).toContain(`web-07 at ${PORT.name}; kea, the server of the inventory, is told nothing`)
    expect((await choose(undefined)).caution).not.toContain('inventory')
    expect((await choose(named)).caution).toBeUndefined()
  })

  const deaf = async () => {
    const server = await serveJson(control(), {lineLimit: 100, connectionLimit: 8}, ({close}) => ({
      ...{onLine: close, onTooLong: close, onClose: () => {}},
    }))
    scratch.open.defer(() => server.close())
  }
  const others = async () => {
    await listening()
    chmodSync(scratch.dir, 0o755)
    process.seteuid!(65534)
    scratch.open.defer(() => process.seteuid!(0))
  }

  it.skipIf(process.geteuid?.() !== 0).each([
    ['does not answer', deaf, 'silent', /went away/],
    ['is not ours to ask', others, 'privilege', /is not ours to open/],
  ])('is not guessed where there is a shim that %s', async (_, prepare, kind, why) => {
    await prepare()
    await expect(choose(undefined)).rejects.toMatchObject({kind, message: expect.stringMatching(why)})
    const {dhcp, caution} = await choose(kea)
    expect(dhcp).toEqual(kea)
    expect(caution).toMatch(/do not know whether a shim here changes what kea says: /)
    expect(caution).toMatch(why)
  })

  it('is wanted in the inventory, or a shim', async () => {
    await expect(choose(undefined)).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringMatching(/want segments.tenant-a.dhcp in the inventory, or gwswitch serve dhcp-shim/),
    })
  })
})
