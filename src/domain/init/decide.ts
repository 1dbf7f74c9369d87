// From what was heard to the draft of an inventory: segments with their gateways, VMs, and the sites that they are at.
import {type Ipv4, isIpv4, type Prefix, prefixContains, prefixText} from '../../wire/address.ts'
import {ipPrefixContains} from '../../wire/ip-prefix.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {fhrpGroup} from '../filter/fhrp.ts'
import {NAME} from '../inventory/inventory-checks.ts'
import type {DraftChoices, DraftGateway, DraftSegment, DraftSite, DraftVm, InitDraft, SiteBy} from './draft.ts'
import type {Lan, Notebook, Station} from './notebook.ts'
import {type KnownPrefix, type LanPrefix, prefixesOf} from './prefixes.ts'
import {addressesIn, type Router, routersOf} from './routers.ts'

/** VMs in one file. */
const MOST_VMS = 1000

export function draftOf(book: Notebook, known: readonly KnownPrefix[], choices: DraftChoices): InitDraft {
  const names = new Set<string>()
  const notes: string[] = []
  const segments: DraftSegment[] = []
  let room = MOST_VMS
  for (const lan of book.lans.values()) {
    const prefixes = prefixesOf(lan, known)
    for (const each of prefixes) {
      const draft = segmentOf({lan, each, prefixes, choices, names, room})
      if (typeof draft === 'string') notes.push(draft)
      else {
        segments.push(draft)
        room -= draft.vms.length
      }
    }
    notes.push(...withoutAddress(lan))
  }
  for (const [port, count] of book.unheard)
    notes.push(`behind ${port} the bridge has learned ${count} more MAC${count === 1 ? '' : 's'} that said nothing`)
  if (book.leftOut > 0) notes.push(`${book.leftOut} frames were of more stations than are written down`)
  return {sites: sitesOf(segments, choices), segments, notes}
}

interface SegmentScene {
  readonly lan: Lan
  readonly each: LanPrefix
  readonly prefixes: readonly LanPrefix[]
  readonly choices: DraftChoices
  /** Names that are taken. */
  readonly names: Set<string>
  /** How many VMs there is room for. */
  readonly room: number
}

