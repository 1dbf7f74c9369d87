// What is sent in a VM's place, and what is not, on a port in memory.
import {describe, expect, it} from 'vitest'
import type {PortInjector} from '../../src/net/packet/port-injector.ts'
import type {VantageWorld} from '../../src/net/vantage-world.ts'
import {type StandIn, type StandInPlace, standIn} from '../../src/probe/stand-in.ts'
import {arpFrame, icmpFrame} from '../../src/wire/frames.ts'
import {type FakeVm, vmBehind} from '../support/vm.ts'
import {ethernetInterface, type FakeWorld, fakeWorld} from '../support/world.ts'

const VM = {ip: '10.1.0.10', mac: '02:00:00:00:01:10'}
const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'
const NEAR_Y = '203.0.113.10'
const PORT = 'vnet0'
const never = new AbortController().signal

const PLACE: StandInPlace = {
  label: 'db-03',
  port: PORT,
  vm: {...VM, ip6: undefined},
  segment: {address: '10.1.0.0', length: 24},
  gateways: [
    {ip: '10.1.0.254', mac: BX},
    {ip: '10.1.0.254', mac: BY},
  ],
}

interface Host {
  readonly world: FakeWorld
  readonly injected: Uint8Array[]
  /** Injectors that are open. */
  readonly open: () => number
  stand(over?: Partial<StandInPlace>): Promise<StandIn>
}

function host(over: Partial<FakeVm> = {}): Host {
  const vm: FakeVm = {...VM, gatewayMac: BX, ...over}
  const world = fakeWorld({
    interfaces: [ethernetInterface({name: PORT, mac: 'fe:54:00:00:00:01', addresses: []})],
    onSend: vmBehind(vm, '10.1.0.254'),
  })
  const injected: Uint8Array[] = []
  let open = 0
  const injector = async (): Promise<PortInjector> => {
    open++
    return {name: 'gwswitch0', inject: (frame) => BigInt(injected.push(frame)), close: () => void open--}
  }
  const vantage: VantageWorld = {links: async () => [], learned: async () => [], injector}
  return {
    ...{world, injected, open: () => open},
    stand: (more) => standIn(world, vantage, {...PLACE, ...more}, never),
  }
}

describe("in a VM's place", () => {
  it('uses the gateway that the VM uses, as it answers what comes from there', async () => {
    const {stand, open} = host({gatewayMac: BY})
    const {world, close} = await stand()
    expect(await world.routeTo(NEAR_Y)).toMatchObject({gateway: '10.1.0.254', interface: PORT, source: VM.ip})
    expect(await world.resolveNeighbour('10.1.0.254', PORT)).toMatchObject({mac: BY})
    expect(await world.interfaces()).toMatchObject([
      {name: PORT, mac: VM.mac, addresses: [{ip: VM.ip, prefixLength: 24}]},
    ])
    await close()
    expect(open()).toBe(0)
  })

  it('is not taken where the VM does not answer: nothing is made, and nothing sent for it', async () => {
    const {stand, open, injected} = host({silent: true})
    await expect(stand()).rejects.toMatchObject({
      kind: 'silent',
      message: 'db-03 does not answer at vnet0: nothing is sent in its place',
    })
    expect([open(), injected]).toEqual([0, []])
  })

  it('sends as the VM into its port, and hears what goes to the VM alone', async () => {
    const {stand, world: real, injected} = host()
    const {world, close} = await stand()
    const link = await world.openLink(PORT)
    const heard: Uint8Array[] = []
    link.onFrame(({bytes}) => heard.push(bytes))
    const echo = (destination: string) =>
      icmpFrame(
        {destination, source: BY},
        {source: NEAR_Y, destination: VM.ip},
        {kind: 'echo-reply', identifier: 1, sequence: 1, payload: new Uint8Array(8)},
      )
    const before = real.sent.length
    expect(link.mac).toBe(VM.mac)
    link.send(echo(BX))
    expect(injected).toHaveLength(1)
    expect(real.sent).toHaveLength(before)
    real.deliver(echo(VM.mac), 0, 'outgoing')
    // Its own, as it comes in; and what goes to somebody else behind the port.
    real.deliver(echo(BX), 0, 'other-host')
    real.deliver(echo('02:00:00:00:01:11'), 0, 'outgoing')
    await real.sleep(1)
    expect(heard).toEqual([echo(VM.mac)])
    await close()
  })

  it('sends nothing more once the VM speaks elsewhere, and says so', async () => {
    const {stand, world: real, injected} = host()
    const {world, close} = await stand()
    const link = await world.openLink(PORT)
    const errors: string[] = []
    link.onError(({message}) => errors.push(message))
    const garp = {operation: 1, senderMac: VM.mac, senderIp: VM.ip, targetMac: VM.mac, targetIp: VM.ip}
    real.deliver(arpFrame({destination: 'ff:ff:ff:ff:ff:ff', source: VM.mac}, garp), 0, 'outgoing')
    await real.sleep(1)
    const message = 'db-03 speaks elsewhere now: nothing more is sent in its place at vnet0'
    expect(errors).toContain(message)
    expect(() => link.send(new Uint8Array(60))).toThrow(message)
    expect(() => link.sendMany([new Uint8Array(60)])).toThrow(message)
    expect(injected).toEqual([])
    await close()
  })

  it('asks nobody for a MAC: the answer would be for the VM to learn from', async () => {
    const {stand, injected} = host()
    const {world, close} = await stand()
    await expect(world.resolveNeighbour('10.1.0.2', PORT)).rejects.toMatchObject({
      kind: 'usage',
      message: "the MAC of 10.1.0.2 is not asked for in db-03's place: say 10.1.0.2=MAC, or name it in the inventory",
    })
    expect(injected).toEqual([])
    await close()
  })

  it.each([
    [
      'a gateway that nobody named',
      {gatewayMac: '02:00:00:00:0c:02'},
      {},
      /db-03 sends to 02:00:00:00:0c:02, which is no gateway/,
    ],
    [
      'a VM that answers no echo and says nothing',
      {dropsIcmp: true},
      {},
      /which gateway it uses cannot be seen from here/,
    ],
  ] as const)('cannot tell the way of %s', async (_what, vm, place, message) => {
    const {stand} = host(vm)
    const {world, close} = await stand(place)
    await expect(world.routeTo(NEAR_Y)).rejects.toThrow(message)
    await close()
  })

  it('wants an IPv6 address of the VM where one is needed', async () => {
    const {stand} = host()
    const {world, close} = await stand()
    await expect(world.routeTo('2001:db8:9::10')).rejects.toThrow(/no IPv6 address of db-03 is known/)
    await close()
  })
})
