// Listens on interfaces that nothing is known of, and asks, by ARP, router solicitation and a few echoes that routers give
// back; a DHCPDISCOVER only where that is wanted, and never a request. Sends at most 40 frames a second.
import {hear} from '../domain/init/heard.ts'
import {emptyNotebook, type Lan, lanOf, type Notebook, note, stationOf} from '../domain/init/notebook.ts'
import {type Asked, type AskPlan, dueQuestions, type InitQuestion} from '../domain/init/questions.ts'
import type {Link} from '../net/packet/link.ts'
import type {World} from '../net/world.ts'
import {ANY_IPV4, BROADCAST, type Ipv4, type Mac, ZERO_MAC} from '../wire/address.ts'
import {ARP_REQUEST} from '../wire/arp.ts'
import {
  BOOTREQUEST,
  DHCP_BROADCAST,
  DHCP_CLIENT_PORT,
  DHCP_SERVER_PORT,
  HTYPE_ETHERNET,
  serializeDhcp,
} from '../wire/dhcp.ts'
import {DHCPDISCOVER, dhcpOptions, writeOption} from '../wire/dhcp-options.ts'
import {vlanTag} from '../wire/ethernet.ts'
import {arpFrame, icmpFrame, udpFrame} from '../wire/frames.ts'
import {icmpv6Frame} from '../wire/icmpv6.ts'
import {ANY_IPV6, multicastMac} from '../wire/ipv6-address.ts'
import {ND_HOP_LIMIT} from '../wire/nd.ts'

/** All routers of a link (RFC 4291 section 2.7.1). */
const ALL_ROUTERS = 'ff02::2'
/** TEST-NET-1 (RFC 5737): nowhere, and never on the segment. */
const ELSEWHERE: Ipv4 = '192.0.2.1'
const TICK_MS = 250
const QUESTIONS_A_TICK = 10
/** The end is for listening alone, ms: what was asked last has time to answer. */
const QUIET_MS = 1500
/** How often a bridge is asked what it has learned, ms. */
const LEARNED_MS = 1000

/** An interface to listen at. */
export interface SurveyPlace {
  readonly name: string
  /** A bridge: every frame that passes it is heard, and it is asked behind which port a MAC is. */
  readonly isBridge: boolean
  readonly mac: Mac
  readonly ips: readonly Ipv4[]
}

export interface SurveyRequest {
  readonly places: readonly SurveyPlace[]
  readonly listenMs: number
  /** Send nothing at all. */
  readonly silent: boolean
  readonly plan: AskPlan
  /** Told several times a second. */
  readonly onProgress: (book: Notebook, leftMs: number) => void
}

/** Everything that was heard. Aborting ends it with the signal's reason. */
export async function survey(request: SurveyRequest, world: World, signal: AbortSignal): Promise<Notebook> {
  const book = emptyNotebook()
  const ours = new Set(request.places.map(({mac}) => mac))
  for (const place of request.places) enterSelf(book, place)
  const identity = Math.floor(world.random() * 0x10000)
  const links = await openAll(request.places, world)
  try {
    for (const {place, link} of links) {
      link.onFrame(({bytes}) => {
        const heard = hear(bytes)
        if (heard === undefined) return
        if (heard.kind === 'icmp-error' && heard.identifier === identity) {
          const lan = lanOf(book, place.name, heard.tag)
          const station = lan && stationOf(book, lan, heard.mac)
          if (station) station.routesAs ??= heard.ip
        } else note(book, place.name, heard, ours)
      })
    }
    await rounds({...request, book, links, identity}, world, signal)
    return book
  } finally {
    await Promise.all(links.map(({link}) => link.close()))
  }
}

interface OpenPlace {
  readonly place: SurveyPlace
  readonly link: Link
}

const openAll = (places: readonly SurveyPlace[], world: World): Promise<OpenPlace[]> =>
  Promise.all(places.map(async (place) => ({place, link: await world.openLink(place.name, {promiscuous: true})})))

/** This host is a station too, and what it says goes out, where it is not heard. */
function enterSelf(book: Notebook, {name, mac, ips}: SurveyPlace): void {
  const lan = lanOf(book, name, 0)
  const self = lan && stationOf(book, lan, mac)
  if (self === undefined) return
  self.self = true
  for (const ip of ips) self.ips.add(ip)
}

interface Running extends SurveyRequest {
  readonly book: Notebook
  readonly links: readonly OpenPlace[]
  readonly identity: number
}

