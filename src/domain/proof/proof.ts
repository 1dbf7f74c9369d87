// Is a VM served through a gateway? One judgement for every strategy, from what was seen on the wire and nothing else.
//
// Seen from one place only: `EgressSeen` says where the VM's packets went, `GatewaySeen` whether a gateway lives and takes
// packets on to somewhere beyond it. Both are needed.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {
  type Family,
  type GatewaysSeen,
  gatewayCode,
  gatewayText,
  gatewayText6,
  isDead,
  isDead6,
  type NamedGateway,
} from './gateway.ts'
import {type Learned, placeOf} from './place.ts'

/**
 * How a question about a VM ends. `served`: its packets leave through the gateway and something comes back from beyond.
 * `already`: they left through it before anything was done, and it is not dead. `unverified`: nothing speaks against it, but from here it cannot be
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
  /** It answers echoes from the segment here, and not those from far away: it sends elsewhere, or has a firewall. */
  readonly elsewhere: boolean
  /**
   * Where it sends what is for the address that all gateways share, by an echo that claimed to come from there: its
   * neighbour entry. null: asked, and nothing came here; undefined: not asked.
   */
  readonly entry?: Mac | null
}

/** All that was asked in one go. JSON. */
export interface Observation extends GatewaysSeen {
  readonly egress: readonly EgressSeen[]
  /** Behind which ports the bridge here has learned them; absent where there is none. */
  readonly learned?: Learned | undefined
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
  /** Where the VM is does not matter; default: at the site of `to` alone. */
  readonly otherSite?: boolean | undefined
}

export interface Proof {
  readonly code: ProofCode
  /** It was seen not to use `to`, whatever it uses. */
  readonly away: boolean
  /** It does not use `to`, or its firewall answers the segment alone: nobody can tell. */
  readonly hidden: boolean
  /** The gateway that the VM uses; null: unknown, or none of the segment's. */
  readonly uses: NamedGateway | null
  /** For people, one line a piece. Nothing is decided by them. */
  readonly evidence: readonly string[]
}

/** Where one family goes. `seen`: to these MACs, one or several. */
type Direction =
  | {readonly kind: 'silent'}
  | {readonly kind: 'unseen'}
  /** Its answers to far away do not come here: it sends elsewhere, or has a firewall. `mac`: that of its neighbour entry. */
  | {readonly kind: 'hidden'; readonly mac: Mac | null}
  /** They do not come here, and it answers another gateway, or looks for one. */
  | {readonly kind: 'away'}
  | {readonly kind: 'seen'; readonly macs: readonly Mac[]; readonly paths: readonly PathSeen[]}

function directionOf(subject: ProofSubject, seen: EgressSeen): Direction {
  const {paths, alive, elsewhere} = seen
  const speaking = subject.keepsSessions ? paths.filter(({by}) => by === 'echo') : paths
  if (speaking.length > 0) return {kind: 'seen', macs: [...new Set(speaking.map(({mac}) => mac))], paths: speaking}
  if (!alive) return {kind: 'silent'}
  if (!elsewhere || subject.sees === 'none') return {kind: 'unseen'}
  return subject.sees === 'to' && usesAnother(subject, seen)
    ? {kind: 'away'}
    : {kind: 'hidden', mac: seen.entry ?? null}
}

/** At the new gateway's own leg: what is for the shared address does not come here, or it looked for another one. */
function usesAnother({gateways, to}: ProofSubject, {entry, askedFor}: EgressSeen): boolean {
  const looked = gateways.some(({ip, mac}) => mac !== to.mac && ip !== to.ip && askedFor.includes(ip))
  return entry === null || looked
}

/** Which half of the address space an address is in: routes of 0.0.0.0/1 and 128.0.0.0/1 (::/1, 8000::/1) part it there. */
function halfOf(ip: Ipv4 | Ipv6): 'lower' | 'upper' {
  if (!ip.includes(':')) return Number(ip.split('.')[0]) < 128 ? 'lower' : 'upper'
  const [first = ''] = ip.split(':')
  return first.length === 4 && Number.parseInt(first, 16) >= 0x8000 ? 'upper' : 'lower'
}

