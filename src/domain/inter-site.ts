// What lies at another site, as far as it is known without asking anybody: ports of a bridge, and the VMs behind them.
import type {Ipv4} from '../wire/address.ts'
import type {Gateway, Segment, Vm} from './inventory/site.ts'
import type {LearnedMac} from './vantage/vm-port.ts'

/**
 * The ports of a bridge that lead to another site than `site`: those that the inventory names, else tunnels, and those
 * behind which the bridge has learned another site's gateway.
 */
export function leadingPorts(
  {
    gateways,
    ports: known,
  }: {readonly gateways: readonly Pick<Gateway, 'site' | 'mac'>[]; readonly ports?: Segment['ports']},
  site: string,
  ports: readonly {readonly name: string; readonly tunnel: boolean}[],
  learned: readonly LearnedMac[],
): string[] {
  const named = ports.filter(({name}) => known?.includes(name))
  if (named.length > 0) return named.map(({name}) => name)
  const others = new Set(gateways.filter((gateway) => gateway.site !== site).map(({mac}) => mac))
  const behind = new Set(learned.filter(({mac}) => others.has(mac)).map(({port}) => port))
  return ports.filter(({name, tunnel}) => tunnel || behind.has(name)).map(({name}) => name)
}

/** A VM that is at another site, and who says so. */
export interface AwayVm {
  readonly name: string
  readonly ip: Ipv4
  /** By the inventory; null: the bridge says so. */
  readonly site: string | null
  /** The port that leads to another site, behind which the bridge has learned the VM; null: the inventory says so. */
  readonly port: string | null
  /** That port is known for nothing but another site's gateway behind it: it may lead to hosts of this site too. */
  readonly shared?: true
}

export interface BridgeView {
  readonly leading: readonly string[]
  /** Of those, the ones that lead there by what they are, or by the inventory. */
  readonly certain: readonly string[]
  readonly learned: readonly LearnedMac[]
}

export const NO_BRIDGE: BridgeView = {leading: [], certain: [], learned: []}

/**
 * Those that are at another site than `site`. What a bridge has learned counts for more than what was written down, unless
 * it is learned behind a port that is not certain: one uplink may carry hosts of this site and the way to the other.
 */
export function awayFrom(site: string, vms: readonly Vm[], {leading, certain, learned}: BridgeView): AwayVm[] {
  const portOf = new Map(learned.map(({mac, port}) => [mac, port]))
  return vms.flatMap(({name, ip, mac, site: written}): AwayVm[] => {
    const port = portOf.get(mac)
    if (port !== undefined && certain.includes(port)) return [{name, ip, site: null, port}]
    if (port !== undefined && leading.includes(port))
      return written === site ? [] : [{name, ip, site: null, port, shared: true}]
    if (port !== undefined) return []
    return written !== undefined && written !== site ? [{name, ip, site: written, port: null}] : []
  })
}

/** Where one of them is, and who says so. */
export function whereText({site, port, shared}: Pick<AwayVm, 'site' | 'port' | 'shared'>): string {
  if (port === null) return `at site ${site} by the inventory`
  return `behind ${port}${shared ? ", where another site's gateway is too" : " by the bridge's forwarding table"}`
}

/** How many they are and by whom, in a few words; empty for none. */
export function awayText(away: readonly AwayVm[], site: string): string {
  const groups = new Map<string, string[]>()
  for (const each of away) {
    const by = whereText(each)
    groups.set(by, [...(groups.get(by) ?? []), each.name])
  }
  const words = [...groups].map(([by, names]) => `${names.length} ${by} (${someOf(names)})`)
  return away.length === 0 ? '' : `${count(away.length)} not at site ${site}: ${words.join('; ')}`
}

const count = (vms: number): string => (vms === 1 ? '1 VM is' : `${vms} VMs are`)
const SHOWN = 3
const someOf = (names: readonly string[]): string =>
  names.length <= SHOWN ? names.join(', ') : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`
