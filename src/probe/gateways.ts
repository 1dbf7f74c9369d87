// Does a gateway live, and does it take packets on? Asked by ARP, and by echoes sent through it to somewhere beyond: an
// answer from at least one router further on is the proof, whoever gives it. No route is changed for it: the first hop is
// picked by the destination MAC.
import type {GatewaySeen} from '../domain/proof/gateway.ts'
import {anyOf, etherType, ipProtocol} from '../net/packet/bpf.ts'
import type {Link, ReceivedFrame} from '../net/packet/link.ts'
import type {World} from '../net/world.ts'
import {ANY_IPV4, BROADCAST, type Ipv4, type Mac, ZERO_MAC} from '../wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, parseArp} from '../wire/arp.ts'
import {WireError} from '../wire/error.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, parseEthernet, type Vlan} from '../wire/ethernet.ts'
import {arpFrame, icmpFrame} from '../wire/frames.ts'
import {PROTOCOL_ICMP} from '../wire/ipv4.ts'
import {ENOUGH, startSchedule} from './schedule.ts'
import {readEchoAnswer} from './trace/echo-probe.ts'

/** Rounds of questions, ms. */
export const ROUNDS_MS = [0, 100, 300, 700]
export const LISTEN_MS = 500
/** Of an echo that shall find out who is next, where its destination may be nobody's: what expires behind the gateway. */
export const NEXT_HOP_TTL = 2
const TTLS = [64, NEXT_HOP_TTL]
/** Addresses beyond that are asked, at most. */
export const MOST_DESTINATIONS = 6

/** A gateway on the segment, by its own addresses. */
export interface AskedGateway {
  readonly ip: Ipv4
  readonly mac: Mac
}

export interface GatewayQuestion {
  /** Where the questions go out: not the VM's own port, out of which only the VM hears. */
  readonly interfaceName: string
  /** Source of the echoes: an address of this host on the segment, else the VM's, whose answers then pass here. */
  readonly source: Ipv4
  readonly vlan: Vlan | undefined
  /** The first decides when the question ends. */
  readonly gateways: readonly AskedGateway[]
  /** Every gateway MAC of the segment: whoever else answers for an address is named. */
  readonly known: readonly Mac[]
  /** Addresses off the segment, at best ones that answer. */
  readonly destinations: readonly Ipv4[]
  /** Only an answer of a destination itself counts, not one of a router on the way. */
  readonly strict?: boolean | undefined
  /** Routers that must lie behind the one that is asked; default 1. 0: it is itself beyond what is to be proved. */
  readonly hops?: number
}

/** Asks all gateways at once; at most 1.2 s. Sends ARP probes and echoes alone. Aborting ends it with the signal's reason. */
export async function askGateways(
  question: GatewayQuestion,
  world: World,
  signal: AbortSignal,
): Promise<GatewaySeen[]> {
  const filter = anyOf([[etherType(ETHERTYPE_ARP)], [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)]])
  const link = await world.openLink(question.interfaceName, {filter, promiscuous: true})
  const first = Math.floor(world.random() * 0x10000)
  const asked = question.gateways.map((gateway, i) => makeAsked(gateway, (first + i) & 0xffff, question, link))
  const done = new AbortController()
  try {
    link.onFrame((received) => {
      // What still comes in while the link is closed is of no use, and an abort is not for nothing.
      if (done.signal.aborted) return
      for (const each of asked) each.hear(received)
      if (asked[0]?.answered()) done.abort(ENOUGH)
    })
    const schedule = startSchedule(world, signal)
    for (const [round, atMs] of ROUNDS_MS.entries()) {
      await schedule.until(atMs, done.signal)
      if (done.signal.aborted) break
      for (const each of asked) each.ask(round)
    }
    await schedule.until(ROUNDS_MS.at(-1)! + LISTEN_MS, done.signal)
    return asked.map((each) => each.seen())
  } finally {
    await link.close()
  }
}

