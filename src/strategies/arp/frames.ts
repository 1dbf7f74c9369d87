// The frames that tell hosts where a gateway is, and what each does to a Linux neighbour table: ARP (RFC 826, RFC 5227
// section 3) here, Neighbour Discovery in frames6.ts.

import {isVersion6} from '../../probe/sighting.ts'
import {BROADCAST, type Ipv4, type Mac, ZERO_MAC} from '../../wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, type Arp} from '../../wire/arp.ts'
import {arpFrame} from '../../wire/frames.ts'
import type {AnnouncedGateway, AnnouncementFrame, AnnounceTo, Form} from './announcement.ts'
import {announcement6} from './frames6.ts'

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
