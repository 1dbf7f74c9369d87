// Which VMs are at another site, by what the bridge here has learned and by the inventory. Sends nothing.
import {type AwayVm, awayFrom, type BridgeView, leadingPorts, NO_BRIDGE} from '../domain/inter-site.ts'
import type {Segment, Vm} from '../domain/inventory/site.ts'
import type {World} from '../net/world.ts'

export interface AwayQuestion {
  /** The bridge, or a port of it; anything else has no forwarding table, and the inventory alone speaks. */
  readonly interfaceName: string
  readonly vlanId: number | undefined
  readonly segment: Segment
  readonly site: string
}

export async function awayVms(
  {interfaceName, vlanId, segment, site}: AwayQuestion,
  vms: readonly Vm[],
  world: World,
): Promise<AwayVm[]> {
  const place = await world.bridgeOf?.(interfaceName)
  const bridge = place?.portOf ?? (place?.isBridge ? interfaceName : undefined)
  if (bridge === undefined) return awayFrom(site, vms, NO_BRIDGE)
  const [links = [], table = []] = await Promise.all([world.hostLinks?.(), world.learned?.(bridge)])
  // What a bridge that keeps VLANs apart has learned in another one is of somebody else with that MAC.
  const id = vlanId ?? (segment.vlan === 'untagged' ? undefined : segment.vlan)
  const learned = table.filter(({vlan}) => id === undefined || vlan === undefined || vlan === id)
  const ports = links.filter((link) => link.bridge === bridge)
  const view = {
    leading: leadingPorts(segment, site, ports, learned),
    certain: leadingPorts(segment, site, ports, []),
    learned,
  }
  // At another site's bridge those ports lead to this one.
  return awayFrom(site, vms, (await isAt(segment, site, view, world)) ? view : NO_BRIDGE)
}

/** Whether the bridge is at the site: a gateway of it is this host, or behind a port that leads nowhere else. */
async function isAt({gateways}: Segment, site: string, {leading, learned}: BridgeView, world: World): Promise<boolean> {
  const macs = new Set(gateways.filter((gateway) => gateway.site === site).map(({mac}) => mac))
  if ((await world.interfaces()).some(({mac}) => macs.has(mac))) return true
  const ports = learned.filter(({mac}) => macs.has(mac)).map(({port}) => port)
  return ports.length > 0 && !ports.some((port) => leading.includes(port))
}
