// Through which gateway does a VM leave its segment? Asked with ICMP echoes that claim to come from several places far
// away: the VM's answers take its routes, so their destination MACs tell. What it sends by itself tells too.
import type {EgressSeen, PathSeen} from '../domain/proof/proof.ts'
import type {Link, ReceivedFrame} from '../net/packet/link.ts'
import type {World} from '../net/world.ts'
import type {Ipv4, Mac, Prefix} from '../wire/address.ts'
import {ARP_REQUEST} from '../wire/arp.ts'
import type {Vlan} from '../wire/ethernet.ts'
import type {Icmp} from '../wire/icmp.ts'
import {type Ipv6, isVersion6} from '../wire/ipv6-address.ts'
import {either} from './either.ts'
import {cameFrom, frameOf, sentTo} from './ip-ends.ts'
import {ENOUGH, startSchedule} from './schedule.ts'
import type {EchoIdentity, Sighting} from './sighting.ts'
import {echoFrame, probeFrame, readSighting, vmFilter} from './vm-watch.ts'

/**
 * Places that nobody is at: the IPv4 dummy address (RFC 7600), and one of the shared address space (RFC 6598), which no
 * Internet router knows. One in each half of the address space: a VPN that takes the default by 0.0.0.0/1 and 128.0.0.0/1,
 * or by one of them, is seen.
 */
export const FAR_AWAY: readonly Ipv4[] = ['192.0.0.8', '100.127.255.254']
/** The same of IPv6: of the discard-only prefix (RFC 6666), and of what is reserved in the upper half (RFC 4291). */
export const FAR_AWAY6: readonly Ipv6[] = ['100::8', '8000::8']
/** Rounds of questions, ms. */
const ROUNDS_MS = [0, 150, 400, 900, 1600]
const LISTEN_MS = 600
/** Destinations of the VM's own traffic that are told apart, at most. */
const MOST_PATHS = 32

export interface EgressQuestion {
  readonly interfaceName: string
  /** One address of it, of either family: each has a default route of its own. */
  readonly vm: {readonly ip: Ipv4 | Ipv6; readonly mac: Mac}
  readonly vlan: Vlan | undefined
  readonly segment: Prefix
  /** Further places off the segment that echoes claim to come from, of the VM's family. */
  readonly destinations?: readonly (Ipv4 | Ipv6)[]
  /** An address of this host on the segment, where this interface has it: an echo from there tells silence from absence. */
  readonly control?: Ipv4 | undefined
  /** The address that all gateways of the segment share: an echo from there tells the VM's neighbour entry for it. */
  readonly shared?: Ipv4 | undefined
  /** Called after each frame that tells something: true ends the question. Without it the last round ends it. */
  enough?(seen: EgressSeen): boolean
  /** How long the questions go on, ms; default: 2.2 s. */
  readonly waitMs?: number
  /** How long a VM that has given a sign of life is waited for, ms at most; default: no limit of its own. */
  readonly graceMs?: number
  /** How long a VM that lives, but answered no echo, is listened to for what it says by itself, ms. */
  readonly listenMs?: number
  /** A frame that showed a new way, for the timeline. */
  onSighting?(sighting: Sighting, destination: Ipv4 | Ipv6): void
}

/** What a question found. */
export interface Egress extends EgressSeen {
  /** The MAC of the interface that watched. */
  readonly ownMac: Mac
}

/** Sends nothing but the echoes and ARP probes. Aborting ends it with the signal's reason. */
export async function askEgress(question: EgressQuestion, world: World, signal: AbortSignal): Promise<Egress> {
  const vm = {...question.vm, vlan: question.vlan}
  const options = {
    // Made only where the link is not shared.
    get filter() {
      return vmFilter(vm, true, true)
    },
    ...{promiscuous: true, outgoing: true, vm: vm.mac},
  }
  const link = await world.openLink(question.interfaceName, options)
  const ears = makeEars(question, world)
  const done = new AbortController()
  using ends = either(signal, done.signal)
  let ending = false
  let listening = false
  const endIn = (ms: number): void => {
    if (ending) return
    ending = true
    world.sleep(ms, ends.signal).then(
      () => done.abort(ENOUGH),
      () => {},
    )
  }
  try {
    link.onFrame((received) => {
      if (done.signal.aborted || !ears.hear(received)) return
      const seen = ears.seen()
      if (question.enough?.(seen) || (listening && seen.paths.length > 0)) done.abort(ENOUGH)
      else if (seen.alive && question.graceMs !== undefined) endIn(question.graceMs)
    })
    const schedule = startSchedule(world, signal)
    const until = (atMs: number): Promise<void> => schedule.until(atMs, done.signal)
    let endMs = question.waitMs ?? ROUNDS_MS.at(-1)! + LISTEN_MS
    let lateMs = 0
    for (const [round, atMs] of ROUNDS_MS.filter((each) => each < endMs).entries()) {
      await until(atMs)
      if (done.signal.aborted) break
      for (const echo of [...ears.echoes, ...ears.controls]) link.send(echoFrame(link, vm, echo, round + 1))
      ears.asked(link.send(probeFrame(link, vm)))
      lateMs = Math.max(0, schedule.elapsedMs() - atMs)
    }
    // On a busy machine the last one leaves late: its answer has the same time all the same.
    endMs += lateMs
    await until(endMs)
    const {alive, paths} = ears.seen()
    listening = true
    if (alive && paths.length === 0) await until(endMs + (question.listenMs ?? 0))
    return {...ears.seen(), ownMac: link.mac}
  } finally {
    await link.close()
  }
}

