// What is asked next of LANs that nothing is known of, and never faster than a pace: each address and each station twice.
import {type Ipv4, ipv4Text, ipv4Value, type Mac, type Prefix, prefixContains} from '../../wire/address.ts'
import type {Lan, Notebook, Station} from './notebook.ts'
import {type KnownPrefix, prefixesOf} from './prefixes.ts'

/** A question to a LAN. `arp`: who has an address? `echo`: a packet that is for beyond, so that a router gives it back. */
export type InitQuestion = {readonly interfaceName: string; readonly tag: number} & (
  | {readonly kind: 'arp'; readonly ip: Ipv4}
  | {readonly kind: 'echo'; readonly mac: Mac; readonly source: Ipv4}
  | {readonly kind: 'routers'}
  | {readonly kind: 'dhcp'}
)

export interface AskPlan {
  /** Every address of prefixes of this many addresses at most is asked for; else the usual ones of gateways alone. */
  readonly sweep: number
  readonly dhcp: boolean
  readonly known: readonly KnownPrefix[]
  /** This host's own address on an interface, from which echoes come; else they come from a station that was heard. */
  readonly ownIps: ReadonlyMap<string, Ipv4>
}

/** How often each was asked, and when last, ms. */
export type Asked = Map<string, {times: number; atMs: number}>

const TIMES = 2
const AGAIN_MS = 1500
/** Stations among which one is looked for in whose name to ask. */
const SOURCES = 64
const FEW = 2
/** Where routers usually are: first and last addresses of a prefix. A first-hop pair has three of them. */
const USUAL = [1, 2, 3, -2, -3, -4]

/** Those of a prefix's addresses at which gateways are looked for without any hint. */
export function usualAddresses({address, length}: Prefix): readonly Ipv4[] {
  if (length > 29) return addressesOf({address, length}, 8)
  const base = ipv4Value(address)
  const size = 2 ** (32 - length)
  return USUAL.map((offset) => ipv4Text((base + (offset > 0 ? offset : size + offset)) >>> 0))
}

/** Every host's address, if there are no more than `most`. */
function addressesOf({address, length}: Prefix, most: number): readonly Ipv4[] {
  const size = 2 ** (32 - length)
  if (size > most) return []
  const ends = length > 30 ? 0 : 1
  return Array.from({length: size - 2 * ends}, (_, i) => ipv4Text((ipv4Value(address) + i + ends) >>> 0))
}

/** The questions whose time has come, `most` of them at most; `asked` is brought up to date. */
export function dueQuestions(book: Notebook, plan: AskPlan, asked: Asked, nowMs: number, most: number): InitQuestion[] {
  const due: InitQuestion[] = []
  for (const [key, question] of questionsOf(book, plan)) {
    if (due.length >= most) break
    const before = asked.get(key)
    if (before !== undefined && (before.times >= TIMES || nowMs - before.atMs < AGAIN_MS)) continue
    asked.set(key, {times: (before?.times ?? 0) + 1, atMs: nowMs})
    due.push(question)
  }
  return due
}

function* questionsOf(book: Notebook, plan: AskPlan): Iterable<readonly [string, InitQuestion]> {
  for (const lan of book.lans.values()) {
    const at = {interfaceName: lan.interfaceName, tag: lan.tag}
    const where = `${lan.interfaceName} ${lan.tag}`
    yield [`routers ${where}`, {...at, kind: 'routers'}]
    if (plan.dhcp) yield [`dhcp ${where}`, {...at, kind: 'dhcp'}]
    for (const ip of sourcesOfHosts(lan)) yield [`arp ${where} ${ip}`, {...at, kind: 'arp', ip}]
    for (const {prefix} of prefixesOf(lan, plan.known)) {
      for (const ip of usualAddresses(prefix)) yield [`arp ${where} ${ip}`, {...at, kind: 'arp', ip}]
      for (const ip of addressesWanted(lan, prefix)) yield [`arp ${where} ${ip}`, {...at, kind: 'arp', ip}]
      const sources = [...lan.stations.values()].filter((each) => !each.self && isOn(each, prefix)).slice(0, SOURCES)
      for (const station of lan.stations.values()) {
        const source = echoSource(lan, station, sources, prefix, plan)
        if (source !== undefined)
          yield [`echo ${where} ${station.mac} ${source}`, {...at, kind: 'echo', mac: station.mac, source}]
      }
    }
    for (const {prefix} of prefixesOf(lan, plan.known))
      for (const ip of addressesOf(prefix, plan.sweep)) yield [`arp ${where} ${ip}`, {...at, kind: 'arp', ip}]
  }
}

/**
 * Whose packets come from few addresses, unlike a router's: ARP says whether they are on the LAN. A host whose neighbours
 * are known to it and talk to it asks for none of them for minutes.
 */
const sourcesOfHosts = (lan: Lan): readonly Ipv4[] =>
  [...lan.stations.values()].flatMap(({ips, sends}) => (ips.size === 0 && sends.size <= FEW ? [...sends.keys()] : []))

const isOn = ({ips}: Station, prefix: Prefix): boolean => [...ips].some((ip) => prefixContains(prefix, ip))

/** Addresses that somebody asked for, spoke for or sent from: several may answer, or others than were heard. */
const addressesWanted = (lan: Lan, prefix: Prefix): readonly Ipv4[] =>
  [...lan.stations.values()]
    .flatMap(({ips, asksFor, hellos, sends}) => [
      ...[...ips, ...asksFor, ...sends.keys()],
      ...[...hellos.values()].flatMap(({hello}) => hello.addresses),
    ])
    .filter((ip) => prefixContains(prefix, ip))

/**
 * Whose address an echo to a station bears; undefined: none would tell. A router sends its answer there, which must pass by:
 * so it is one that is behind another port. It drops what it has not asked for.
 */
function echoSource(
  lan: Lan,
  target: Station,
  sources: readonly Station[],
  prefix: Prefix,
  {ownIps}: AskPlan,
): Ipv4 | undefined {
  if (target.self || !isOn(target, prefix)) return undefined
  const own = ownIps.get(lan.interfaceName)
  if (own !== undefined && prefixContains(prefix, own)) return own
  const apart = sources.filter(
    (station) => station !== target && [...station.ports].every((port) => !target.ports.has(port)),
  )
  const ips = apart
    .flatMap((station) => [...station.ips])
    .filter((ip) => prefixContains(prefix, ip) && !target.ips.has(ip))
  const usual = usualAddresses(prefix)
  return ips.find((ip) => !usual.includes(ip)) ?? ips[0]
}
