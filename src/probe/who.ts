// Asks many VMs at once which gateway they use. Two echoes a VM and round; who does not answer is then only listened to.
import {findSegment, type Gateway, type Inventory, type Vm} from '../domain/inventory/site.ts'
import {type Family, familyOf} from '../domain/proof/gateway.ts'
import {
  type AbsentSegment,
  judgeVm,
  type WhoDocument,
  type WhoGateway,
  type WhoRow,
  whoDocument,
} from '../domain/who.ts'
import type {Place, SegmentPlaces} from '../domain/who-places.ts'
import {anyOf, etherType, type Instruction, ipProtocol, macTests} from '../net/packet/bpf.ts'
import type {Link} from '../net/packet/link.ts'
import type {World} from '../net/world.ts'
import {BROADCAST, type Ipv4, prefixContains} from '../wire/address.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, vlanTag} from '../wire/ethernet.ts'
import {PROTOCOL_ICMP} from '../wire/ipv4.ts'
import {pause, startSchedule} from './schedule.ts'
import {sendPaced} from './send-paced.ts'
import type {WatchedVm} from './sighting.ts'
import {together} from './together.ts'
import {echoFrame, probeFrame} from './vm-watch.ts'
import {type Ears, makeEars} from './who-ears.ts'
import {isNamed, namedVms, type Question, questionsOf, segmentPlaces, type WhoOrder} from './who-questions.ts'

/** Echoes go out at these offsets, ms, to those that have not answered. */
const ROUNDS_MS = [0, 200, 600]
/** Whoever speaks for a gateway's address is heard for at least this long, however fast the VMs answer. */
const HEARD_MS = 300
/** Longer filters than this many VMs are not attached: the kernel takes 4096 instructions. */
const MOST_FILTERED = 400

/** Asks the VMs, and with `askGateway` what they use. @throws Failure `usage` for unknown VMs and sites, `runtime` and `privilege` from the ports. */
export async function who(
  order: WhoOrder,
  inventory: Inventory,
  world: World,
  signal: AbortSignal,
  askGateway: (use: GatewayInUse, signal: AbortSignal) => Promise<readonly WhoGateway[]>,
): Promise<WhoDocument> {
  const vms = namedVms(order, inventory)
  const interfaces = await world.interfaces()
  const places = await segmentPlaces(order, vms, inventory, world)
  const identifier = Math.floor(world.random() * 0x10000)
  const questions = vms.flatMap((vm) =>
    questionsOf(vm, order, findSegment(inventory, vm.segment)!, places.get(vm.segment)!.places, identifier),
  )
  const ears = makeEars(questions, inventory)
  await ask(questions, ears, order, world, signal)
  if (ears.left.size > 0 && order.passiveMs > 0) await listen(ears, order, world, signal)

  const own = new Set(interfaces.map(({mac}) => mac))
  const isOwnLeg = (segment: string): boolean =>
    interfaces.some(
      ({name, addresses}) =>
        order.ports.includes(name) &&
        addresses.some(({ip}) => prefixContains(findSegment(inventory, segment)!.prefix, ip)),
    )
  const absent = isNamed(order) ? [] : absentSegments(order, vms, places, (name) => ears.isHere(name) || isOwnLeg(name))
  const isAbsent = new Set(absent.map(({segment}) => segment))
  const shown = questions.filter(({segment}) => !isAbsent.has(segment.name))
  const siteOf = ({vm, segment}: Question): string | undefined =>
    order.site ?? segment.gateways.find(({mac}) => own.has(mac))?.site ?? vm.site
  const rows = (gateways: readonly WhoGateway[]) =>
    shown.map((question) => judgeVm({...question, site: siteOf(question), gateways}))
  const inUse = gatewaysInUse(shown, rows([]))
  const gateways = (
    await together<(readonly WhoGateway[])[]>(
      signal,
      inUse.map((use) => (either: AbortSignal) => askGateway(use, either)),
    )
  ).flat()
  return whoDocument({ports: order.ports, rows: rows(gateways), gateways, strangers: ears.strangers(), absent})
}

/** Segments of which nothing was seen: their VMs are not silent, they are elsewhere. Where it is all of them, nobody is anywhere. */
function absentSegments(
  {ports}: WhoOrder,
  vms: readonly Vm[],
  places: ReadonlyMap<string, SegmentPlaces>,
  isHere: (segment: string) => boolean,
): AbsentSegment[] {
  const isAnyHere = [...places.keys()].some(isHere)
  return [...places].flatMap(([segment, {apart}]) => {
    if (isHere(segment) || (apart === '' && !isAnyHere)) return []
    const text = apart === '' ? `neither a VM nor a gateway of it was heard at ${ports.join(', ')}` : apart
    return {segment, vms: vms.filter((vm) => vm.segment === segment).length, text}
  })
}

