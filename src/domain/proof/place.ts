// Is the VM where the switch says it will be: at the site of its new gateway? By round trips, and by what the bridge here has
// learned.

/** Ports of a bridge, from its forwarding table. JSON. */
export interface Learned {
  readonly bridge: string
  readonly vm: readonly string[]
  /** The new gateway, and all others of the segment. */
  readonly to: readonly string[]
  readonly others: readonly string[]
  /** Those that lead to another site than the new gateway's, by the inventory or by what they are. */
  readonly leading?: readonly string[] | undefined
}

/** Whom it is about, and from where it is seen: see `ProofSubject`. */
interface PlaceSubject {
  readonly vm: {readonly name: string}
  readonly to: {readonly name: string; readonly site: string}
  readonly interface: string
  readonly sees: 'all' | 'to' | 'none'
  readonly dciRttMs: number | null
}

/** What was seen that tells: see `Observation`. */
interface PlaceSeen {
  readonly egress: readonly {readonly rttMs: number | null}[]
  readonly target: {readonly resolved: string; readonly rttMs: number | null}
  readonly learned?: Learned | undefined
}

/** Sites nearer to each other than this, ms, cannot be told apart by round trips: a busy VM takes as long to answer. */
const TOLD_APART_MS = 5
/** What takes longer than this many round trips between the sites is slow, wherever it is. */
const SLOW = 2
/** Below this part of the round trip between the sites something is on this side, from {@link FAR} on, on the other. */
const NEAR = 0.5
const FAR = 0.75

/** What one witness says of where the VM is, seen from its new gateway. */
interface Whereabouts {
  readonly apart: boolean
  readonly text: string
}

/** By round trips: on which sides of the inter-site link the VM and the new gateway are; undefined if that says nothing. */
function byRoundTrip({dciRttMs, vm, to}: PlaceSubject, {egress, target}: PlaceSeen): Whereabouts | undefined {
  const rtts = egress.flatMap(({rttMs}) => rttMs ?? [])
  if (dciRttMs === null || dciRttMs < TOLD_APART_MS || rtts.length === 0) return undefined
  const vmMs = Math.min(...rtts)
  const gatewayMs = target.resolved === 'self' ? 0 : target.rttMs
  const side = (ms: number | null): 'near' | 'far' | undefined =>
    ms === null
      ? undefined
      : ms < NEAR * dciRttMs
        ? 'near'
        : ms >= FAR * dciRttMs && ms <= SLOW * dciRttMs
          ? 'far'
          : undefined
  const [ofVm, ofGateway] = [side(vmMs), side(gatewayMs)]
  if (ofVm === undefined || ofGateway === undefined) return undefined
  const gateway = gatewayMs === 0 ? 'this host' : `${gatewayMs!.toFixed(1)} ms away`
  const text = `${vm.name} is ${vmMs.toFixed(1)} ms away from here, where ${to.name} is ${gateway} (the sites are ${dciRttMs} ms apart, dciRttMs)`
  return {apart: ofVm !== ofGateway, text}
}

/**
 * By the bridge: the VM behind a port with gateways of other sites, or one that leads to another site, and without the new
 * gateway; undefined if that says nothing.
 */
function byBridge({vm, to, sees, interface: here}: PlaceSubject, {learned}: PlaceSeen): Whereabouts | undefined {
  if (learned === undefined || learned.vm.length === 0) return undefined
  const {bridge, vm: ports, to: ofTo, others, leading = []} = learned
  const isWith = (gateways: readonly string[]): boolean => ports.some((port) => gateways.includes(port))
  const text = `${bridge} has learned ${vm.name} behind ${ports.join(' and ')}`
  // Its own port leads to no gateway: one that does leads to a site.
  const isOwn = sees === 'all' && ports.includes(here) && !others.includes(here) && !leading.includes(here)
  if (isWith(ofTo) || isOwn) return {apart: false, text}
  // Seen from another site's bridge, the ports that lead away may lead to the new gateway's.
  if (ofTo.length === 0 || (!isWith(others) && ofTo.some((port) => leading.includes(port)))) return undefined
  const why = isWith(others)
    ? 'with a gateway of another site'
    : isWith(leading)
      ? 'which leads to another site'
      : undefined
  return why === undefined
    ? undefined
    : {apart: true, text: `${text}, ${why}, and ${to.name} behind ${ofTo.join(' and ')}`}
}

/** Whether the VM is where the switch says, by all who say something; those who contradict each other decide nothing. */
export function placeOf(
  subject: PlaceSubject,
  seen: PlaceSeen,
): {apart: boolean; contradiction?: string; text: string} {
  const said = [byRoundTrip(subject, seen), byBridge(subject, seen)].filter((each) => each !== undefined)
  const text = `${subject.vm.name} is not at site ${subject.to.site}: ${said.map((each) => each.text).join('; ')}`
  const apart = said.some((each) => each.apart)
  if (!apart || said.every((each) => each.apart)) return {apart, text}
  const contradiction = `whether ${subject.vm.name} is at site ${subject.to.site} is contradicted: ${said.map((each) => each.text).join(', but ')}`
  return {apart: false, contradiction, text}
}
