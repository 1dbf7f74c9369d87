// The frames that tell hosts where a gateway is. Here the family is chosen; what each form is, and does to a Linux
// neighbour table, is in frames4.ts (ARP) and frames6.ts (Neighbour Discovery).
import type {Mac} from '../../wire/address.ts'
import {isVersion6} from '../../wire/ipv6-address.ts'
import type {AnnouncedGateway, AnnouncementFrame, AnnounceTo, Form} from './announcement.ts'
import {announcement4} from './frames4.ts'
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
  const {says, group, frame} = (isVersion6(gateway.ip) ? announcement6 : announcement4)(form, gateway, to)
  // What has no group is for one host, whatever is asked for.
  const destination = broadcast && group !== undefined ? group : to.vm!.mac
  return {
    form,
    broadcast,
    bytes: frame({destination, source: sourceMac, vlan: to.vlan}),
    text: `${says}, to ${destination === group ? 'everybody' : destination}`,
  }
}
