// Is a VM served through a gateway? One judgement for every strategy, from what was seen on the wire and nothing else.
//
// Seen from one place only: `EgressSeen` says where the VM's packets went, `GatewaySeen` whether a gateway lives and takes
// packets on to somewhere beyond it. Both are needed: a VM that sends to a dead router is cut off, not switched.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'

/**
 * How a question about a VM ends. `served`: its packets leave through the gateway and something comes back from beyond.
 * `already`: it was served so before anything was done. `unverified`: nothing speaks against it, but from here it cannot be
 * seen. `silent`: the VM does not answer. `elsewhere`: it sends to another gateway. `target-dead`: the gateway does not
 * answer, or takes nothing on. `not-here`: the VM is at another site than the switch says. `partial`: one family of two, or
 * some destinations.
 */
export const PROOF_CODES = [
  'served',
  'already',
  'unverified',
  'silent',
  'elsewhere',
  'target-dead',
  'not-here',
  'partial',
] as const
export type ProofCode = (typeof PROOF_CODES)[number]

export type Family = 4 | 6

/** A gateway of the segment, as evidence names it. */
export interface NamedGateway {
  readonly name: string
  readonly site: string
  readonly ip: Ipv4
  readonly mac: Mac
}

/** Where the VM's packets for one destination off its segment went, as last seen. */
export interface PathSeen {
  readonly destination: Ipv4 | Ipv6
  readonly mac: Mac
  /** `echo`: its answer to an echo that claimed to come from there. `traffic`: a packet of its own. */
  readonly by: 'echo' | 'traffic'
  /** Something came from there to the VM after that. */
  readonly answered: boolean
}

/** What was seen of one family of the VM. JSON: plans carry it. */
export interface EgressSeen {
  readonly family: Family
  readonly paths: readonly PathSeen[]
  /** Places that an echo claimed to come from, and whose answer did not pass; none where nothing was asked. */
  readonly unanswered?: readonly (Ipv4 | Ipv6)[]
  /** It answered ARP, neighbour discovery or an echo, or was heard. */
  readonly alive: boolean
  /** The shortest round trip to it, ms; null if it answered nothing that was asked. */
  readonly rttMs: number | null
  /** Addresses that it asked for by ARP: it is about to send there. Seen also where its traffic does not pass. */
  readonly askedFor: readonly Ipv4[]
  /** It answers echoes from the segment here, and those from far away somewhere else: it does not send through here. */
  readonly elsewhere: boolean
}

/** What one gateway did when it was asked. JSON. */
export interface GatewaySeen {
  readonly mac: Mac
  /** `self`: it is this host. `elsewhere`: its address is at MACs that the inventory does not know, and its own is silent. */
  readonly resolved: 'yes' | 'self' | 'silent' | 'elsewhere'
  readonly claimedBy: readonly Mac[]
  /**
   * `answers`: an answer came from at least one router beyond it. `refuses`: it says itself that it has no way.
   * `not-asked`: nothing was known to ask for.
   */
  readonly beyond: 'answers' | 'refuses' | 'silent' | 'not-asked'
  /** Who answered, or what was asked for in vain; for people. */
  readonly witness: string
  /** The shortest round trip to the gateway itself, ms. */
  readonly rttMs: number | null
}

/** All that was asked in one go. JSON. */
export interface Observation {
  readonly egress: readonly EgressSeen[]
  readonly target: GatewaySeen
  /** The gateway that is left; null where it was not asked. */
  readonly old: GatewaySeen | null
  /** Behind which ports the bridge here has learned them; absent where there is none. */
  readonly learned?: Learned | undefined
}

/** Ports of a bridge, from its forwarding table. JSON. */
export interface Learned {
  readonly bridge: string
  readonly vm: readonly string[]
  /** The new gateway, and all others of the segment. */
  readonly to: readonly string[]
  readonly others: readonly string[]
}

/** What the switch is about, for the judgement. */
export interface ProofSubject {
  readonly vm: {readonly name: string}
  readonly gateways: readonly NamedGateway[]
  readonly to: NamedGateway
  /** The watching place: what can be seen there, in words (`vnet0`). */
  readonly interface: string
  /** `all`: what the VM sends passes there, whoever it is for. `to`: it is the gateway's own leg. `none`: neither. */
  readonly sees: 'all' | 'to' | 'none'
  /** Round trip between the sites, ms, if the inventory says so. */
  readonly dciRttMs: number | null
  /** Sessions that began before are meant to stay where they are: the VM's own traffic says nothing against the switch. */
  readonly keepsSessions: boolean
}

