// For which VMs that have left the bridge answers ARP, and what keeps it from doing so.
import type {FilterIntent} from '../../domain/filter/intent.ts'
import type {BridgePort} from '../../net/bridge-ports.ts'
import type {NftTable} from '../../net/nft/nft-listing.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {FilterWorld} from './filter-world.ts'

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
    suppressed: elements('suppressed'),
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

/** What keeps the bridge from answering for a VM it should answer for, one line a piece. */
export async function keptProblems(intent: FilterIntent, kept: Remembered, world: FilterWorld): Promise<string[]> {
  const wanted = intent.kept.flatMap(({ip, ip6, mac}) => [ip, ...ip6].map((address) => ({ip: address, mac})))
  const missing = wanted.filter(({ip, mac}) => !kept.vms.some((vm) => vm.ip === ip && vm.mac === mac))
  const problems = missing.map(({ip}) => `inbound is not kept for ${ip}: gwswitch filter apply --keep-inbound`)
  if (kept.vms.length === 0) return problems
  const {ports, bridges} = dciPorts(intent.ports, await world.bridgePorts())
  problems.push(
    ...ports
      .filter(({neighSuppress}) => !neighSuppress)
      .map(({name}) => `neigh_suppress is off on ${name}: the bridge answers for nobody behind it`),
  )
  for (const bridge of bridges) {
    const entries = await world.permanentNeighbours(bridge)
    const lost = kept.vms.filter(({ip, mac}) => !entries.includes(`${ip} ${mac}`))
    problems.push(
      ...lost.map(({ip}) => `${bridge} has no permanent neighbour entry for ${ip}: it does not answer for it`),
    )
  }
  return problems
}
