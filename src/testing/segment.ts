// A segment in memory: a VM, the gateways it may use, and what lies beyond them, for `fakeWorld`'s onSend.
import {ARP_REPLY, ARP_REQUEST, parseArp} from '../wire/arp.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, parseEthernet} from '../wire/ethernet.ts'
import {arpFrame, icmpFrame} from '../wire/frames.ts'
import {parseIcmp} from '../wire/icmp.ts'
import {parseIpv4, readIpv4Header} from '../wire/ipv4.ts'
import {type FakeVm, vmBehind} from './vm.ts'
import type {FakeWorld} from './world.ts'

export interface FakeGateway {
  readonly ip: string
  readonly mac: string
  /** It answers nothing at all. */
  dead?: boolean
  /** `refuses`: it says itself that it has no route. `silent`: packets vanish behind it. Default: everything answers. */
  beyond?: 'answers' | 'refuses' | 'silent'
}

/** What the segment does with a frame. `onTarget`: what is sent to an upstream interface of this host instead. */
export function segmentOf(vm: FakeVm, gateways: readonly FakeGateway[], gatewayIp: string) {
  const answer = vmBehind(vm, gatewayIp)
  return (bytes: Uint8Array, world: FakeWorld): void => {
    const frame = parseEthernet(bytes)
    if (frame.destination === vm.mac || frame.destination === 'ff:ff:ff:ff:ff:ff') answer(bytes, world)
    for (const gateway of gateways) {
      if (gateway.dead) continue
      if (frame.etherType === ETHERTYPE_ARP) answerArp(gateway, frame, world)
      else if (frame.etherType === ETHERTYPE_IPV4 && frame.destination === gateway.mac)
        passOn(gateway, frame, world, vm)
    }
  }
}

type Received = ReturnType<typeof parseEthernet>

function answerArp({ip, mac}: FakeGateway, {destination, payload}: Received, world: FakeWorld): void {
  const arp = parseArp(payload)
  const isFor = destination === mac || destination === 'ff:ff:ff:ff:ff:ff'
  if (arp.operation !== ARP_REQUEST || arp.targetIp !== ip || !isFor) return
  const back = {operation: ARP_REPLY, senderMac: mac, senderIp: ip, targetMac: arp.senderMac, targetIp: arp.senderIp}
  world.deliver(arpFrame({destination: arp.senderMac, source: mac}, back))
}

function passOn(gateway: FakeGateway, {source, payload}: Received, world: FakeWorld, vm: FakeVm): void {
  const packet = parseIpv4(payload)
  const icmp = parseIcmp(packet.payload)
  if (icmp.kind !== 'echo-request' || gateway.beyond === 'silent') return
  const towards = {destination: packet.source === vm.ip ? vm.mac : source, source: gateway.mac}
  if (gateway.beyond === 'refuses') {
    const error = {
      kind: 'destination-unreachable',
      code: 0,
      extensions: [],
      quoted: {header: readIpv4Header(payload), payload: packet.payload.slice(0, 8)},
    } as const
    world.deliver(icmpFrame(towards, {source: gateway.ip, destination: packet.source, ttl: 64}, error))
    return
  }
  if (packet.ttl <= 2) return
  const back = {source: packet.destination, destination: packet.source, ttl: 63}
  world.deliver(icmpFrame(towards, back, {...icmp, kind: 'echo-reply'}))
}