export interface Proof {
  readonly code: ProofCode
  /** It was seen not to use `to`, whatever it uses. */
  readonly away: boolean
  /** The gateway that the VM uses; null: unknown, or none of the segment's. */
  readonly uses: NamedGateway | null
  /** For people, one line a piece. Nothing is decided by them. */
  readonly evidence: readonly string[]
}

/** Sites nearer to each other than this, ms, cannot be told apart by round trips: a busy VM takes as long to answer. */
const TOLD_APART_MS = 5
/** What takes longer than this many round trips between the sites is slow, wherever it is. */
const SLOW = 2
/** Below this part of the round trip between the sites something is on this side, from {@link FAR} on, on the other. */
const NEAR = 0.5
const FAR = 0.75

/** Where one family goes. `seen`: to these MACs, one or several. */
type Direction =
  | {readonly kind: 'silent'}
  | {readonly kind: 'unseen'}
  | {readonly kind: 'away'}
  | {readonly kind: 'seen'; readonly macs: readonly Mac[]; readonly paths: readonly PathSeen[]}

function directionOf(subject: ProofSubject, {paths, alive, elsewhere}: EgressSeen): Direction {
  const speaking = subject.keepsSessions ? paths.filter(({by}) => by === 'echo') : paths
  if (speaking.length > 0) return {kind: 'seen', macs: [...new Set(speaking.map(({mac}) => mac))], paths: speaking}
  // What does not come to the gateway's own leg goes to another; elsewhere it means nothing.
  return {kind: !alive ? 'silent' : elsewhere && subject.sees === 'to' ? 'away' : 'unseen'}
}

/** Which half of the address space an address is in: routes of 0.0.0.0/1 and 128.0.0.0/1 (::/1, 8000::/1) part it there. */
function halfOf(ip: Ipv4 | Ipv6): 'lower' | 'upper' {
  if (!ip.includes(':')) return Number(ip.split('.')[0]) < 128 ? 'lower' : 'upper'
  const [first = ''] = ip.split(':')
  return first.length === 4 && Number.parseInt(first, 16) >= 0x8000 ? 'upper' : 'lower'
}

/** Whether places in both halves of the address space are among them: one route may be for one half alone. */
export const spansBothHalves = (paths: readonly Pick<PathSeen, 'destination'>[]): boolean =>
  new Set(paths.map(({destination}) => halfOf(destination))).size === 2

/**
 * Of what was asked for in vain, what lies in a half of which nothing was seen. It says something at the gateway's own leg
 * alone, where the answers that go elsewhere do not pass; on the VM's port they would.
 */
function unseenPart({sees}: ProofSubject, {paths, unanswered = []}: EgressSeen): readonly (Ipv4 | Ipv6)[] {
  if (sees !== 'to' || paths.length === 0) return []
  const halves = new Set(paths.map(({destination}) => halfOf(destination)))
  return unanswered.filter((place) => !halves.has(halfOf(place)))
}

/** Whether the gateway is out of order, as far as it was asked: not only silent beyond where nobody answers through any. */
export function isDead(gateway: GatewaySeen, other: GatewaySeen | null): boolean {
  if (gateway.beyond === 'answers') return false
  if (gateway.resolved === 'silent' || gateway.resolved === 'elsewhere') return true
  return gateway.beyond === 'refuses' || (gateway.beyond === 'silent' && other?.beyond === 'answers')
}

/** It was seen to take packets on. */
export const forwards = (gateway: GatewaySeen): boolean => gateway.beyond === 'answers'

/** What a gateway did, for people. */
export function gatewayText(gateway: GatewaySeen, {name, ip, mac}: NamedGateway): string {
  if (gateway.resolved === 'elsewhere')
    return `${ip} is at ${gateway.claimedBy.join(' and ')} here, and nobody answers at ${mac}, which the inventory gives ${name}`
  if (gateway.resolved === 'silent' && gateway.beyond !== 'answers')
    return `${name} (${mac}) does not answer: no ARP for ${ip}, nothing beyond it`
  switch (gateway.beyond) {
    case 'answers':
      return `${name} (${mac}) takes packets on: ${gateway.witness}`
    case 'refuses':
      return `${name} (${mac}) takes nothing on: ${gateway.witness}`
    case 'silent':
      return `${name} (${mac}) answers, but nothing beyond it does: ${gateway.witness}`
    case 'not-asked':
      return `nothing beyond ${name} (${mac}) could be asked for: ${gateway.witness}`
  }
}