function makeAsked(gateway: AskedGateway, identifier: number, question: GatewayQuestion, link: Link) {
  const {source, vlan, known} = question
  const destinations = question.destinations.slice(0, MOST_DESTINATIONS)
  const towards = (destination: Mac) => ({destination, source: link.mac, ...(vlan && {vlan})})
  const claims = new Set<Mac>()
  const refused = new Set<Ipv4>()
  const sentNs: bigint[] = []
  let resolved = false
  let rttMs: number | null = null
  let witness: string | undefined
  let refusal: string | undefined

  const arpProbe = (to: Mac): Uint8Array =>
    arpFrame(towards(to), {
      ...{operation: ARP_REQUEST, senderMac: link.mac, senderIp: ANY_IPV4},
      ...{targetMac: ZERO_MAC, targetIp: gateway.ip},
    })
  const echo = (destination: Ipv4, ttl: number, sequence: number): Uint8Array =>
    icmpFrame(
      towards(gateway.mac),
      {source, destination, ttl, identification: sequence},
      {kind: 'echo-request', identifier, sequence, payload: new Uint8Array(8)},
    )
  const hearArp = (received: ReceivedFrame): void => {
    const sender = arpSender(received.bytes, gateway.ip)
    if (sender === undefined) return
    if (sender !== gateway.mac) {
      if (!known.includes(sender)) claims.add(sender)
      return
    }
    resolved = true
    const sent = sentNs.findLast((at) => at <= received.timestampNs)
    if (sent !== undefined)
      rttMs = Math.min(rttMs ?? Number.POSITIVE_INFINITY, Number(received.timestampNs - sent) / 1e6)
  }
  const hearEcho = (received: ReceivedFrame): void => {
    for (const destination of destinations) {
      const answer = readEchoAnswer(received.bytes, {source, destination, identifier})
      if (answer === undefined) continue
      const from = answer.source
      const counts = answer.kind === 'reached' || !question.strict
      if (counts && hopsBack(answer) >= (question.hops ?? 1)) {
        witness ??= from === destination ? `${from} answers` : `${from} answers for ${destination}`
      } else if (answer.kind === 'refused' && hopsBack(answer) === 0) {
        refused.add(destination)
        refusal = `it says itself that ${destination} is unreachable`
      }
    }
  }
  return {
    answered: () => witness !== undefined,
    ask(round: number): void {
      sentNs.push(link.send(arpProbe(gateway.mac)))
      if (round % 2 === 0) link.send(arpProbe(BROADCAST))
      const sequence = round * destinations.length * TTLS.length
      // The next hop is asked for once: hosts are given a few ICMP errors a second, and more than that would be silence.
      for (const [i, destination] of destinations.entries())
        for (const [j, ttl] of (i === 0 ? TTLS : TTLS.slice(0, 1)).entries())
          link.send(echo(destination, ttl, sequence + i * TTLS.length + j + 1))
    },
    hear(received: ReceivedFrame): void {
      hearArp(received)
      hearEcho(received)
    },
    seen: (): GatewaySeen => {
      const refuses = destinations.length > 0 && refused.size === destinations.length
      return {
        ...{mac: gateway.mac, claimedBy: [...claims], rttMs},
        resolved: resolved || witness !== undefined ? 'yes' : claims.size > 0 ? 'elsewhere' : 'silent',
        beyond:
          witness !== undefined ? 'answers' : destinations.length === 0 ? 'not-asked' : refuses ? 'refuses' : 'silent',
        witness: witness ?? (refuses ? refusal! : nobody(destinations)),
      }
    },
  }
}

export const nobody = (destinations: readonly Ipv4[]): string =>
  destinations.length === 0
    ? 'the inventory names nothing near a site, and the VM was not heard to talk to anybody'
    : `no answer from ${destinations.join(', ')}`

/** Routers between who answered and us: initial TTLs are 64, 128 or 255, and every router takes one. */
export function hopsBack({replyTtl}: {readonly replyTtl: number}): number {
  return [64, 128, 255].find((initial) => initial >= replyTtl)! - replyTtl
}

/** Who says by ARP that `ip` is there; undefined for any other frame. */
function arpSender(bytes: Uint8Array, ip: Ipv4): Mac | undefined {
  try {
    const {etherType: type, payload} = parseEthernet(bytes)
    if (type !== ETHERTYPE_ARP) return undefined
    const {operation, senderIp, senderMac} = parseArp(payload)
    return operation === ARP_REPLY && senderIp === ip ? senderMac : undefined
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}
