// What `gwswitch garp --announce` was asked to say in a VM's name, and about which gateway.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {allGateways, findSegment, type Gateway, type Segment, segmentOfIp} from '../../domain/inventory/site.ts'
import {hint} from '../../domain/suggest.ts'
import {usage} from '../../errors.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import {scheduleMs} from '../../strategies/arp/schedule.ts'
import {askingLeg} from '../../strategies/choose-interface.ts'
import {destinationsOf} from '../../strategies/scene.ts'
import {
  type AskedGateway,
  askedGateway,
  SPEAK_SCHEDULE_MS,
  type SpeakPlan,
  spokenVm,
} from '../../strategies/speak-for/plan.ts'
import {type Ipv4, type Mac, prefixContains} from '../../wire/address.ts'
import {isVersion6, readIp} from '../../wire/ipv6-address.ts'
import {readVm} from '../trace/station.ts'
import {stationMac} from './garp-order.ts'

/** The command line, as typed. */
export interface SpeakOrder {
  /** The VM: its inventory name or address, `IP=MAC`, or a MAC of the inventory. */
  readonly announce: string
  /** Inventory name or IPv4 address; undefined: the one of the VM's segment that is meant by where this runs. */
  readonly gateway?: string | undefined
  readonly interfaceName: string
  /** Of a gateway that is given by its address. */
  readonly mac?: string | undefined
  readonly broadcast: boolean
  readonly count?: number | undefined
  readonly intervalMs?: number | undefined
  readonly listenMs: number
  /** Speak also for a VM that is not seen at the port. */
  readonly force: boolean
}

export interface SpeakRequest {
  readonly plan: SpeakPlan
  /** Undefined for a VM without a name. */
  readonly vmName: string | undefined
  readonly segment: Segment | undefined
  readonly echoTo: readonly Ipv4[]
  readonly warnings: readonly string[]
}

/** At most as many addresses beyond the gateway are asked in the VM's name. */
const MOST_ECHOES = 2

/** `bridge`: the one that the order's interface is a port of. @throws Failure `usage` for what must not be said. */
export function speakRequest(
  order: SpeakOrder,
  inventory: Inventory | undefined,
  interfaces: readonly InterfaceFacts[],
  bridge?: string,
): SpeakRequest {
  const {vm, mac, ip} = readVm(order.announce, inventory, '--announce')
  if (ip === undefined) throw usage(`--announce ${order.announce}: its address is not known: say IP=${mac}`)
  const segment = inventory && (vm ? findSegment(inventory, vm.segment) : segmentOfIp(inventory, ip))
  const all = segment?.gateways ?? []
  const name = vm?.name ?? ip
  const router = inventory && allGateways(inventory).find((each) => each.mac === mac || each.ip === ip)
  if (router) throw usage(`${name} is the gateway ${router.name}: no gateway is announced as a VM`)
  const meant = meantGateway(order, {segment, site: vm?.site, interfaces})
  if (segment && !isVersion6(meant.ip) && !prefixContains(segment.prefix, meant.ip))
    throw usage(`gateway ${meant.ip} lies outside segment ${segment.name}, where ${name} is`)
  const known = meant.gateway
  const places = [order.interfaceName, ...(bridge === undefined ? [] : [bridge])]
  const leg = known && segment && askingLeg(interfaces, known.mac, segment, places)?.name
  const asked: AskedGateway = known
    ? askedGateway(known, all, true)
    : {name: meant.ip, mac: meant.mac ?? null, ip: meant.ip, ip6: null}
  const gateway = order.broadcast ? {...asked, mac: null} : asked
  const echoTo =
    known && vm && segment
      ? destinationsOf({vm, segment, from: known, to: known, sites: inventory!.sites}).slice(0, MOST_ECHOES)
      : []
  return {
    plan: {
      vm: spokenVm(name, {ip, mac, ...(vm?.ip6 && {ip6: vm.ip6})}, known ?? {}),
      ...{port: order.interfaceName, vlan: null, leg: leg ?? null, gateway},
      scheduleMs: scheduleMs(order, SPEAK_SCHEDULE_MS),
    },
    ...{vmName: vm?.name, segment, echoTo, warnings: warningsOf(asked, all, known)},
  }
}

/** The answer to what is asked in its name is the VM's to learn from. */
function warningsOf({name, ip, mac}: AskedGateway, all: readonly Gateway[], known: Gateway | undefined): string[] {
  const shared = all.filter((each) => each.ip === ip && each.mac !== mac)
  const isOwn = known !== undefined && ip === known.ownIp
  if (shared.length === 0 || isOwn) return []
  const others = shared.map((each) => each.name).join(', ')
  return [
    `${ip} is also the address of ${others}: the answer of ${name} moves the VM to it; ownIp in the inventory avoids that`,
  ]
}

interface MeantGateway {
  readonly gateway: Gateway | undefined
  readonly ip: Ipv4
  readonly mac: Mac | undefined
}

/**
 * The one named, else the one that this host is, else that of the site where the inventory has the VM, else the only one. An
 * address that several share names no one: asked of everybody in the VM's name, the last to answer would move the VM.
 */
function meantGateway(
  {gateway: text, mac: macText, announce}: SpeakOrder,
  place: {
    readonly segment: Segment | undefined
    readonly site: string | undefined
    readonly interfaces: readonly InterfaceFacts[]
  },
): MeantGateway {
  const {segment, site, interfaces} = place
  const all = segment?.gateways ?? []
  const meantOf = (some: readonly Gateway[]): MeantGateway => {
    const own = some.filter(({mac}) => interfaces.some((each) => each.mac === mac))
    const [only, more] = own.length > 0 ? own : site === undefined ? some : some.filter((each) => each.site === site)
    if (only !== undefined && more === undefined) return {gateway: only, ip: only.ip, mac: only.mac}
    const names = some.map(({name}) => name).join(', ')
    throw usage(
      `which gateway shall know ${announce} is not clear: name it${names === '' ? ' by its address' : ` (${names})`}`,
    )
  }
  if (text === undefined) return meantOf(all)
  const named = all.find(({name}) => name === text)
  if (named) return {gateway: named, ip: named.ip, mac: named.mac}
  const ip = readIp(text)
  if (ip === undefined || isVersion6(ip)) {
    const names = all.map(({name}) => name)
    throw usage(`${text} is no gateway of ${announce}'s segment and no IPv4 address${hint(text, names)}`)
  }
  const mac = macText === undefined ? undefined : stationMac('--mac', macText)
  const at = all.filter((each) => each.ip === ip && (mac === undefined || each.mac === mac))
  if (at.length > 1 && mac === undefined) return meantOf(at)
  return at.length === 1 ? {gateway: at[0], ip, mac: at[0]!.mac} : {gateway: undefined, ip, mac}
}