const named = (subject: ProofSubject, mac: Mac): NamedGateway | undefined =>
  [subject.to, ...subject.gateways].find((gateway) => gateway.mac === mac)

const nameText = (subject: ProofSubject, mac: Mac): string => {
  const gateway = named(subject, mac)
  return gateway ? `${gateway.name} (${mac})` : `${mac}, which is no gateway of this segment`
}

const byFamily = (family: Family): string => (family === 6 ? ' over IPv6' : '')

/** Where a family's packets go, one line; several where destinations differ. */
function egressText(subject: ProofSubject, seen: EgressSeen, direction: Direction): string[] {
  const {family} = seen
  if (direction.kind !== 'seen') return [`${subject.vm.name} ${unseenText(subject, family, direction.kind)}`]
  const [unseen] = unseenPart(subject, seen)
  const part = `what it sends to ${unseen} does not come to ${subject.interface}: another route may take it, or it drops the question; its own port shows which`
  const ways = direction.macs.map((mac) => {
    const to = direction.paths.filter((path) => path.mac === mac)
    const only = to.some(({by}) => by === 'echo') ? '' : ` (its own traffic to ${listed(to)})`
    const what = direction.macs.length === 1 ? only : ` for ${listed(to)}`
    return `${subject.vm.name} leaves${byFamily(family)} through ${nameText(subject, mac)}${what}`
  })
  return unseen === undefined ? ways : [...ways, part]
}

function unseenText(
  {interface: here, sees, to}: ProofSubject,
  family: Family,
  kind: Exclude<Direction['kind'], 'seen'>,
): string {
  const [asked, by] = family === 6 ? ['neighbour discovery', ' over IPv6'] : ['ARP', '']
  switch (kind) {
    case 'silent':
      return `is silent${by}: no answer to ${asked} or echo`
    case 'away':
      return `answers echoes from the segment, but its answers to far away do not come to ${here}${by}: it does not use ${to.name}`
    case 'unseen':
      return sees === 'all'
        ? `answers ${asked}, but nothing of its own was heard at ${here}, and no answer to an echo${by}: it drops ICMP and says nothing`
        : `answers ${asked}, but where it sends${by} cannot be seen at ${here}: run this at ${to.name} or on the VM's own port`
  }
}

const listed = (paths: readonly PathSeen[]): string => {
  const [first, second, ...others] = [...new Set(paths.map(({destination}) => destination))]
  const shown = second === undefined ? `${first}` : `${first} and ${second}`
  return others.length === 0 ? shown : `${first}, ${second} and ${others.length} more`
}

/** The one gateway that all that was seen of the VM goes to. */
function gatewayUsed(subject: ProofSubject, directions: readonly Direction[]): NamedGateway | null {
  const macs = new Set(directions.flatMap((direction) => (direction.kind === 'seen' ? direction.macs : [])))
  const [only, ...others] = macs
  return only === undefined || others.length > 0 ? null : (named(subject, only) ?? null)
}

/**
 * How things stand before anything is done: `code` is null where the switch can begin. A VM that does not run yet
 * (`awaited`) may be silent.
 */
export function judgeBefore(
  subject: ProofSubject,
  seen: Observation,
  awaited: boolean,
): Omit<Proof, 'code'> & {readonly code: ProofCode | null; readonly contradiction?: string | undefined} {
  const directions = seen.egress.map((each) => directionOf(subject, each))
  const uses = gatewayUsed(subject, directions)
  const egress = seen.egress.flatMap((each, i) => egressText(subject, each, directions[i]!))
  const target = gatewayText(seen.target, subject.to)
  const away = isAway(subject, directions)
  const place = placeOf(subject, seen)
  const {contradiction} = place
  const ends = (code: ProofCode | null, evidence: readonly string[]) => ({code, uses, away, evidence, contradiction})
  if (isDead(seen.target, seen.old)) return ends('target-dead', [target, ...egress])
  if (place.apart) return ends('not-here', [place.text, ...egress])
  if (awaited) return ends(null, [target])
  const whole = seen.egress.every((each) => unseenPart(subject, each).length === 0)
  if (whole && directions.every((direction) => isOnTarget(subject, direction)))
    return ends('already', [...egress, target])
  if (directions.every(({kind}) => kind === 'silent')) return ends('silent', egress)
  return ends(null, [...egress, target])
}

