// Speaks for a VM, round by round, and hears what comes of it.
import {Failure} from '../../errors.ts'
import type {NeighbourTables} from '../../net/neighbour-tables.ts'
import {anyOf, etherType, ipProtocol, macTests, nextHeader} from '../../net/packet/bpf.ts'
import type {Link, LinkOptions, ReceivedFrame} from '../../net/packet/link.ts'
import type {World} from '../../net/world.ts'
import {either} from '../../probe/either.ts'
import {ENOUGH, startSchedule} from '../../probe/schedule.ts'
import {together} from '../../probe/together.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {ARP_REPLY, parseArp} from '../../wire/arp.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, parseEthernet} from '../../wire/ethernet.ts'
import {parseIcmp} from '../../wire/icmp.ts'
import {parseIcmpv6} from '../../wire/icmpv6.ts'
import {PROTOCOL_ICMP, parseIpv4} from '../../wire/ipv4.ts'
import {NEXT_HEADER_ICMPV6, parseIpv6} from '../../wire/ipv6.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {type SpokenFrame, spokenEcho, spokenFrames} from './frames.ts'
import {type Kept, makeKeeper, OLD_SITE_MS} from './keeper.ts'
import {isFromGateway, type SpeakPlan} from './plan.ts'

/** One frame, or one write. */
export interface SpokenEvent {
  readonly direction: 'out' | 'in'
  readonly kind: SpokenFrame['kind'] | 'answer' | 'inbound' | 'neighbour'
  readonly atNs: bigint
  readonly text: string
  /** Empty for what is no frame. */
  readonly bytes: Uint8Array
}

/** Who answered the VM, or by whom a packet for it arrived. */
export interface Heard {
  readonly ip: Ipv4 | Ipv6
  readonly mac: Mac
  readonly afterMs: number
}

export interface SpeakReport {
  readonly startedNs: bigint
  readonly events: readonly SpokenEvent[]
  /** The gateway's answers to the VM. */
  readonly answers: readonly Heard[]
  /** The first answer from beyond the gateway that reached the VM. */
  readonly inbound: Heard | undefined
  readonly kept: readonly Kept[]
  /** Why nothing more was said at the VM's port, and whether it was used by then; undefined: nothing failed there. */
  readonly cut?: {readonly why: string; readonly midway: boolean} | undefined
}

/** Where it is spoken. */
export interface Mouth {
  /** Opens the link in the VM's place, for as long as it is used; undefined: its port is not here. */
  readonly atPort: (<T>(use: (link: Link) => Promise<T>, signal: AbortSignal) => Promise<T>) | undefined
  /** The tables of this host, where the gateway's leg is. */
  readonly tables: NeighbourTables | undefined
  /** Addresses beyond the gateway that the VM's echo asks. */
  readonly echoTo?: readonly Ipv4[]
  /** How long an answer to the last round is waited for, ms. */
  readonly listenMs?: number
  /** How long an old site's word is waited out at this host's own leg, ms. */
  readonly patienceMs?: number
}

const LISTEN_MS = 100

/** What its link lets through: the VM's answers of ARP, neighbour discovery and echoes. */
export const hearing = (mac: Mac): LinkOptions => {
  const to = macTests('destination', mac)
  return {
    filter: anyOf([
      [etherType(ETHERTYPE_ARP), ...to],
      [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP), ...to],
      [etherType(ETHERTYPE_IPV6), nextHeader(NEXT_HEADER_ICMPV6), ...to],
    ]),
  }
}

/**
 * Speaks for the VM until it is seen to be known at this host's own leg, or through the whole schedule where that is
 * elsewhere: an answer says that the gateway has it now, not that nobody takes it away again. The entry here is written at
 * once, while the port is still being prepared. A port that fails then is reported; one that fails later, because the VM
 * speaks elsewhere or is unplugged, ends the upkeep of the entry too. What was done is in the report.
 * @throws Failure as the link and the tables do; the signal's reason
 */
export async function speak(plan: SpeakPlan, mouth: Mouth, world: World, signal: AbortSignal): Promise<SpeakReport> {
  const {atPort, tables} = mouth
  const transcript = newTranscript(world)
  const keeper = tables && plan.leg !== null ? makeKeeper(plan.leg, plan, tables) : undefined
  const gone = new AbortController()
  let [cut, midway]: [SpeakReport['cut'], boolean] = [undefined, false]
  await together<[unknown, unknown]>(signal, [
    async (stop) => {
      using until = either(stop, gone.signal)
      const upkeep = keeper?.run(world, until.signal, (text) => transcript.note(text), mouth.patienceMs ?? OLD_SITE_MS)
      await upkeep?.catch((error: unknown) => {
        if (error !== gone.signal.reason) throw error
      })
    },
    async (stop) => {
      try {
        await atPort?.((link) => {
          midway = true
          return rounds(plan, {link, mouth, transcript}, world, stop, () => keeper?.isSettled() ?? false)
        }, stop)
      } catch (error) {
        stop.throwIfAborted()
        if (!(error instanceof Failure) || (keeper === undefined && !transcript.hasSent())) throw error
        cut = {why: error.message, midway}
        if (midway) gone.abort(error)
      }
    },
  ])
  return {...transcript.report(), kept: keeper?.kept() ?? [], cut}
}