/** One destination: where the VM's packets for it went last, and whether something came back. */
interface HeardPath {
  mac: Mac
  by: PathSeen['by']
  answered: boolean
}

/** For who asks on a link of its own, once: the frames, and ears for what comes. */
export function askOnce(question: EgressQuestion, world: World, link: Pick<Link, 'mac'>) {
  const vm = {...question.vm, vlan: question.vlan}
  const {echoes, controls, hear, seen} = makeEars(question, world)
  return {frames: [...echoes, ...controls].map((echo) => echoFrame(link, vm, echo, 1)), hear, seen}
}

/** Takes frames for what they say about the VM, and remembers it. */
function makeEars({vm, vlan, segment, destinations = [], control, shared, onSighting}: EgressQuestion, world: World) {
  const family = isVersion6(vm.ip) ? 6 : 4
  const watched = {...vm, vlan}
  const first = Math.floor(world.random() * 0x10000)
  const places: readonly (Ipv4 | Ipv6)[] = [...new Set([...(family === 6 ? FAR_AWAY6 : FAR_AWAY), ...destinations])]
  const echoes = places.map((from, i): EchoIdentity => ({gatewayIp: from, identifier: (first + i) & 0xffff, from}))
  const fromSegment = family === 6 ? [] : [control, shared].filter((ip) => ip !== undefined)
  const controls = fromSegment.map((from, i) => ({
    gatewayIp: from,
    identifier: (first + places.length + i) & 0xffff,
    from,
  }))
  let controlled = false
  let entry: Mac | null = null
  const paths = new Map<string, HeardPath>()
  const asked = new Set<Ipv4>()
  const sentNs: bigint[] = []
  let alive = false
  let rttMs: number | null = null

  const saw = (destination: Ipv4 | Ipv6, sighting: Sighting, by: PathSeen['by']): void => {
    const mac = sighting.destinationMac
    const known = paths.get(destination)
    if (known === undefined && paths.size >= MOST_PATHS) return
    // An answer takes the way that is new; what it says by itself may be of a session that began before.
    if (known?.by === 'echo' && by === 'traffic') return
    if (known?.mac !== mac) onSighting?.(sighting, destination)
    // It follows another route than a moment ago: what it sent before that says nothing of this one.
    if (by === 'echo' && known !== undefined && known.mac !== mac)
      for (const [place, path] of paths) if (path.by === 'traffic' && path.mac === known.mac) paths.delete(place)
    // What came back through another gateway before says nothing about this one.
    paths.set(destination, {mac, by, answered: known?.mac === mac && known.answered})
  }
  const answers = (sighting: Sighting): void => {
    alive = true
    if (sighting.kind === 'traffic' || sighting.kind === 'echo-reply') return
    const sent = sentNs.findLast((at) => at <= sighting.atNs)
    const ms = sent === undefined ? null : Number(sighting.atNs - sent) / 1e6
    if (ms !== null) rttMs = Math.min(rttMs ?? ms, ms)
  }
  return {
    echoes,
    controls,
    asked: (atNs: bigint): void => void sentNs.push(atNs),
    /** True if the frame told something. */
    hear(received: ReceivedFrame): boolean {
      const target = askedAddress(received.bytes, watched)
      if (target !== undefined) asked.add(target)
      const back = cameFrom(received.bytes, watched)
      // Our own questions seem to come from there, too.
      const returning = back === undefined || icmpKind(received.bytes) === 'echo-request' ? undefined : paths.get(back)
      if (returning?.by === 'traffic') returning.answered = true
      for (const echo of controls) {
        const sighting = readSighting(received, watched, echo, undefined)
        if (sighting?.kind !== 'echo-reply') continue
        if (echo.from === shared) entry = sighting.destinationMac
        else controlled = true
      }
      for (const echo of echoes) {
        const sighting = readSighting(received, watched, echo, segment)
        if (sighting === undefined) continue
        answers(sighting)
        const destination = sighting.kind === 'echo-reply' ? echo.gatewayIp : sentTo(received.bytes)
        if (destination === undefined) return true
        if (sighting.kind === 'echo-reply') saw(destination, sighting, 'echo')
        // Its answer to another of the echoes is no traffic of its own.
        else if (sighting.kind === 'traffic') {
          if (places.includes(destination) && (family === 6 || icmpKind(received.bytes) === 'echo-reply')) continue
          saw(destination, sighting, 'traffic')
        } else return true
        return true
      }
      return target !== undefined || returning !== undefined
    },
    seen: (): EgressSeen => ({
      ...{family, unanswered: places.filter((place) => !paths.has(place))},
      alive,
      rttMs,
      askedFor: [...asked],
      elsewhere: controlled && paths.size === 0,
      ...(shared !== undefined && family === 4 && {entry}),
      paths: [...paths].map(([destination, path]) => ({destination, ...path})),
    }),
  }
}

/** What an ICMP message of IPv4 is; undefined for any other frame. */
function icmpKind(bytes: Uint8Array): Icmp['kind'] | undefined {
  const frame = frameOf(bytes)
  return frame?.kind === 'icmp' ? frame.icmp.kind : undefined
}

/** The address that the VM asks for in an ARP request; undefined for any other frame. */
function askedAddress(bytes: Uint8Array, vm: {readonly mac: Mac; readonly vlan: Vlan | undefined}): Ipv4 | undefined {
  const frame = frameOf(bytes)
  if (frame?.kind !== 'arp' || frame.arp.operation !== ARP_REQUEST) return undefined
  return frame.ethernet.source === vm.mac && frame.ethernet.vlan?.id === vm.vlan?.id ? frame.arp.targetIp : undefined
}
