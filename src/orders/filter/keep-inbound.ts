// Answering ARP for VMs that have left, so that an old gateway whose only address is filtered still finds them.
//
// The bridge itself answers (bridge(8), neigh_suppress): from a permanent neighbour entry on the bridge device, if its
// forwarding table has the VM behind a port with neigh_suppress. What was done is remembered in sets of our table, so
// that whoever removes the filter can put it back.
import type {FilterIntent, KeptVm} from '../../domain/filter/intent.ts'
import {Failure} from '../../errors.ts'
import type {BridgePort} from '../../net/bridge-ports.ts'
import type {NftTable} from '../../net/nft/nft-listing.ts'
import type {FilterHost} from '../../probe/filter/host.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'

/** What the table of a filter says was done. */
export interface Remembered {
  readonly vms: readonly {readonly ip: Ipv4 | Ipv6; readonly mac: Mac}[]
  /** Ports on which neigh_suppress was off before. */
  readonly suppressed: readonly string[]
}

export function remembered(table: NftTable | undefined): Remembered {
  const elements = (name: string): readonly string[] => table?.elements.get(name) ?? []
  return {
    vms: [...elements('kept4'), ...elements('kept6')].map((element) => {
      const [ip = '', mac = ''] = element.split(' . ')
      return {ip, mac}
    }),
    suppressed: elements('suppressed').map((name) => name.replaceAll('"', '')),
  }
}

/** The inter-site ports and the bridges they are ports of. */
export interface DciPorts {
  readonly ports: readonly BridgePort[]
  readonly bridges: readonly string[]
}

export function dciPorts(names: readonly string[], all: readonly BridgePort[]): DciPorts {
  const ports = all.filter(({name}) => names.includes(name))
  return {ports, bridges: [...new Set(ports.map(({bridge}) => bridge))]}
}

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
  host: FilterHost,
): Promise<KeptSetUp> {
  if (kept.length === 0) return {suppressed: [], notes: []}
  const vlanAware = (await host.vlanAwareBridges()).filter((bridge) => dci.bridges.includes(bridge))
  if (vlanAware.length > 0) {
    throw new Failure(
      'usage',
      `--keep-inbound: ${vlanAware.join(', ')} keeps VLANs apart itself (vlan_filtering 1), which is not supported: use a bridge a segment, or move inbound`,
    )
  }
  const notes: string[] = []
  for (const bridge of dci.bridges) {
    const fdb = await host.bridgeFdb(bridge)
    const ports = dci.ports.filter((port) => port.bridge === bridge).map(({name}) => name)
    for (const vm of kept) {
      for (const ip of [vm.ip, ...vm.ip6]) await host.setNeighbour(ip, vm.mac, bridge)
      const at = fdb.find(({mac, own}) => mac === vm.mac && !own)?.port
      if (at !== undefined && !ports.includes(at)) {
        notes.push(
          `${vm.name} is still here, behind ${at}: the bridge answers for it once it has left; apply again then, or its place is forgotten after the bridge's ageing time`,
        )
      } else if (at !== undefined || ports.length === 1) await host.fixFdb(vm.mac, at ?? ports[0]!)
      else
        notes.push(
          `${vm.name} was not heard on ${bridge} yet: the bridge answers for it once it was, behind one of ${ports.join(', ')}`,
        )
    }
  }
  const off = dci.ports.filter(({neighSuppress}) => !neighSuppress).map(({name}) => name)
  for (const port of off) await host.setNeighSuppress(port, true)
  const ours = before.suppressed.filter((name) => dci.ports.some((port) => port.name === name))
  return {suppressed: [...new Set([...ours, ...off])].sort(), notes}
}

/** Puts back what `before` says was done and `still` does not ask for. Safe twice. */
export async function undoKept(
  before: Remembered,
  still: {kept: readonly KeptVm[]; suppressed: readonly string[]},
  dci: DciPorts,
  host: FilterHost,
): Promise<string[]> {
  const wanted = new Set(still.kept.flatMap(({ip, ip6}) => [ip, ...ip6]))
  const stillMacs = new Set(still.kept.map(({mac}) => mac))
  const gone = before.vms.filter(({ip}) => !wanted.has(ip))
  for (const {ip, mac} of gone) {
    for (const bridge of dci.bridges) {
      await host.deleteNeighbour(ip, bridge)
      if (stillMacs.has(mac)) continue
      const fixed = (await host.bridgeFdb(bridge)).filter((entry) => entry.mac === mac && entry.fixed)
      for (const {port} of fixed) await host.forgetFdb(mac, port)
    }
  }
  const off = before.suppressed.filter(
    (name) => !still.suppressed.includes(name) && dci.ports.some((port) => port.name === name),
  )
  for (const port of off) await host.setNeighSuppress(port, false)
  return gone.map(({ip}) => ip)
}

/** What keeps the bridge from answering for a VM it should answer for, one line a piece. */
export async function keptProblems(intent: FilterIntent, kept: Remembered, host: FilterHost): Promise<string[]> {
  const wanted = intent.kept.flatMap(({ip, ip6, mac}) => [ip, ...ip6].map((address) => ({ip: address, mac})))
  const missing = wanted.filter(({ip, mac}) => !kept.vms.some((vm) => vm.ip === ip && vm.mac === mac))
  const problems = missing.map(({ip}) => `inbound is not kept for ${ip}: gwswitch filter apply --keep-inbound`)
  if (kept.vms.length === 0) return problems
  const {ports, bridges} = dciPorts(intent.ports, await host.bridgePorts())
  problems.push(
    ...ports
      .filter(({neighSuppress}) => !neighSuppress)
      .map(({name}) => `neigh_suppress is off on ${name}: the bridge answers for nobody behind it`),
  )
  for (const bridge of bridges) {
    const entries = await host.permanentNeighbours(bridge)
    const lost = kept.vms.filter(({ip, mac}) => !entries.includes(`${ip} ${mac}`))
    problems.push(
      ...lost.map(({ip}) => `${bridge} has no permanent neighbour entry for ${ip}: it does not answer for it`),
    )
  }
  return problems
}
