// The frames that tell hosts where a gateway is, and what each does to a Linux neighbour table: ARP (RFC 826, RFC 5227
// section 3) here, Neighbour Discovery in frames6.ts.

import {isVersion6} from '../../probe/vm-watch.ts'
import {BROADCAST, type Ipv4, type Mac, ZERO_MAC} from '../../wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, type Arp} from '../../wire/arp.ts'
import type {Vlan} from '../../wire/ethernet.ts'
import {arpFrame} from '../../wire/frames.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {announcement6} from './frames6.ts'

/**
 * `ask`: "who-has VM tell GATEWAY". The request itself moves the asker's entry, in every state but PERMANENT and within
 * the lock time too; the VM answers it. IPv6: a unicast neighbour solicitation, with the same effect.
 * `reply`: gratuitous reply. Target MAC = sender MAC, or Linux takes it for an ordinary reply and ignores it for a
 * second after the last change (`locktime`). IPv6: unsolicited neighbour advertisement, R=1, O=1.
 * `request`: gratuitous request, RFC 5227's announcement. IPv4 only.
 * `ra`: router advertisement of the gateway; `withdraw`: of the old one, with lifetime 0. IPv6 only.
 * `redirect`: the old gateway says that the new one is the better first hop for one destination. IPv6 only.
 */
export type Form = 'ask' | 'reply' | 'request' | 'ra' | 'withdraw' | 'redirect'

export interface AnnouncedGateway {
  readonly ip: Ipv4 | Ipv6
  /** Where it is from now on. */
  readonly mac: Mac
  /** The router that the VM shall leave, where that has another address: for `withdraw` and `redirect`. */
  readonly old?: Ipv6 | undefined
  /** Of `ra`, seconds. */
  readonly routerLifetimeS?: number | undefined
  /** Of `redirect`. */
  readonly destination?: Ipv6 | undefined
}

export interface AnnounceTo {
  /** The one VM to tell; without it every host of the segment is told. */
  readonly vm?: {readonly ip: Ipv4 | Ipv6; readonly mac: Mac}
  readonly vlan?: Vlan | undefined
  /** Send to the broadcast address although a VM is named (its bridge does not know yet where it is). */
  readonly broadcast?: boolean
}

/** One frame to announce with, and how it reads. */
export interface AnnouncementFrame {
  readonly form: Form
  readonly bytes: Uint8Array
  readonly text: string
  readonly broadcast: boolean
}

/**
 * Builds one announcement. The Ethernet source is `sourceMac`, the sending interface's own, also where the announced MAC
 * is another's: bridges learn from it, and would send the gateway's frames to us.
 */
export function announcementFrame(
  form: Form,
  gateway: AnnouncedGateway,
  to: AnnounceTo,
  sourceMac: Mac,
): AnnouncementFrame {
  const broadcast = to.broadcast === true || to.vm === undefined
  if (isVersion6(gateway.ip)) return {form, broadcast, ...announcement6(form, gateway, to, sourceMac)}
  const destination = broadcast ? BROADCAST : to.vm!.mac
  const addresses = {destination, source: sourceMac, ...(to.vlan && {vlan: to.vlan})}
  const {arp, says} = arpOf(form, gateway, to.vm?.ip)
  return {
    form,
    bytes: arpFrame(addresses, arp),
    broadcast,
    text: `${says}, to ${broadcast ? 'everybody' : destination}`,
  }
}

function arpOf(form: Form, gateway: AnnouncedGateway, vmIp: Ipv4 | undefined): {arp: Arp; says: string} {
  const sender = {senderMac: gateway.mac, senderIp: gateway.ip}
  const {ip, mac} = gateway
  switch (form) {
    case 'ask':
      if (vmIp === undefined) throw new TypeError('the ask form asks for a VM')
      return {
        arp: {operation: ARP_REQUEST, ...sender, targetMac: ZERO_MAC, targetIp: vmIp},
        says: `who-has ${vmIp} tell ${ip} at ${mac}`,
      }
    case 'reply':
      return {
        arp: {operation: ARP_REPLY, ...sender, targetMac: mac, targetIp: ip},
        says: `gratuitous reply: ${ip} is at ${mac}`,
      }
    case 'request':
      return {
        arp: {operation: ARP_REQUEST, ...sender, targetMac: ZERO_MAC, targetIp: ip},
        says: `gratuitous request: ${ip} is at ${mac}`,
      }
    default:
      throw new TypeError(`ARP has no ${form}`)
  }
}
