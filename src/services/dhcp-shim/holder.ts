// A shim's clients as the control socket and the sender of FORCERENEWs look at them.
import {refusedUntilMs, type ShimClients} from '../../domain/dhcp/shim-clients.ts'
import {type ShimScope, shimSites} from '../../domain/dhcp/shim-scope.ts'
import {type Mac, readMac} from '../../wire/address.ts'
import type {LeaseHolder} from '../dhcp/holder.ts'

export interface ShimHolder extends LeaseHolder {
  /** Its DHCPREQUEST was answered. */
  requested(mac: Mac): void
  reload(scope: ShimScope): void
  /** Of a VM by its name, address or MAC. */
  macOf(vm: string): Mac | undefined
}

export interface HolderOutside {
  nowMs(): number
  /** A FORCERENEW was sent. */
  onForcerenew(): void
  /** The name of a VM's port that is here. */
  portName(index: number | undefined): string | undefined
}

export function shimHolder(
  scope: ShimScope,
  {leases, refused, keep}: ShimClients,
  {nowMs, onForcerenew, portName}: HolderOutside,
): ShimHolder {
  let scopes = shimSites(scope)
  let {site: own} = scope
  const listeners = new Set<(mac: Mac) => void>()
  return {
    get facts() {
      return {scopes}
    },
    counters: {send: onForcerenew},
    book(segment) {
      const all = () => [...leases.values()].filter((lease) => lease.segment === segment)
      return {
        all: () => all().values(),
        // Its server may have given it to another one since.
        byIp: (ip) =>
          all()
            .filter((lease) => lease.ip === ip)
            .toSorted((a, b) => b.lastSeenMs - a.lastSeenMs)[0],
        byMac(mac) {
          const lease = leases.get(mac)
          return lease?.segment === segment ? lease : undefined
        },
      }
    },
    directive: (segment, mac) => (refused.has(mac) ? {segment, mac, site: undefined, nak: true} : undefined),
    store(lease) {
      const held = leases.get(lease.mac)
      if (held) leases.set(lease.mac, {...held, ...lease})
    },
    direct(said) {
      if (said.nak) refused.set(said.mac, refusedUntilMs(leases.get(said.mac), nowMs()))
      else refused.delete(said.mac)
      return said
    },
    onRequest(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    serverOf: ({mac}) => leases.get(mac)!.serverIdentifier,
    wrongSite: (site) =>
      `a shim gives the VMs at its hypervisor the gateway of their site, here ${own}, whatever is wanted: not that of ${site}`,
    portOf: ({mac}) => portName(leases.get(mac)?.portIndex),
    macOf(vm) {
      const mac = readMac(vm)
      for (const {reservations} of scopes.values())
        for (const each of reservations.values())
          if (each.mac === mac || each.vm === vm || each.ip === vm) return each.mac
      return undefined
    },
    requested: (mac) => {
      for (const listener of listeners) listener(mac)
    },
    reload(next) {
      scopes = shimSites(next)
      own = next.site
      keep(next.vms)
    },
  }
}
