// The frames that tell hosts where a gateway is (RFC 826, RFC 5227 section 3), and what each does to a Linux neighbour
// table.
import {BROADCAST, type Ipv4, type Mac, ZERO_MAC} from '../../wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, type Arp} from '../../wire/arp.ts'
import type {Vlan} from '../../wire/ethernet.ts'
import {arpFrame} from '../../wire/frames.ts'

/**
 * `ask`: "who-has VM tell GATEWAY". The request itself moves the asker's entry, in every state but PERMANENT and within
 * the lock time too; the VM answers it.
 * `reply`: gratuitous reply. Target MAC = sender MAC, or Linux takes it for an ordinary reply and ignores it for a
 * second after the last change (`locktime`).
 * `request`: gratuitous request, RFC 5227's announcement.
 */
export type Form = 'ask' | 'reply' | 'request'

export interface AnnouncedGateway {
  readonly ip: Ipv4
  /** Where it is from now on. */
  readonly mac: Mac
}

export interface AnnounceTo {
  /** The one VM to tell; without it every host of the segment is told. */
  readonly vm?: {readonly ip: Ipv4; readonly mac: Mac}
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
  const destination = broadcast ? BROADCAST : to.vm!.mac
  const addresses = {destination, source: sourceMac, ...(to.vlan && {vlan: to.vlan})}
  const bytes = arpFrame(addresses, arpOf(form, gateway, to.vm?.ip))
  const says = {
    ask: `who-has ${to.vm?.ip} tell ${gateway.ip} at ${gateway.mac}`,
    reply: `gratuitous reply: ${gateway.ip} is at ${gateway.mac}`,
    request: `gratuitous request: ${gateway.ip} is at ${gateway.mac}`,
  }[form]
  return {form, bytes, broadcast, text: `${says}, to ${broadcast ? 'everybody' : destination}`}
}

function arpOf(form: Form, gateway: AnnouncedGateway, vmIp: Ipv4 | undefined): Arp {
  const sender = {senderMac: gateway.mac, senderIp: gateway.ip}
  switch (form) {
    case 'ask':
      if (vmIp === undefined) throw new TypeError('the ask form asks for a VM')
      return {operation: ARP_REQUEST, ...sender, targetMac: ZERO_MAC, targetIp: vmIp}
    case 'reply':
      return {operation: ARP_REPLY, ...sender, targetMac: gateway.mac, targetIp: gateway.ip}
    case 'request':
      return {operation: ARP_REQUEST, ...sender, targetMac: ZERO_MAC, targetIp: gateway.ip}
  }
}