type Transcript = ReturnType<typeof newTranscript>

/** Every round of the schedule, until `isSeen`; then what still comes. */
async function rounds(
  plan: SpeakPlan,
  {link, mouth, transcript}: {readonly link: Link; readonly mouth: Mouth; readonly transcript: Transcript},
  world: World,
  signal: AbortSignal,
  isSeen: () => boolean,
): Promise<void> {
  const {echoTo = [], listenMs = LISTEN_MS} = mouth
  const identifier = Math.floor(world.random() * 0x10000)
  const {mac} = plan.gateway
  const gone = new AbortController()
  const heard = new AbortController()
  const isEnough = (): boolean =>
    transcript.isAnswered((by) => isFromGateway(plan, by)) && (echoTo.length === 0 || transcript.hasInbound())
  const stops = [
    link.onError((error) => gone.abort(error)),
    link.onFrame((received) => {
      const answer = readAnswer(received, plan, identifier)
      if (answer) transcript.heard(answer, received)
      if (isEnough()) heard.abort(ENOUGH)
    }),
  ]
  using until = either(signal, gone.signal)
  const schedule = startSchedule(world, until.signal)
  try {
    for (const [round, atMs] of plan.scheduleMs.entries()) {
      await schedule.until(atMs)
      if (round > 0 && isSeen()) return
      const echoes = mac === null ? [] : echoTo.map((to) => spokenEcho(plan, mac, to, identifier, round + 1))
      for (const frame of [...spokenFrames(plan), ...echoes]) transcript.sent(frame, link)
    }
    await schedule.until(schedule.elapsedMs() + listenMs, heard.signal)
  } finally {
    for (const stop of stops) stop()
  }
}

/** What is said and heard, in order. */
function newTranscript(world: World) {
  const startedNs = world.now()
  const events: SpokenEvent[] = []
  const answers: Heard[] = []
  let inbound: Heard | undefined
  return {
    note: (text: string): void =>
      void events.push({direction: 'out', kind: 'neighbour', atNs: world.now(), text, bytes: new Uint8Array(0)}),
    sent: ({kind, text, bytes}: SpokenFrame, link: Link): void =>
      void events.push({direction: 'out', kind, atNs: link.send(bytes), text, bytes}),
    hasSent: (): boolean => events.some(({direction}) => direction === 'out'),
    isAnswered: (counts: (mac: Mac) => boolean): boolean => answers.some(({mac}) => counts(mac)),
    hasInbound: (): boolean => inbound !== undefined,
    /** The first of each kind and sender. */
    heard({kind, ip, mac}: Answer, {timestampNs, bytes}: ReceivedFrame): void {
      const afterMs = Number(timestampNs - startedNs) / 1e6
      if (kind === 'inbound' ? inbound : answers.some((each) => each.ip === ip && each.mac === mac)) return
      if (kind === 'inbound') inbound = {ip, mac, afterMs}
      else answers.push({ip, mac, afterMs})
      const text = kind === 'inbound' ? `an answer of ${ip} comes in through ${mac}` : `${ip} is at ${mac}`
      events.push({direction: 'in', kind, atNs: timestampNs, text, bytes})
    },
    report: () => ({startedNs, events: events.toSorted((a, b) => Number(a.atNs - b.atNs)), answers, inbound}),
  }
}

interface Answer {
  readonly kind: 'answer' | 'inbound'
  readonly ip: Ipv4 | Ipv6
  readonly mac: Mac
}

/** What a frame for the VM says; undefined: nothing about this. */
function readAnswer({bytes}: ReceivedFrame, {vm, gateway}: SpeakPlan, identifier: number): Answer | undefined {
  return ifWellFormed(() => {
    const {etherType: type, source, payload} = parseEthernet(bytes)
    if (type === ETHERTYPE_ARP) {
      const arp = parseArp(payload)
      const isAnswer = arp.operation === ARP_REPLY && arp.targetIp === vm.ip && arp.senderIp === gateway.ip
      return isAnswer ? {kind: 'answer', ip: arp.senderIp, mac: arp.senderMac} : undefined
    }
    if (type === ETHERTYPE_IPV6) {
      const packet = parseIpv6(payload)
      const message = parseIcmpv6(packet.payload, packet)
      // An unsolicited one tells everybody where the gateway is, and nothing of the VM.
      if (message.kind !== 'neighbour-advertisement' || !message.solicited) return undefined
      if (message.target !== gateway.ip6) return undefined
      const option = message.options.find(({kind}) => kind === 'target-link-layer-address')
      return {kind: 'answer', ip: message.target, mac: option && 'mac' in option ? option.mac : source}
    }
    const packet = parseIpv4(payload)
    const icmp = packet.protocol === PROTOCOL_ICMP ? parseIcmp(packet.payload) : undefined
    const isOurs = icmp?.kind === 'echo-reply' && icmp.identifier === identifier && packet.destination === vm.ip
    return isOurs ? {kind: 'inbound', ip: packet.source, mac: source} : undefined
  })
}