/**
 * Whether more questions would tell no more: the answers to places in both halves of the address space were seen, since one
 * route may be for one half alone, and with a MAC that is hoped for all of them go there. A VM whose route changes while it
 * is asked has answered some by the old one.
 */
export function isSettled(paths: readonly PathSeen[], wanted: Mac | undefined): boolean {
  const echoes = paths.filter(({by}) => by === 'echo')
  const halves = new Set(echoes.map(({destination}) => halfOf(destination)))
  return halves.size === 2 && (wanted === undefined || echoes.every(({mac}) => mac === wanted))
}

/**
 * Of what was asked for in vain, what lies in a half of which nothing was seen. It says something at the gateway's own leg
 * alone, where the answers that go elsewhere do not pass; on the VM's port they would.
 */
function unseenPart({sees}: ProofSubject, {paths, unanswered = []}: EgressSeen): readonly (Ipv4 | Ipv6)[] {
  if (sees !== 'to' || paths.length === 0) return []
  const halves = new Set(paths.map(({destination}) => halfOf(destination)))
  return unanswered.filter((place) => !halves.has(halfOf(place)))
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
  if (direction.kind === 'hidden' && direction.mac !== null)
    return [
      `${subject.vm.name} answers the gateway's address at ${nameText(subject, direction.mac)}, and nothing from far away: its firewall answers the segment alone`,
    ]
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
      return `answers echoes from the segment, but what it sends to a gateway does not come to ${here}${by}: it does not use ${to.name}`
    case 'hidden':
      return sees === 'all'
        ? `answers echoes, but nothing that it sends off its segment was seen to leave${by}`
        : `answers echoes from the segment, but its answers to far away do not come to ${here}${by}: it does not use ${to.name}, or its firewall answers the segment alone`
    case 'unseen':
      return sees === 'all'
        ? `answers ${asked}, but nothing of its own was heard at ${here}, and no answer to an echo${by}: it drops ICMP and says nothing`
        : `answers ${asked}, but where it sends${by} cannot be seen at ${here}${sees === 'to' ? `, ${to.name}'s own leg: it sends elsewhere, or drops what is asked; the VM's own port shows which` : `: run this at ${to.name} or on the VM's own port`}`
  }
}

const listed = (paths: readonly PathSeen[]): string => {
  const [first, second, ...others] = [...new Set(paths.map(({destination}) => destination))]
  const shown = second === undefined ? `${first}` : `${first} and ${second}`
  return others.length === 0 ? shown : `${first}, ${second} and ${others.length} more`
}

/** The one gateway that all that was seen of the VM goes to. */
function gatewayUsed(subject: ProofSubject, directions: readonly Direction[]): NamedGateway | null {
  const macs = new Set(directions.flatMap((direction) => macsOf(direction)))
  const [only, ...others] = macs
  return only === undefined || others.length > 0 ? null : (named(subject, only) ?? null)
}

function macsOf(direction: Direction): readonly Mac[] {
  if (direction.kind === 'seen') return direction.macs
  return direction.kind === 'hidden' && direction.mac !== null ? [direction.mac] : []
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
  const facts = factsOf(subject, directions)
  const egress = seen.egress.flatMap((each, i) => egressText(subject, each, directions[i]!))
  const target = gatewayText(seen.target, subject.to)
  const target6 = gatewayText6(seen, subject.to)
  const place = placeOf(subject, seen)
  const isLeftAlone = place.apart && !subject.otherSite
  const contradiction = place.apart && subject.otherSite ? place.text : place.contradiction
  const ends = (code: ProofCode | null, evidence: readonly string[]) => ({
    code,
    ...facts,
    evidence,
    contradiction,
  })
  if (isDead(seen.target, seen.old)) return ends('target-dead', [target, ...egress])
  if (isDead6(seen)) return ends('target-dead', [...target6, ...egress])
  if (isLeftAlone) return ends('not-here', [place.text, ...egress])
  if (awaited) return ends(null, [target])
  const whole = seen.egress.every((each) => unseenPart(subject, each).length === 0)
  if (whole && directions.every((direction) => isOnTarget(subject, direction)))
    return ends('already', [...egress, target])
  if (directions.every(({kind}) => kind === 'silent')) return ends('silent', egress)
  return ends(null, [...egress, target])
}

