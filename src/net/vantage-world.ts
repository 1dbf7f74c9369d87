// What is asked of this host about the ports that its VMs are at, and how frames are laid into them, as one argument.
import {bridgeFdb, type FdbEntry, learnedOf} from './bridge-ports.ts'
import {type HostLink, hostLinks} from './host-links.ts'
import {openPortInjector, type PortInjector} from './packet/port-injector.ts'

/** The door to a hypervisor's bridges. Tests put a host in memory behind it. */
export interface VantageWorld {
  links(): Promise<readonly HostLink[]>
  /** Where the bridges here have learned a MAC. */
  learned(): Promise<readonly Pick<FdbEntry, 'mac' | 'port'>[]>
  injector(port: {readonly name: string; readonly mtu: number}): Promise<PortInjector>
}

export const systemVantage: VantageWorld = {
  links: hostLinks,
  learned: async () => learnedOf(await bridgeFdb()),
  injector: openPortInjector,
}
