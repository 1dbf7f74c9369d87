// Answering ARP for VMs that have left, so that an old gateway whose only address is filtered still finds them: what has to
// be there for it, and what of that is ours to take away again.
//
// The bridge itself answers (bridge(8), neigh_suppress): from a permanent neighbour entry on the bridge device, if its
// forwarding table has the VM behind a port with neigh_suppress.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {FilterIntent, KeptVm} from './intent.ts'
import type {Made} from './record.ts'

/** The bridges of this host, as far as they are asked about. */
export interface BridgeFacts {
  readonly ports: readonly {readonly name: string; readonly bridge: string; readonly neighSuppress: boolean}[]
  /** Bridges that keep VLANs apart themselves. */
  readonly vlanAware: readonly string[]
  readonly forwarding: ReadonlyMap<
    string,
    readonly {readonly mac: Mac; readonly port: string; readonly own: boolean; readonly fixed: boolean}[]
  >
  readonly neighbours: ReadonlyMap<
    string,
    readonly {readonly ip: Ipv4 | Ipv6; readonly mac: Mac; readonly permanent: boolean}[]
  >
}

/** What has to be in the kernel for the VMs that are kept. */
export interface KeptPlan {
  readonly neighbours: Made['neighbours']
  readonly places: readonly (Made['places'][number] & {readonly port: string})[]
  /** Ports with neigh_suppress. */
  readonly suppressed: readonly string[]
  /** Of all that, what was not there before us. */
  readonly made: Made
  readonly notes: readonly string[]
}

/** Why a bridge could not answer for the VMs that are to be kept, one line a piece. */
export function keptRefusals(intents: readonly FilterIntent[], {ports, vlanAware}: BridgeFacts): string[] {
  const keeping = intents.filter(({kept}) => kept.length > 0).flatMap((intent) => intent.ports)
  const bridges = ports.filter(({name}) => keeping.includes(name)).map(({bridge}) => bridge)
  return [...new Set(bridges)]
    .filter((bridge) => vlanAware.includes(bridge))
    .map(
      (bridge) =>
        `inbound cannot be kept: ${bridge} keeps VLANs apart itself (vlan_filtering 1), which is not supported: use a bridge a segment, or move inbound`,
    )
}

export function planKept(intents: readonly FilterIntent[], before: Made, facts: BridgeFacts): KeptPlan {
  const all = intents.filter(({kept}) => kept.length > 0).map((intent) => planOne(intent, facts))
  const neighbours = all.flatMap((each) => each.neighbours)
  const places = all.flatMap((each) => each.places)
  const suppressed = [...new Set(all.flatMap((each) => each.suppressed))].sort()
  return {
    ...{neighbours, places, suppressed},
    made: {
      neighbours: neighbours.filter((each) => hasNeighbour(before, each) || !isThere(each, facts)),
      places: places
        .filter((each) => hasPlace(before, each) || !isFixed(each, facts))
        .map(({bridge, mac}) => ({bridge, mac})),
      suppressed: suppressed.filter((port) => before.suppressed.includes(port) || !isSuppressed(port, facts)),
    },
    notes: all.flatMap(({notes}) => notes),
  }
}

type OnePlan = Omit<KeptPlan, 'made'>

function planOne({ports: names, kept}: FilterIntent, facts: BridgeFacts): OnePlan {
  const ports = facts.ports.filter(({name}) => names.includes(name))
  const bridges = [...new Set(ports.map(({bridge}) => bridge))]
  const placed = bridges.flatMap((bridge) => {
    const here = ports.filter((port) => port.bridge === bridge).map(({name}) => name)
    return kept.map((vm) => placeOf(vm, bridge, here, facts))
  })
  return {
    neighbours: bridges.flatMap((bridge) =>
      kept.flatMap(({ip, ip6, mac}) => [ip, ...ip6].map((each) => ({bridge, ip: each, mac}))),
    ),
    places: placed.flatMap((each) => (typeof each === 'string' ? [] : each)),
    suppressed: ports.map(({name}) => name),
    notes: placed.filter((each) => typeof each === 'string'),
  }
}

