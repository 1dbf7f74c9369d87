// The inter-site ports of this host: which of them a segment's filter is for, and how the segment's frames look there.
import {usage} from '../../errors.ts'
import type {Segment} from '../inventory/site.ts'

/** An interface of this host, as far as a filter is concerned. */
export interface PortFacts {
  readonly name: string
  /** It stands for one VLAN of the device below it: what passes it has lost its tag. */
  readonly vlanDevice?: number | undefined
  /** VLANs whose frames a VLAN-aware bridge takes and sends at this port without a tag. */
  readonly untaggedVlans?: readonly number[] | undefined
}

/**
 * The ports of a segment's filter, sorted: those that were named, else those of the inventory that are on this host.
 * @throws Failure `usage` for a name that no interface of this host has, and where nobody said which.
 */
export function interSitePorts(
  named: readonly string[],
  {name, ports = []}: Pick<Segment, 'name' | 'ports'>,
  host: readonly PortFacts[],
): string[] {
  for (const port of named) knownPort(port, host)
  if (named.length > 0) return [...new Set(named)].sort()
  if (ports.length === 0) {
    throw usage(
      `segment ${name}: which ports lead to the other site? Give -i PORT, or write "ports" of the segment in the inventory`,
    )
  }
  const here = ports.filter((port) => host.some((each) => each.name === port))
  if (here.length > 0) return [...new Set(here)].sort()
  throw usage(
    `segment ${name}: none of its ports (${ports.join(', ')}) is on this host; run it on the node that has one, or give -i PORT`,
  )
}

/** @throws Failure `usage` if no interface of this host has the name. */
export function knownPort(name: string, host: readonly PortFacts[]): void {
  if (host.some((each) => each.name === name)) return
  const names = host.map((each) => each.name).join(', ')
  throw usage(`there is no interface "${name}" here (want the port that leads to the other site; there are: ${names})`)
}

/** At which of the ports the frames of a VLAN come and go without a tag. */
export function untaggedPorts(vlan: Segment['vlan'], ports: readonly string[], host: readonly PortFacts[]): string[] {
  if (vlan === undefined) return []
  if (vlan === 'untagged') return [...ports]
  return ports.filter((name) => {
    const port = host.find((each) => each.name === name)
    return port?.vlanDevice === vlan || port?.untaggedVlans?.includes(vlan) === true
  })
}
