// What is asked of this host about the ports that its VMs are at, and how frames are laid into them, as one argument.
import {type HostLink, hostLinks, type LearnedMac, learnedMacs} from './host-links.ts'
import {openPortInjector, type PortInjector} from './packet/port-injector.ts'

/** The door to a hypervisor's bridges. Tests put a host in memory behind it. */
export interface VantageWorld {
  links(): Promise<readonly HostLink[]>
  learned(): Promise<readonly LearnedMac[]>
  injector(port: {readonly name: string; readonly mtu: number}): Promise<PortInjector>
}

export const systemVantage: VantageWorld = {links: hostLinks, learned: learnedMacs, injector: openPortInjector}
