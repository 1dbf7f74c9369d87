import {describe, expect, it} from 'vitest'
import {askEgress, type EgressQuestion} from '../../src/probe/egress.ts'
import {readPrefix} from '../../src/wire/address.ts'
import {parseEthernet} from '../../src/wire/ethernet.ts'
import {icmpFrame, udpFrame} from '../../src/wire/frames.ts'
import {parseIcmp} from '../../src/wire/icmp.ts'
import {parseIpv4} from '../../src/wire/ipv4.ts'
import {ethernetInterface, type FakeWorld, fakeWorld} from '../support/world.ts'

const VM = {ip: '10.1.0.10', mac: '02:00:00:00:01:10'}
const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'
const BEYOND = '203.0.113.1'

const ask = (world: FakeWorld, over: Partial<EgressQuestion> = {}) =>
  askEgress(
    {interfaceName: 'eth0', vm: VM, vlan: undefined, segment: readPrefix('10.1.0.0/24')!, ...over},
    world,
    new AbortController().signal,
  )

/** Echoes as they go out, with whom they claim to come from. */
const echoOf = (bytes: Uint8Array) => {
  const {etherType, payload} = parseEthernet(bytes)
  if (etherType !== 0x08_00) return undefined
  const packet = parseIpv4(payload)
  const icmp = parseIcmp(packet.payload)
  return icmp.kind === 'echo-request' ? {from: packet.source, icmp} : undefined
}

describe('what a VM says to a place that it is asked from', () => {
  const talking = (answers: boolean) => {
    const packet = {source: VM.ip, destination: BEYOND}
    const datagram = {sourcePort: 9, destinationPort: 9, payload: new Uint8Array(4)}
    const world: FakeWorld = fakeWorld({
      interfaces: [ethernetInterface()],
      onSend: (bytes) => {
        if (echoOf(bytes)?.from !== BEYOND) return
        world.deliver(udpFrame({destination: BY, source: VM.mac}, packet, datagram))
        // On a bridge our own question passes by on its way to the VM, and seems to come from there.
        world.deliver(bytes, 1)
        if (answers)
          world.deliver(udpFrame({destination: VM.mac, source: BY}, {source: BEYOND, destination: VM.ip}, datagram), 2)
      },
    })
    return world
  }

  it.each([false, true])('is its own traffic; our question is no answer to it (%s)', async (answers) => {
    const {paths} = await ask(talking(answers), {destinations: [BEYOND]})
    expect(paths).toEqual([{destination: BEYOND, mac: BY, by: 'traffic', answered: answers}])
  })
})

describe('a VM whose firewall answers the segment alone', () => {
  const fenced = (entry: string, heard: (mac: string) => boolean = () => true) => {
    const world: FakeWorld = fakeWorld({
      interfaces: [ethernetInterface()],
      onSend: (bytes) => {
        const echo = echoOf(bytes)
        if (!echo?.from.startsWith('10.1.0.')) return
        const destination = echo.from === '10.1.0.254' ? entry : ethernetInterface().mac
        if (!heard(destination)) return
        const back = {source: VM.ip, destination: echo.from}
        world.deliver(icmpFrame({destination, source: VM.mac}, back, {...echo.icmp, kind: 'echo-reply'}))
      },
    })
    return world
  }

  it('tells its neighbour entry for the address that the gateways share', async () => {
    const from = {control: '10.1.0.253', shared: '10.1.0.254'}
    expect(await ask(fenced(BY), from)).toMatchObject({elsewhere: true, entry: BY, paths: []})
    const here = (mac: string): boolean => mac !== BX
    expect(await ask(fenced(BX, here), from)).toMatchObject({elsewhere: true, entry: null, paths: []})
    expect((await ask(fenced(BX), {control: '10.1.0.253'})).entry, 'not asked').toBeUndefined()
  })
})

describe('on a machine that is late', () => {
  it('a VM that answers the last question has the time that it has to answer', async () => {
    const world: FakeWorld = fakeWorld({
      interfaces: [ethernetInterface()],
      onSend: (bytes) => {
        const echo = echoOf(bytes)
        if (echo?.icmp.sequence !== 3) return
        const back = {source: VM.ip, destination: echo.from}
        world.deliver(icmpFrame({destination: BY, source: VM.mac}, back, {...echo.icmp, kind: 'echo-reply'}), 50)
      },
    })
    const {sleep} = world
    world.sleep = (ms, signal) => sleep(ms + 1000, signal)
    expect(await ask(world, {waitMs: 500})).toMatchObject({alive: true, paths: [{mac: BY}, {mac: BY}]})
  })
})
