// The frames that tell IPv4 hosts where a gateway is: ARP (RFC 826, RFC 5227 section 3).
import {BROADCAST, type Ipv4, ZERO_MAC} from '../../wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, type Arp} from '../../wire/arp.ts'
import {arpFrame} from '../../wire/frames.ts'
import type {AnnouncedGateway, Announcement, AnnounceTo, Form} from './announcement.ts'

export function announcement4(form: Form, gateway: AnnouncedGateway, to: AnnounceTo): Announcement {
  const {arp, says} = arpOf(form, gateway, to.vm?.ip)
  return {says, group: BROADCAST, frame: (addresses) => arpFrame(addresses, arp)}
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
