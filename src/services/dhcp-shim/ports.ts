// Behind which bridge ports VMs are: all but those that lead elsewhere.
import type {InterfaceMessage} from '../../net/netlink/interface-message.ts'

export interface VmPort {
  readonly name: string
  readonly index: number
  /** Bytes of an IP packet. */
  readonly mtu: number
}

export interface VmPorts {
  readonly ports: readonly VmPort[]
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
  return {
    ports: all
      .filter(({bridge}) => bridge !== undefined && bridges.has(bridge))
      .filter(({name}) => !elsewhere.includes(name) && !interSite.includes(name))
      .filter(({name}) => PLAIN.test(name))
      .map(({name, index, mtu}) => ({name, index, mtu})),
    missing: elsewhere.filter((_, i) => named[i] === undefined),
  }
}
