// A VM as the wire sees it: one neighbour entry for its gateway, and the answers that depend on it.
import {ARP_REPLY, ARP_REQUEST, parseArp} from '../wire/arp.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, parseEthernet} from '../wire/ethernet.ts'
import {arpFrame, icmpFrame} from '../wire/frames.ts'
import {parseIcmp} from '../wire/icmp.ts'
import {parseIpv4} from '../wire/ipv4.ts'
import type {FakeWorld} from './world.ts'

export interface FakeVm {
  readonly ip: string
  readonly mac: string
  /** The MAC its table holds for the gateway. */
  gatewayMac: string
  /** Its entry is permanent. */
  readonly permanent?: boolean
  readonly dropsIcmp?: boolean
  readonly silent?: boolean
  /** Frames that are lost on the way to it before one arrives. */
  lose?: number
  /** How long it takes to answer, ms; default: next to nothing. */
  lateMs?: number
  /** Answers that pass the link: false for those to other MACs, as on a gateway's own leg. */
  readonly heard?: (destinationMac: string) => boolean
}

/** What the VM does with a frame, for `fakeWorld`'s onSend. */
export const vmBehind =
  (vm: FakeVm, gatewayIp: string) =>
  (bytes: Uint8Array, world: FakeWorld): void => {
    if (vm.silent) return
    if ((vm.lose ?? 0) > 0) {
      vm.lose!--
      return
    }
    const frame = parseEthernet(bytes)
    const back = (
      destination: string,
      build: (addresses: {destination: string; source: string}) => Uint8Array,
    ): void => {
      if (vm.heard?.(destination) ?? true) world.deliver(build({destination, source: vm.mac}), vm.lateMs)
    }
    if (frame.etherType === ETHERTYPE_ARP) {
      const arp = parseArp(frame.payload)
      const forUs = arp.operation === ARP_REQUEST && arp.targetIp === vm.ip
      const gratuitous =
        arp.targetIp === arp.senderIp && (arp.operation === ARP_REQUEST || arp.targetMac === arp.senderMac)
      if (arp.senderIp === gatewayIp && (forUs || gratuitous) && !vm.permanent) vm.gatewayMac = arp.senderMac
      if (!forUs) return
      back(arp.senderMac, (addresses) =>
        arpFrame(addresses, {
          operation: ARP_REPLY,
          senderMac: vm.mac,
          senderIp: vm.ip,
          targetMac: arp.senderMac,
          targetIp: arp.senderIp,
        }),
      )
    } else if (frame.etherType === ETHERTYPE_IPV4 && !vm.dropsIcmp) {
      const packet = parseIpv4(frame.payload)
      const icmp = parseIcmp(packet.payload)
      if (icmp.kind !== 'echo-request') return
      back(vm.gatewayMac, (addresses) =>
        icmpFrame(addresses, {source: vm.ip, destination: packet.source}, {...icmp, kind: 'echo-reply'}),
      )
    }
  }