/** A segment, or the line that says why there is none. */
function segmentOf({lan, each, prefixes, choices, names, room}: SegmentScene): DraftSegment | string {
  const {prefix} = each
  const all = routersOf(
    lan,
    prefix,
    prefixes.map((one) => one.prefix),
  ).filter(({station}) => !choices.notGateways.has(station.mac))
  const where = `${prefixText(prefix)} on ${lan.interfaceName}${lan.tag === 0 ? '' : `, VLAN ${lan.tag}`}`
  const hosts = [...lan.stations.values()].filter((station) => addressesIn(station, prefix).length > 0)
  if (all.length === 0) return `${where}: no gateway was seen, and ${count(hosts.length, 'station')}`
  const name = unique(segmentName(lan, choices), names)
  const {placed, notes} = placeGateways(all, lan, choices)
  const gateways = placed.map((gateway) => ({...gateway, name: unique(`${name}-${gateway.site}`, names)}))
  const taken = new Set([...all.map(({ip}) => ip), ...all.map(({ownIp}) => ownIp)])
  const routers = new Set(all.map(({station}) => station))
  const guests = hosts.filter(
    (station) => !station.self && !routers.has(station) && !addressesIn(station, prefix).every((ip) => taken.has(ip)),
  )
  const vms = vmsOf(guests, {lan, prefix, choices, names, taken})
  const servers = [...lan.offers.values()].filter(({ip}) => prefixContains(prefix, ip))
  return {
    ...{name, interface: lan.interfaceName, prefix, prefixBy: each.by, vlan: lan.tag === 0 ? null : lan.tag},
    ports: (choices.portsOf.get(lan.interfaceName) ?? []).filter((port) => choices.interSite.has(port)),
    gateways,
    vms: vms.slice(0, room),
    notes: [
      ...notes,
      ...servers.map(({server}) => `seen: a DHCP server at ${server}`),
      ...(vms.length > room ? [`${vms.length - room} more VMs were seen than are written down`] : []),
      ...vms
        .filter(({ips}) => ips.length > 1)
        .map(({ip, ips, mac}) => `seen: ${mac} (${ip}) also has ${ips.filter((other) => other !== ip).join(', ')}`),
    ],
  }
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`

const segmentName = ({interfaceName, tag}: Lan, {segment}: DraftChoices): string =>
  segment ?? (tag === 0 ? usable(interfaceName) : `vlan-${tag}`)

/** As the inventory takes names. */
const usable = (text: string): string => (NAME.test(text) && !isIpv4(text) ? text : 'segment')

function unique(name: string, taken: Set<string>): string {
  let found = name
  for (let n = 2; taken.has(found); n++) found = `${name}-${n}`
  taken.add(found)
  return found
}

/** Whether it is known of any port of a LAN that it leads elsewhere. */
const hasSides = ({interfaceName}: Lan, {interSite, portsOf}: DraftChoices): boolean =>
  interSite.has(interfaceName) || portsOf.get(interfaceName)?.some((port) => interSite.has(port)) === true

/** The sites that a station was seen at; none where nothing says it. */
function sitesOfStation({ports, self}: Station, lan: Lan, choices: DraftChoices): readonly string[] {
  if (self) return [choices.site.name]
  const behind = choices.interSite.get(lan.interfaceName)
  if (behind !== undefined) return [behind.name]
  if (!hasSides(lan, choices)) return []
  return [...new Set([...ports].map((port) => choices.interSite.get(port)?.name ?? choices.site.name))].sort()
}

type Placed = Omit<DraftGateway, 'name'>

function placeGateways(routers: readonly Router[], lan: Lan, choices: DraftChoices) {
  const notes: string[] = []
  const placed: Placed[] = []
  const sides = routers.map(({station}) => sitesOfStation(station, lan, choices))
  const lonely = placeholders(routers, choices)
  for (const [i, router] of routers.entries()) {
    const known = sides[i]!
    const sites = known.length > 0 ? known : [hasSides(lan, choices) ? choices.site.name : lonely[i]!]
    const alone = routers.length === 1 && choices.site.given && !hasSides(lan, choices)
    const siteBy: SiteBy = known.length > 0 ? 'port' : alone ? 'given' : 'guess'
    for (const site of sites) {
      const twin = placed.find((other) => other.ip === router.ip && other.site === site)
      if (twin) notes.push(`seen: ${router.station.mac} answers for ${router.ip} too, on the same side as ${twin.mac}`)
      else placed.push(gatewayAt(router, site, siteBy, sites.length > 1))
    }
  }
  return {placed, notes}
}

/**
 * Sites for gateways of which nobody knows on which side they are: one for all if there is but one gateway, else one for
 * each port behind which there is one, or for each of them.
 */
function placeholders(routers: readonly Router[], {site}: DraftChoices): readonly string[] {
  const keys = routers.map(({station}) => [...station.ports][0] ?? station.mac)
  const groups = [...new Set(keys)]
  const alone = groups.length === 1 && new Set(routers.map(({ip}) => ip)).size === routers.length
  if (alone) return keys.map(() => site.name)
  const apart = groups.length === 1 ? routers.map(({station}) => station.mac) : keys
  const order = [...new Set(apart)]
  return apart.map((key) => `site-${order.indexOf(key) + 1}`)
}

function gatewayAt(router: Router, site: string, siteBy: SiteBy, several: boolean): Placed {
  const {station, kind, ip, ownIp, seen, because} = router
  const [advertised] = [...station.advertisements.values()]
  const group = fhrpGroup(station.mac)
  return {
    ...{site, siteBy, kind: several && kind !== 'fhrp' ? 'anycast' : kind, ip, mac: station.mac, ownIp: ownIp ?? null},
    ip6: [...station.advertisements.keys()],
    ra: advertised ? {lifetime: Math.min(9000, advertised.lifetime), preference: advertised.preference} : null,
    port: [...station.ports][0] ?? null,
    seen,
    because: [
      ...because,
      ...(group ? [{seen: true, text: `the virtual MAC of ${group.protocol} group ${group.group}`}] : []),
    ],
  }
}

interface VmScene {
  readonly lan: Lan
  readonly prefix: Prefix
  readonly choices: DraftChoices
  readonly names: Set<string>
  readonly taken: ReadonlySet<Ipv4 | undefined>
}

/** Every station that is no router, by its first address that nobody else has. */
function vmsOf(stations: readonly Station[], {lan, prefix, choices, names, taken}: VmScene) {
  const used = new Set(taken)
  const ips6 = prefixes6(lan)
  return stations.flatMap((station): DraftVm[] => {
    const ips = addressesIn(station, prefix)
    const ip = ips.find((each) => !used.has(each))
    if (ip === undefined) return []
    used.add(ip)
    const sites = sitesOfStation(station, lan, choices)
    const named = station.hostName !== undefined && NAME.test(station.hostName) && !isIpv4(station.hostName)
    return [
      {
        ...{
          name: unique(named ? station.hostName! : `vm-${ip.replaceAll('.', '-')}`, names),
          ip,
          mac: station.mac,
          ips,
        },
        ip6: [...station.ips6].filter((each) => ips6.some((one) => ipPrefixContains(one, each))),
        site: sites.length === 1 ? sites[0]! : null,
        port: [...station.ports][0] ?? null,
      },
    ]
  })
}

/** IPv6 prefixes that routers advertise as on-link. */
const prefixes6 = (lan: Lan): readonly {readonly address: Ipv6; readonly length: number}[] =>
  [...lan.stations.values()].flatMap(({advertisements}) =>
    [...advertisements.values()].flatMap((each) => each.prefixes),
  )

/** Routers that the inventory has no place for: it knows gateways by their IPv4 address. */
const withoutAddress = (lan: Lan): readonly string[] =>
  [...lan.stations.values()]
    .filter(({ips, advertisements}) => ips.size === 0 && advertisements.size > 0)
    .map(({mac, advertisements}) => {
      const own = [...advertisements.keys()].join(', ')
      return `on ${lan.interfaceName} ${mac} advertises itself as ${own}; no IPv4 address of it was heard`
    })

/** The sites that anything is at, and the side that this host is at if nothing is. */
function sitesOf(segments: readonly DraftSegment[], choices: DraftChoices): readonly DraftSite[] {
  const used = segments.flatMap(({gateways, vms}) => [...gateways, ...vms].flatMap(({site}) => site ?? []))
  const behind = Map.groupBy(choices.interSite, ([, {name}]) => name)
  return [...new Set([...used, ...behind.keys()])].sort().map((name) => {
    const leading = behind.get(name)
    if (leading !== undefined) {
      const ports = leading.map(([port, {by}]) => (by === 'tunnel' ? `${port}, which is a tunnel` : port)).join(', ')
      return {name, because: `behind ${ports}`}
    }
    if (name !== choices.site.name)
      return {name, because: 'guessed: nothing says which port leads to another site; name it by --inter-site PORT'}
    const given = choices.site.given ? 'given' : 'its name is a guess: --site NAME'
    return {
      name,
      because:
        choices.interSite.size > 0 ? `this side of ${[...choices.interSite.keys()].join(', ')}; ${given}` : given,
    }
  })
}