const isAway = ({to}: ProofSubject, directions: readonly Direction[]): boolean =>
  directions.length > 0 &&
  directions.every(
    (direction) => direction.kind === 'away' || (direction.kind === 'seen' && !direction.macs.includes(to.mac)),
  )

const isOnTarget = ({to}: ProofSubject, direction: Direction): boolean =>
  direction.kind === 'seen' && direction.macs.every((mac) => mac === to.mac)

/** What one witness says of where the VM is, seen from its new gateway. */
interface Whereabouts {
  readonly apart: boolean
  readonly text: string
}

/** By round trips: on which sides of the inter-site link the VM and the new gateway are; undefined if that says nothing. */
function byRoundTrip({dciRttMs, vm, to}: ProofSubject, {egress, target}: Observation): Whereabouts | undefined {
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

/** By the bridge: the VM behind a port with gateways of other sites and without the new one; undefined if that says nothing. */
function byBridge({vm, to, sees, interface: here}: ProofSubject, {learned}: Observation): Whereabouts | undefined {
  if (learned === undefined || learned.vm.length === 0) return undefined
  const {bridge, vm: ports, to: ofTo, others} = learned
  const isWith = (gateways: readonly string[]): boolean => ports.some((port) => gateways.includes(port))
  const text = `${bridge} has learned ${vm.name} behind ${ports.join(' and ')}`
  if (isWith(ofTo) || (sees === 'all' && ports.includes(here))) return {apart: false, text}
  if (!isWith(others) || ofTo.length === 0) return undefined
  return {apart: true, text: `${text}, with a gateway of another site, and ${to.name} behind ${ofTo.join(' and ')}`}
}

/** Whether the VM is where the switch says, by all who say something; those who contradict each other decide nothing. */
function placeOf(subject: ProofSubject, seen: Observation): {apart: boolean; contradiction?: string; text: string} {
  const said = [byRoundTrip(subject, seen), byBridge(subject, seen)].filter((each) => each !== undefined)
  const text = `${subject.vm.name} is not at site ${subject.to.site}: ${said.map((each) => each.text).join('; ')}`
  const apart = said.some((each) => each.apart)
  if (!apart || said.every((each) => each.apart)) return {apart, text}
  const contradiction = `whether ${subject.vm.name} is at site ${subject.to.site} is contradicted: ${said.map((each) => each.text).join(', but ')}`
  return {apart: false, contradiction, text}
}

/** Whether the VM is served through `to`. Every family that was to move must say so. */
export function judgeAfter(subject: ProofSubject, seen: Observation): Proof {
  const directions = seen.egress.map((each) => directionOf(subject, each))
  const egress = seen.egress.flatMap((each, i) => egressText(subject, each, directions[i]!))
  const onTarget = directions.map((direction) => isOnTarget(subject, direction))
  const touched = directions.map((direction) => direction.kind === 'seen' && direction.macs.includes(subject.to.mac))
  const target = gatewayText(seen.target, subject.to)
  const evidence = [...egress, target]
  const facts = {uses: gatewayUsed(subject, directions), away: isAway(subject, directions)}
  const ends = (code: ProofCode): Proof => ({code, ...facts, evidence})
  if (!onTarget.every(Boolean)) {
    if (touched.some(Boolean)) return ends('partial')
    if (directions.some(({kind}) => kind === 'seen' || kind === 'away')) return ends('elsewhere')
    return ends(directions.every(({kind}) => kind === 'silent') ? 'silent' : 'unverified')
  }
  if (seen.egress.some((each) => unseenPart(subject, each).length > 0)) {
    return ends(isDead(seen.target, seen.old) ? 'target-dead' : 'unverified')
  }
  const returned = seen.egress.flatMap(({paths}) => paths).find(({mac, answered}) => answered && mac === subject.to.mac)
  if (returned !== undefined) {
    const back = `${returned.destination} answers ${subject.vm.name} through it`
    return {code: 'served', ...facts, evidence: [...egress, back]}
  }
  if (isDead(seen.target, seen.old)) return ends('target-dead')
  return ends(forwards(seen.target) ? 'served' : 'unverified')
}