/** Which gateway a VM uses, by where it was seen to send. */
export const standingOf = (
  subject: ProofSubject,
  egress: readonly EgressSeen[],
): Pick<Proof, 'uses' | 'away' | 'hidden'> =>
  factsOf(
    subject,
    egress.map((each) => directionOf(subject, each)),
  )

const factsOf = (subject: ProofSubject, directions: readonly Direction[]): Pick<Proof, 'uses' | 'away' | 'hidden'> => ({
  uses: gatewayUsed(subject, directions),
  away: isAway(subject, directions),
  hidden: isHidden(directions),
})

const isAway = ({to}: ProofSubject, directions: readonly Direction[]): boolean =>
  directions.length > 0 &&
  directions.every((direction) => goesElsewhere(to, direction) && !macsOf(direction).includes(to.mac))

/** Some of it was seen to. */
const goesElsewhere = ({mac}: NamedGateway, direction: Direction): boolean =>
  direction.kind === 'away' || macsOf(direction).some((each) => each !== mac)

const isHidden = (directions: readonly Direction[]): boolean =>
  directions.some(({kind}) => kind === 'hidden') && directions.every((direction) => macsOf(direction).length === 0)

const isOnTarget = ({to}: ProofSubject, direction: Direction): boolean =>
  direction.kind === 'seen' && direction.macs.every((mac) => mac === to.mac)

/** Whether the VM is served through `to`. Every family that was to move must say so. */
export function judgeAfter(subject: ProofSubject, seen: Observation): Proof {
  const directions = seen.egress.map((each) => directionOf(subject, each))
  const egress = seen.egress.flatMap((each, i) => egressText(subject, each, directions[i]!))
  const onTarget = directions.map((direction) => isOnTarget(subject, direction))
  const touched = directions.map((direction) => direction.kind === 'seen' && direction.macs.includes(subject.to.mac))
  const target = gatewayText(seen.target, subject.to)
  const evidence = [...egress, target, ...gatewayText6(seen, subject.to)]
  const dead = isDead(seen.target, seen.old) || isDead6(seen)
  const facts = factsOf(subject, directions)
  const ends = (code: ProofCode): Proof => ({code, ...facts, evidence})
  if (!onTarget.every(Boolean)) {
    if (touched.some(Boolean)) return ends('partial')
    if (directions.some((direction) => goesElsewhere(subject.to, direction))) return ends('elsewhere')
    if (directions.every(({kind}) => kind === 'silent')) return ends('silent')
    // Whether it follows cannot be seen, and it would be cut off if it did.
    return ends(dead ? 'target-dead' : 'unverified')
  }
  if (seen.egress.some((each) => unseenPart(subject, each).length > 0)) {
    return ends(dead ? 'target-dead' : 'unverified')
  }
  return {...facts, ...servedBy(subject, seen, egress)}
}

/** Whether what a VM sends to the new gateway gets anywhere, each family by itself. */
function servedBy(
  subject: ProofSubject,
  seen: Observation,
  egress: readonly string[],
): Pick<Proof, 'code' | 'evidence'> {
  const answered = (family: Family): PathSeen | undefined =>
    seen.egress
      .filter((each) => each.family === family)
      .flatMap(({paths}) => paths)
      .find((path) => path.answered && path.mac === subject.to.mac)
  const families = seen.egress.map(({family}) => {
    const via = answered(family)
    const text = family === 4 ? [gatewayText(seen.target, subject.to)] : gatewayText6(seen, subject.to)
    return via
      ? {code: 'served' as const, evidence: [`${via.destination} answers ${subject.vm.name} through it`]}
      : {code: gatewayCode(family, seen), evidence: text}
  })
  return {
    evidence: [...egress, ...families.flatMap(({evidence}) => evidence)],
    code: together(families.map(({code}) => code)),
  }
}

/** Of families that go the same way: a VM is served in all of them, or in a part. Of none nothing was seen. */
function together(codes: readonly ('served' | 'unverified' | 'target-dead')[]): ProofCode {
  const some = (code: ProofCode): boolean => codes.some((each) => each === code)
  if (some('target-dead')) return some('served') ? 'partial' : 'target-dead'
  return some('unverified') || codes.length === 0 ? 'unverified' : 'served'
}
