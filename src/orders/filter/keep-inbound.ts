// Answering ARP for VMs that have left, so that an old gateway whose only address is filtered still finds them.
//
// The bridge itself answers (bridge(8), neigh_suppress): from a permanent neighbour entry on the bridge device, if its
// forwarding table has the VM behind a port with neigh_suppress. What was done is remembered in sets of our table, so
// that whoever removes the filter can put it back.

import type {KeptVm} from '../../domain/filter/intent.ts'
import {Failure} from '../../errors.ts'
import type {FilterWorld} from '../../probe/filter/filter-world.ts'
import type {DciPorts, Remembered} from '../../probe/filter/kept.ts'

export interface KeptSetUp {
  /** On which ports neigh_suppress has been turned on, by us, now or before. */
  readonly suppressed: readonly string[]
  readonly notes: readonly string[]
}

/** @throws Failure `usage` where the bridge could not answer. */
export async function setUpKept(
  kept: readonly KeptVm[],
  before: Remembered,
  dci: DciPorts,
  world: FilterWorld,
): Promise<KeptSetUp> {
  if (kept.length === 0) return {suppressed: [], notes: []}
  const vlanAware = (await world.vlanAwareBridges()).filter((bridge) => dci.bridges.includes(bridge))
  if (vlanAware.length > 0) {
    throw new Failure(
      'usage',
      `--keep-inbound: ${vlanAware.join(', ')} keeps VLANs apart itself (vlan_filtering 1), which is not supported: use a bridge a segment, or move inbound`,
    )
  }
  const notes: string[] = []
  for (const bridge of dci.bridges) {
    const fdb = await world.bridgeFdb(bridge)
    const ports = dci.ports.filter((port) => port.bridge === bridge).map(({name}) => name)
    for (const vm of kept) {
      for (const ip of [vm.ip, ...vm.ip6]) await world.setNeighbour(ip, vm.mac, bridge)
      const at = fdb.find(({mac, own}) => mac === vm.mac && !own)?.port
      if (at !== undefined && !ports.includes(at)) {
        notes.push(
          `${vm.name} is still here, behind ${at}: the bridge answers for it once it has left; apply again then, or its place is forgotten after the bridge's ageing time`,
        )
      } else if (at !== undefined || ports.length === 1) await world.fixFdb(vm.mac, at ?? ports[0]!)
      else
        notes.push(
          `${vm.name} was not heard on ${bridge} yet: the bridge answers for it once it was, behind one of ${ports.join(', ')}`,
        )
    }
  }
  const off = dci.ports.filter(({neighSuppress}) => !neighSuppress).map(({name}) => name)
  for (const port of off) await world.setNeighSuppress(port, true)
  const ours = before.suppressed.filter((name) => dci.ports.some((port) => port.name === name))
  return {suppressed: [...new Set([...ours, ...off])].sort(), notes}
}

/** Puts back what `before` says was done and `still` does not ask for. Safe twice. */
export async function undoKept(
  before: Remembered,
  still: {kept: readonly KeptVm[]; suppressed: readonly string[]},
  dci: DciPorts,
  world: FilterWorld,
): Promise<string[]> {
  const wanted = new Set(still.kept.flatMap(({ip, ip6}) => [ip, ...ip6]))
  const stillMacs = new Set(still.kept.map(({mac}) => mac))
  const gone = before.vms.filter(({ip}) => !wanted.has(ip))
  for (const {ip, mac} of gone) {
    for (const bridge of dci.bridges) {
      await world.deleteNeighbour(ip, bridge)
      if (stillMacs.has(mac)) continue
      const fixed = (await world.bridgeFdb(bridge)).filter((entry) => entry.mac === mac && entry.fixed)
      for (const {port} of fixed) await world.forgetFdb(mac, port)
    }
  }
  const off = before.suppressed.filter(
    (name) => !still.suppressed.includes(name) && dci.ports.some((port) => port.name === name),
  )
  for (const port of off) await world.setNeighSuppress(port, false)
  return gone.map(({ip}) => ip)
}
