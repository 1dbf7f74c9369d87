// The frames that tell IPv6 hosts where a gateway is (RFC 4861), measured on Linux: see docs/arp.md.
import type {Mac} from '../../wire/address.ts'
import {type Icmpv6, icmpv6Frame} from '../../wire/icmpv6.ts'
import {ALL_NODES, type Ipv6, isMulticastIpv6, multicastMac, solicitedNode} from '../../wire/ipv6-address.ts'
import type {NeighbourAdvertisement, RouterAdvertisement} from '../../wire/nd.ts'
import {type AnnouncedGateway, type Announcement, type AnnounceTo, type Form, USUAL_RA} from './announcement.ts'

interface Announcement6 {
  /** IPv6 source: the gateway, or for `withdraw` and `redirect` the old one. */
  readonly source: Ipv6
  readonly destination: Ipv6
  readonly message: Icmpv6
  readonly says: string
}

export function announcement6(form: Form, gateway: AnnouncedGateway, to: AnnounceTo): Announcement {
  const {source, destination, message, says} = announcementOf(form, gateway, to)
  return {
    says,
    group: isMulticastIpv6(destination) ? multicastMac(destination) : undefined,
    frame: (addresses) => icmpv6Frame(addresses, {source, destination}, message),
  }
}

/**
 * Every form but `ask` is addressed to all nodes, as hosts expect, also where its frame goes to one VM's MAC. A broadcast
 * `ask` goes to the group of the VM's address.
 */
function announcementOf(form: Form, gateway: AnnouncedGateway, {vm, broadcast}: AnnounceTo): Announcement6 {
  const {ip, mac} = gateway
  switch (form) {
    case 'ask': {
      if (vm === undefined) throw new TypeError('the ask form asks for a VM')
      const destination = broadcast ? solicitedNode(vm.ip) : vm.ip
      const message = {kind: 'neighbour-solicitation', target: vm.ip, options: [sourceLinkLayer(mac)]} as const
      return {source: ip, destination, message, says: `neighbour solicitation: who has ${vm.ip}, from ${ip} at ${mac}`}
    }
    case 'reply':
      return {
        source: ip,
        destination: ALL_NODES,
        message: advertisement(ip, mac),
        says: `neighbour advertisement (R O): ${ip} is at ${mac}`,
      }
    case 'ra': {
      const {lifetime = USUAL_RA.lifetime, preference = USUAL_RA.preference} = gateway.ra ?? {}
      const preferred = preference === USUAL_RA.preference ? '' : `, preference ${preference}`
      const says = `router advertisement: ${ip} at ${mac} routes for ${lifetime} s${preferred}`
      return {source: ip, destination: ALL_NODES, message: routerAdvertisement(mac, lifetime, preference), says}
    }
    case 'withdraw': {
      const old = left(gateway)
      const says = `router advertisement: ${old} routes no longer`
      return {source: old, destination: ALL_NODES, message: routerAdvertisement(undefined, 0, 'medium'), says}
    }
    case 'redirect': {
      const old = left(gateway)
      if (vm === undefined || gateway.destination === undefined)
        throw new TypeError('a redirect is for one VM and one destination')
      const target = {kind: 'target-link-layer-address', mac} as const
      const message = {kind: 'redirect', target: ip, destination: gateway.destination, options: [target]} as const
      const says = `redirect from ${old}: to ${gateway.destination} by ${ip} at ${mac}`
      return {source: old, destination: vm.ip, message, says}
    }
    case 'request':
      throw new TypeError('IPv6 has no gratuitous request')
  }
}

function left({old}: AnnouncedGateway): Ipv6 {
  if (old === undefined) throw new TypeError('this form speaks for the router that is left')
  return old
}

const sourceLinkLayer = (mac: Mac) => ({kind: 'source-link-layer-address', mac}) as const

/** R=1 always: an advertisement with R=0 takes the VM's default route away (RFC 4861 7.2.5; Linux does). */
const advertisement = (ip: Ipv6, mac: Mac): NeighbourAdvertisement => ({
  kind: 'neighbour-advertisement',
  router: true,
  solicited: false,
  override: true,
  target: ip,
  options: [{kind: 'target-link-layer-address', mac}],
})

/** With lifetime 0 the preference is medium (RFC 4191 section 2.2). Says nothing but who routes: no prefixes, hop limit and timers unspecified, so that the rest of a VM's set-up stays. */
const routerAdvertisement = (
  mac: Mac | undefined,
  routerLifetime: number,
  preference: RouterAdvertisement['preference'],
): RouterAdvertisement => ({
  kind: 'router-advertisement',
  currentHopLimit: 0,
  managed: false,
  otherConfiguration: false,
  preference,
  routerLifetime,
  reachableTime: 0,
  retransmitTimer: 0,
  options: mac === undefined ? [] : [sourceLinkLayer(mac)],
})
