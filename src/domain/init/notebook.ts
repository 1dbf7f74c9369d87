// What was heard of a LAN (an interface, and a VLAN on it), station by station. Bounded: strangers write into it.
import {ANY_IPV4, type Ipv4, type Mac} from '../../wire/address.ts'
import type {FhrpHello} from '../../wire/fhrp-hello.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {Heard, HeardAdvertisement, HeardOffer} from './heard.ts'

/** Stations of one LAN, LANs, and entries of one kind a station, that are written down; what comes after is counted. */
const MOST_STATIONS = 2048
const MOST_LANS = 64
const MOST_ENTRIES = 64

export interface HeardHello {
  readonly ip: Ipv4
  readonly hello: FhrpHello
}

/** Whoever sends from one MAC. */
export interface Station {
  readonly mac: Mac
  /** Addresses for which it spoke by ARP. */
  readonly ips: Set<Ipv4>
  /** Addresses for which it asked by ARP. */
  readonly asksFor: Set<Ipv4>
  readonly ips6: Set<Ipv6>
  /** Of its router advertisements, by the address they came from; the latest. */
  readonly advertisements: Map<Ipv6, HeardAdvertisement>
  /** The latest of a group. */
  readonly hellos: Map<string, HeardHello>
  /** Sources of packets that it sent, and destinations of packets that were sent to it, by who sent them. */
  readonly sends: Map<Ipv4, Ipv4>
  readonly gets: Map<Mac, {readonly source: Ipv4; readonly destinations: Set<Ipv4>}>
  /** The address from which it refused to take our echo further: it is a router. */
  routesAs: Ipv4 | undefined
  /** As it calls itself in DHCP. */
  hostName: string | undefined
  /** Bridge ports behind which it was learned. */
  readonly ports: Set<string>
  /** It is this host. */
  self: boolean
}

export interface Lan {
  readonly interfaceName: string
  /** 802.1Q VLAN; 0: untagged. */
  readonly tag: number
  readonly stations: Map<Mac, Station>
  readonly offers: Map<Ipv4, HeardOffer>
}

export interface Notebook {
  readonly lans: Map<string, Lan>
  /** MACs that a bridge has learned behind a port, and that said nothing meanwhile. */
  readonly unheard: Map<string, number>
  /** Stations and LANs that found no room. */
  leftOut: number
}

export const emptyNotebook = (): Notebook => ({lans: new Map(), unheard: new Map(), leftOut: 0})

/** The LAN of an interface with this tag; undefined if there is no room for another. */
export function lanOf(book: Notebook, interfaceName: string, tag: number): Lan | undefined {
  const key = `${interfaceName} ${tag}`
  const found = book.lans.get(key)
  if (found) return found
  if (book.lans.size >= MOST_LANS) {
    book.leftOut++
    return undefined
  }
  const lan: Lan = {interfaceName, tag, stations: new Map(), offers: new Map()}
  book.lans.set(key, lan)
  return lan
}

/** Writes down what a frame told. `ours` are MACs of this host, whose own questions tell nothing. */
export function note(book: Notebook, interfaceName: string, heard: Heard, ours: ReadonlySet<Mac>): void {
  const lan = lanOf(book, interfaceName, heard.tag)
  if (lan === undefined) return
  if (heard.kind === 'packet') noteReceiver(book, lan, heard)
  if (ours.has(heard.mac)) return
  const station = stationOf(book, lan, heard.mac)
  if (station === undefined) return
  switch (heard.kind) {
    case 'arp':
      if (heard.ip !== ANY_IPV4) add(station.ips, heard.ip)
      if (heard.asksFor !== undefined) add(station.asksFor, heard.asksFor)
      break
    case 'hello':
      put(station.hellos, `${heard.hello.protocol} ${heard.hello.group}`, {ip: heard.ip, hello: heard.hello})
      break
    case 'offer':
      put(lan.offers, heard.offer.server, heard.offer)
      break
    case 'host-name':
      station.hostName = heard.name
      break
    case 'icmp-error':
      break
    case 'packet':
      put(station.sends, heard.source, heard.destination)
      break
    case 'advertisement':
      put(station.advertisements, heard.ip, heard.advertisement)
      break
    case 'ip6':
      add(station.ips6, heard.ip)
  }
}

/** Who is sent to, and for whom: a gateway is what hosts send to that is not for it. */
function noteReceiver(
  book: Notebook,
  lan: Lan,
  {mac, to, source, destination}: Extract<Heard, {kind: 'packet'}>,
): void {
  const receiver = stationOf(book, lan, to)
  if (receiver === undefined) return
  const from = receiver.gets.get(mac) ?? {source, destinations: new Set<Ipv4>()}
  add(from.destinations, destination)
  put(receiver.gets, mac, from)
}

export function stationOf(book: Notebook, lan: Lan, mac: Mac): Station | undefined {
  const found = lan.stations.get(mac)
  if (found) return found
  if (lan.stations.size >= MOST_STATIONS) {
    book.leftOut++
    return undefined
  }
  const station: Station = {
    ...{mac, ips: new Set<Ipv4>(), asksFor: new Set<Ipv4>(), ips6: new Set<Ipv6>(), ports: new Set<string>()},
    ...{advertisements: new Map(), hellos: new Map(), sends: new Map(), gets: new Map()},
    ...{routesAs: undefined, hostName: undefined, self: false},
  }
  lan.stations.set(mac, station)
  return station
}

function add<T>(set: Set<T>, value: T): void {
  if (set.size < MOST_ENTRIES) set.add(value)
}

function put<K, V>(map: Map<K, V>, key: K, value: V): void {
  if (map.size < MOST_ENTRIES || map.has(key)) map.set(key, value)
}