/** A gateway that VMs use as they should. */
export interface GatewayInUse {
  /** One of them, which uses it for as many families as any. */
  readonly vm: Vm
  readonly gateway: Gateway
  readonly families: readonly Family[]
  /** Where that VM was seen. */
  readonly at: Place
}

/** One of each. Another site's is not asked: that it is not heard here may be as it should be. */
function gatewaysInUse(questions: readonly Question[], rows: readonly WhoRow[]): GatewayInUse[] {
  const found = new Map<string, GatewayInUse>()
  for (const [i, {vm, segment, ip, at}] of questions.entries()) {
    const gateway = segment.gateways.find(({name}) => name === rows[i]!.should?.name)
    if (!gateway || at === undefined || rows[i]!.verdict !== 'as-expected') continue
    const key = `${segment.name} ${gateway.name}`
    const family = familyOf(ip)
    const others = found.get(key)
    // Who has an IPv6 address has one of IPv4 too.
    const one = family === 6 || others === undefined ? {vm, at} : {vm: others.vm, at: others.at}
    found.set(key, {...one, gateway, families: [...new Set([...(others?.families ?? []), family])]})
  }
  return [...found.values()]
}

type Use = (links: readonly Link[]) => Promise<void>

async function onPorts(
  {ports}: WhoOrder,
  filter: Instruction[],
  {ears, withTraffic, done}: {readonly ears: Ears; readonly withTraffic: boolean; readonly done: AbortController},
  world: World,
  use: Use,
): Promise<void> {
  const links: Link[] = []
  try {
    // Promiscuous: on a VM's own port its answers pass by, but they are for the gateway.
    for (const port of ports) links.push(await world.openLink(port, {filter, promiscuous: true}))
    for (const link of links)
      link.onFrame((frame) => {
        ears.hear(frame, link.name, withTraffic)
        if (ears.left.size === 0) done.abort()
      })
    await use(links)
  } finally {
    await Promise.all(links.map((link) => link.close()))
  }
}

async function ask(
  questions: readonly Question[],
  ears: Ears,
  order: WhoOrder,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const filter = anyOf([
    [etherType(ETHERTYPE_ARP)],
    [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)],
    [etherType(ETHERTYPE_IPV6)],
  ])
  const done = new AbortController()
  await onPorts(order, filter, {ears, withTraffic: false, done}, world, async (links) => {
    const schedule = startSchedule(world, signal)
    for (const link of links) await sendPaced(link, gatewayProbes(link, questions), world, signal)
    for (const [round, atMs] of ROUNDS_MS.entries()) {
      await schedule.until(atMs, done.signal)
      if (done.signal.aborted) break
      const left = [...ears.left]
      for (const link of links) {
        const frames = left.flatMap((question) => framesFor(link, question, round + 1))
        await sendPaced(link, frames, world, signal)
      }
    }
    await schedule.until(ROUNDS_MS.at(-1)! + order.listenMs, done.signal)
    await schedule.until(HEARD_MS)
  })
}

const placesAt = (link: Link, {places}: Question): readonly Place[] => places.filter(({port}) => port === link.name)

/** What one address of a VM is asked in one round. */
const framesFor = (link: Link, question: Question, round: number): Uint8Array[] =>
  placesAt(link, question).flatMap(({tag}) => {
    const {vm, ip, far, shared} = question
    const watched: WatchedVm = {ip, mac: vm.mac, vlan: vlanTag(tag)}
    const echoes = shared === undefined ? [far] : [far, shared]
    return [...echoes.map((echo) => echoFrame(link, watched, echo, round)), probeFrame(link, watched)]
  })

/** Asks everybody for the gateways' addresses, by ARP probes, which change no neighbour table: strangers answer too. */
function gatewayProbes(link: Link, questions: readonly Question[]): Uint8Array[] {
  const asked = new Map<string, {readonly ip: Ipv4; readonly tag: number | undefined}>()
  for (const question of new Map(questions.map((each) => [each.segment.name, each])).values()) {
    for (const {tag} of placesAt(link, question))
      for (const {ip} of question.segment.gateways) asked.set(`${ip} ${tag}`, {ip, tag})
  }
  return [...asked.values()].map(({ip, tag}) => probeFrame(link, {ip, mac: BROADCAST, vlan: vlanTag(tag)}))
}

/** Those that did not answer an echo from off the segment may still talk to others. */
async function listen(ears: Ears, order: WhoOrder, world: World, signal: AbortSignal): Promise<void> {
  const macs = [...new Set([...ears.left].map(({vm}) => vm.mac))]
  const filter = anyOf(macs.length > MOST_FILTERED ? [[]] : macs.map((mac) => macTests('source', mac)))
  const done = new AbortController()
  await onPorts(order, filter, {ears, withTraffic: true, done}, world, () =>
    pause(world, order.passiveMs, done.signal, signal),
  )
}
