// Which strategies work from this host, and where the others must run.
import {sharesGatewayIp} from '../inventory/site.ts'
import type {DoctorFacts} from './facts.ts'
import {bridgesOf, stationsOf} from './legs.ts'

export interface StrategyPlace {
  readonly strategy: string
  /** `unknown`: a strategy of a plugin, or nobody could look. */
  readonly here: 'yes' | 'no' | 'unknown'
  readonly why: string
  /** Where it must run; null where it works here. */
  readonly where: string | null
}

type Judge = (facts: DoctorFacts) => Omit<StrategyPlace, 'strategy'>

const yes = (why: string): Omit<StrategyPlace, 'strategy'> => ({here: 'yes', why, where: null})
const no = (why: string, where: string): Omit<StrategyPlace, 'strategy'> => ({here: 'no', why, where})

const onSegment = (facts: DoctorFacts): boolean => stationsOf(facts).length > 0 || bridgesOf(facts).length > 0

const JUDGES: Readonly<Record<string, Judge>> = {
  arp(facts) {
    const where = 'on a host with a port on the segment at the new site: its hypervisor, bridge or gateway'
    const segments = facts.inventory?.inventory?.segments ?? []
    if (!segments.some(sharesGatewayIp))
      return no('no segment of the inventory has one gateway address at its sites', where)
    if (!facts.capabilities.has('CAP_NET_RAW')) return no('CAP_NET_RAW is not held', `${where}, as root`)
    return onSegment(facts) ? yes(placeOf(facts)) : no('no bridge here, and no address on a segment', where)
  },
  'mac-proxy'(facts) {
    const where = 'on the hypervisor that the VM runs on, at whose bridge it has its port'
    if (bridgesOf(facts).length === 0) return no('there is no bridge here', where)
    if (facts.abilities['nft-bridge'].state === 'no') return no('the kernel has no nftables for bridges', where)
    if (!facts.capabilities.has('CAP_NET_ADMIN')) return no('CAP_NET_ADMIN is not held', `${where}, as root`)
    return yes(
      `VMs with a port on ${bridgesOf(facts)
        .map(({name}) => name)
        .join(', ')}`,
    )
  },
  dhcp(facts) {
    const servers = (facts.inventory?.inventory?.segments ?? []).filter(({dhcp}) => dhcp !== undefined)
    if (servers.length === 0) return no('no segment of the inventory has "dhcp"', 'where the DHCP server is controlled')
    const usable = servers.filter(({dhcp}) => controlsOf(dhcp!).every((file) => facts.readable.has(file)))
    const missing = servers.flatMap(({dhcp}) => controlsOf(dhcp!)).find((file) => !facts.readable.has(file))
    return usable.length > 0
      ? yes(`segments ${usable.map(({name}) => name).join(', ')}`)
      : no(`${missing} is not here`, 'on the host of the DHCP server')
  },
  agent(facts) {
    const vms = (facts.inventory?.inventory?.vms ?? []).filter(({agent}) => agent !== undefined)
    if (vms.length === 0)
      return no('no VM of the inventory has "agent"', 'where the key of the new site is, or on the hypervisor')
    const keys = (facts.inventory?.inventory?.segments ?? []).flatMap(({gateways}) =>
      gateways.flatMap(({agentKey}) => agentKey ?? []),
    )
    const readable = [...new Set(keys)].filter((file) => facts.readable.has(file))
    if (readable.length > 0) return yes(`with the key ${readable.join(', ')}`)
    if (keys.length > 0)
      return no(`${keys[0]} is not here, or this user may not read it`, 'where the key of the new site is')
    return {
      here: 'unknown',
      why: 'no key of a site is in the inventory',
      where: 'on the hypervisor, by the guest agent of the VM',
    }
  },
}

const placeOf = (facts: DoctorFacts): string => {
  const bridges = bridgesOf(facts).map(({name}) => name)
  const stations = stationsOf(facts).map(({segment, on}) => `${on[0]!.name} on ${segment.name}`)
  return [...new Set([...stations, ...bridges.map((name) => `the bridge ${name}`)])].join(', ')
}

/** The files by which a DHCP server is told anything; none where it is reached by an address. */
const controlsOf = ({
  control,
  controls = [],
  optsfile,
}: {
  readonly control?: string | undefined
  readonly controls?: readonly string[] | undefined
  readonly optsfile?: string | undefined
}): readonly string[] =>
  [control, optsfile, ...controls].filter((file) => file !== undefined).filter((file) => file.startsWith('/'))

/** Nothing is said of what an inventory would have to say. */
function judge(name: string, needs: string, facts: DoctorFacts): Omit<StrategyPlace, 'strategy'> {
  const known = JUDGES[name]
  if (known === undefined) return {here: 'unknown', why: `of a plugin; it needs ${needs}`, where: null}
  if (facts.inventory?.inventory || name === 'mac-proxy') return known(facts)
  return {here: 'unknown', why: 'there is no inventory that can be used', where: null}
}

export const strategyPlaces = (facts: DoctorFacts): readonly StrategyPlace[] =>
  facts.strategies.map(({name, needs}) => ({strategy: name, ...judge(name, needs, facts)}))