/** Behind which port a VM is to be fixed, or why it cannot be yet. */
function placeOf({name, mac}: KeptVm, bridge: string, ports: readonly string[], {forwarding}: BridgeFacts) {
  const at = forwarding.get(bridge)?.find((entry) => entry.mac === mac && !entry.own)?.port
  if (at !== undefined && !ports.includes(at)) {
    return `${name} is still here, behind ${at}: the bridge answers for it once it has left; apply again then, or its place is forgotten after the bridge's ageing time`
  }
  const port = at ?? (ports.length === 1 ? ports[0] : undefined)
  return port === undefined
    ? `${name} was not heard on ${bridge} yet: the bridge answers for it once it was, behind one of ${ports.join(', ')}`
    : {bridge, mac, port}
}

const hasNeighbour = ({neighbours}: Made, {bridge, ip, mac}: Made['neighbours'][number]): boolean =>
  neighbours.some((each) => each.bridge === bridge && each.ip === ip && each.mac === mac)
const hasPlace = ({places}: Made, {bridge, mac}: Made['places'][number]): boolean =>
  places.some((each) => each.bridge === bridge && each.mac === mac)

const isThere = ({bridge, ip, mac}: Made['neighbours'][number], {neighbours}: BridgeFacts): boolean =>
  neighbours.get(bridge)?.some((each) => each.ip === ip && each.mac === mac && each.permanent) === true
const isFixed = ({bridge, mac}: Made['places'][number], {forwarding}: BridgeFacts): boolean =>
  forwarding.get(bridge)?.some((each) => each.mac === mac && each.fixed) === true
const isSuppressed = (port: string, {ports}: BridgeFacts): boolean =>
  ports.some(({name, neighSuppress}) => name === port && neighSuppress)

/** Of a plan, what is not in the kernel. */
export const missingOf = (plan: KeptPlan, facts: BridgeFacts): Omit<KeptPlan, 'made' | 'notes'> => ({
  neighbours: plan.neighbours.filter((each) => !isThere(each, facts)),
  places: plan.places.filter((each) => !isFixed(each, facts)),
  suppressed: plan.suppressed.filter((port) => !isSuppressed(port, facts)),
})

/** Of what was made, what is in the kernel. A MAC may have moved since: its ports now. */
export const presentOf = (made: Made, facts: BridgeFacts): Omit<KeptPlan, 'made' | 'notes'> => ({
  neighbours: made.neighbours.filter((each) => isThere(each, facts)),
  places: made.places.flatMap(({bridge, mac}) =>
    (facts.forwarding.get(bridge) ?? [])
      .filter((each) => each.mac === mac && each.fixed)
      .map(({port}) => ({bridge, mac, port})),
  ),
  suppressed: made.suppressed.filter((port) => isSuppressed(port, facts)),
})

/** What is missing, or left over, one line a piece. */
export const keptLines = (
  {neighbours, places, suppressed}: Omit<KeptPlan, 'made' | 'notes'>,
  words: {
    neighbour(bridge: string, ip: string): string
    place(mac: Mac, port: string): string
    suppressed(port: string): string
  },
): string[] => [
  ...suppressed.map(words.suppressed),
  ...neighbours.map(({bridge, ip}) => words.neighbour(bridge, ip)),
  ...places.map(({mac, port}) => words.place(mac, port)),
]

/** A bridge that answers ARP for a gateway itself, and by what entry. */
export function answersForGateway({gw4, gw6, ports: names}: FilterIntent, facts: BridgeFacts): string[] {
  const ports = facts.ports.filter(({name}) => names.includes(name))
  return [...new Set(ports.map(({bridge}) => bridge))].flatMap((bridge) =>
    (facts.neighbours.get(bridge) ?? [])
      .filter(({ip}) => gw4.includes(ip) || gw6.includes(ip))
      .flatMap(({ip, mac}) => {
        const port = facts.forwarding.get(bridge)?.find((each) => each.mac === mac && !each.own)?.port
        const suppressing = port !== undefined && ports.some(({name}) => name === port) && isSuppressed(port, facts)
        return suppressing
          ? `${bridge} answers for ${ip} itself, with ${mac} behind ${port}: neighbour entry "${ip} lladdr ${mac}" of ${bridge}, neigh_suppress on ${port} (ip neigh del ${ip} dev ${bridge})`
          : []
      }),
  )
}
