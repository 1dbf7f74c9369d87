// Behind which bridge ports VMs are: all but those that lead elsewhere.
import type {InterfaceMessage} from '../../net/netlink/interface-message.ts'
import type {Mac} from '../../wire/address.ts'

export interface VmPort {
  readonly name: string
  readonly index: number
  readonly mac: Mac
  /** Bytes of an IP packet. */
  readonly mtu: number
}

export interface VmPorts {
  readonly ports: readonly VmPort[]
  /** The ports that lead elsewhere. */
  readonly uplinks: readonly VmPort[]
  /** Named, and neither a bridge nor a port of one. */
  readonly missing: readonly string[]
}

/** What a name must be to stand in a ruleset as itself. */
const PLAIN = /^[^"\\*\s]+$/

/** The ports of the bridges that `elsewhere` are, or are ports of, without these themselves and without `interSite`. */
export function vmPorts(
  all: readonly InterfaceMessage[],
  elsewhere: readonly string[],
  interSite: readonly string[],
): VmPorts {
  const named = elsewhere.map((name) => all.find((each) => each.name === name))
  const bridges = new Set(named.flatMap((each) => (each ? [each.isBridge ? each.index : each.bridge] : [])))
  const leads = ({name}: VmPort): boolean => elsewhere.includes(name) || interSite.includes(name)
  const ports = all
    .filter(({bridge}) => bridge !== undefined && bridges.has(bridge))
    .filter(({name}) => PLAIN.test(name))
    .map(({name, index, mtu, mac}): VmPort => ({name, index, mtu, mac}))
  return {
    ports: ports.filter((port) => !leads(port)),
    uplinks: ports.filter(leads),
    missing: elsewhere.filter((_, i) => named[i] === undefined),
  }
}