async function rounds(running: Running, world: World, signal: AbortSignal): Promise<void> {
  const {book, links, listenMs, silent, plan, identity, onProgress} = running
  const startNs = world.monotonic()
  const elapsedMs = (): number => Number(world.monotonic() - startNs) / 1e6
  const asked: Asked = new Map()
  let learnedAtMs = Number.NEGATIVE_INFINITY
  for (;;) {
    const nowMs = elapsedMs()
    if (nowMs - learnedAtMs >= LEARNED_MS || nowMs >= listenMs) {
      learnedAtMs = nowMs
      await learn(book, links, world)
    }
    onProgress(book, Math.max(0, listenMs - nowMs))
    if (nowMs >= listenMs) return
    if (!silent && nowMs < listenMs - QUIET_MS) {
      for (const [i, question] of dueQuestions(book, plan, asked, nowMs, QUESTIONS_A_TICK).entries()) {
        const link = links.find(({place}) => place.name === question.interfaceName)?.link
        link?.send(questionFrame(question, link.mac, identity, (asked.size + i) & 0xffff))
      }
    }
    await world.sleep(Math.min(TICK_MS, listenMs - nowMs), signal)
  }
}

/** Behind which port a bridge has each station, and what else it has there. */
async function learn(book: Notebook, links: readonly OpenPlace[], world: World): Promise<void> {
  book.unheard.clear()
  for (const {place} of links.filter((each) => each.place.isBridge)) {
    const lans = [...book.lans.values()].filter(({interfaceName}) => interfaceName === place.name)
    for (const {mac, port, own} of (await world.learned?.(place.name)) ?? []) {
      if (own === true || port === place.name) continue
      const stations = lans.flatMap((lan) => lan.stations.get(mac) ?? [])
      for (const station of stations) station.ports.add(port)
      if (!stations.some(hasSpoken)) book.unheard.set(port, (book.unheard.get(port) ?? 0) + 1)
    }
  }
}

const hasSpoken = (station: NonNullable<ReturnType<Lan['stations']['get']>>): boolean =>
  station.ips.size + station.ips6.size + station.hellos.size + station.advertisements.size + station.sends.size > 0

function questionFrame(question: InitQuestion, mac: Mac, identifier: number, sequence: number): Uint8Array {
  const vlan = vlanTag(question.tag === 0 ? undefined : question.tag)
  const towards = (destination: Mac) => ({destination, source: mac, ...(vlan && {vlan})})
  switch (question.kind) {
    case 'arp':
      // A probe (RFC 5227): no neighbour table takes its sender in.
      return arpFrame(towards(BROADCAST), {
        ...{operation: ARP_REQUEST, senderMac: mac, senderIp: ANY_IPV4},
        ...{targetMac: ZERO_MAC, targetIp: question.ip},
      })
    case 'echo':
      // It expires at the first router: nobody behind one ever sees it.
      return icmpFrame(
        towards(question.mac),
        {source: question.source, destination: ELSEWHERE, ttl: 1, identification: sequence},
        {kind: 'echo-request', identifier, sequence, payload: new Uint8Array(8)},
      )
    case 'routers':
      return icmpv6Frame(
        towards(multicastMac(ALL_ROUTERS)),
        {source: ANY_IPV6, destination: ALL_ROUTERS, hopLimit: ND_HOP_LIMIT},
        {kind: 'router-solicitation', options: []},
      )
    case 'dhcp':
      return discoverFrame(mac, towards(BROADCAST), (identifier << 16) >>> 0)
  }
}

/** Its answer is broadcast, so that it is heard without an address; nobody takes it up, and the server forgets it. */
const discoverFrame = (mac: Mac, addresses: Parameters<typeof udpFrame>[0], xid: number): Uint8Array =>
  udpFrame(
    addresses,
    {source: ANY_IPV4, destination: '255.255.255.255'},
    {
      ...{sourcePort: DHCP_CLIENT_PORT, destinationPort: DHCP_SERVER_PORT},
      payload: serializeDhcp({
        ...{op: BOOTREQUEST, htype: HTYPE_ETHERNET, hops: 0, xid, secs: 0, flags: DHCP_BROADCAST},
        ...{ciaddr: ANY_IPV4, yiaddr: ANY_IPV4, siaddr: ANY_IPV4, giaddr: ANY_IPV4, chaddr: mac, sname: '', file: ''},
        options: [
          writeOption(dhcpOptions.messageType, DHCPDISCOVER),
          writeOption(dhcpOptions.parameterRequestList, [dhcpOptions.subnetMask.code, dhcpOptions.router.code]),
        ],
      }),
    },
  )
