// Asks many VMs at once which gateway they use. One echo a VM and round; who does not answer is then only listened to.
import {
  allGateways,
  type Gateway,
  type Inventory,
  neededSite,
  neededVm,
  type Segment,
  type Vm,
} from '../domain/inventory/site.ts'
import {type Family, familyOf} from '../domain/proof/gateway.ts'
import {
  type Found,
  judgeVm,
  type Stranger,
  type WhoDocument,
  type WhoGateway,
  type WhoRow,
  whoDocument,
} from '../domain/who.ts'
import {usage} from '../errors.ts'
import {anyOf, etherType, type Instruction, ipProtocol, macTests} from '../net/packet/bpf.ts'
import type {Link, ReceivedFrame} from '../net/packet/link.ts'
import type {World} from '../net/world.ts'
import {BROADCAST, type Ipv4, isIpv4, type Mac, type Prefix} from '../wire/address.ts'
import {parseArp} from '../wire/arp.ts'
import {ifWellFormed} from '../wire/error.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, parseEthernet, vlanTag} from '../wire/ethernet.ts'
import {PROTOCOL_ICMP} from '../wire/ipv4.ts'
import {type Ipv6, isLinkLocal} from '../wire/ipv6-address.ts'
import {pause, startSchedule} from './schedule.ts'
import type {EchoIdentity, WatchedVm} from './sighting.ts'
import {echoFrame, probeFrame, readSighting} from './vm-watch.ts'

export interface WhoOrder {
  /** Names or addresses; empty: every VM of the inventory. */
  readonly vms: readonly string[]
  readonly ports: readonly string[]
  /** The site of these ports; undefined: that of a gateway on this machine, else what the inventory says of the VM. */
  readonly site: string | undefined
  readonly vlanId: number | undefined
  /** An address off every segment that echoes claim to come from where the sites do not share a gateway address. */
  readonly source: Ipv4
  /** ms to wait for answers after the last round. */
  readonly listenMs: number
  /** ms to listen for the traffic of those that did not answer. */
  readonly passiveMs: number
}

/** Echoes go out at these offsets, ms, to those that have not answered. */
const ROUNDS_MS = [0, 200, 600]
/** Whoever speaks for a gateway's address is heard for at least this long, however fast the VMs answer. */
const HEARD_MS = 300
/** Longer filters than this many VMs are not attached: the kernel takes 4096 instructions. */
const MOST_FILTERED = 400

/** One address of a VM that is asked about. */
interface Question {
  readonly vm: Vm
  readonly segment: Segment
  readonly watched: WatchedVm
  readonly echo: EchoIdentity
  /** For traffic: what lies outside it can only be for a gateway. */
  readonly prefix: Prefix
  found: Found
}

/** Asks the VMs, and with `askGateway` what they use. @throws Failure `usage` for unknown VMs and sites, `runtime` and `privilege` from the ports. */
export async function who(
  order: WhoOrder,
  inventory: Inventory,
  world: World,
  signal: AbortSignal,
  askGateway: (use: GatewayInUse, signal: AbortSignal) => Promise<readonly WhoGateway[]>,
): Promise<WhoDocument> {
  const vms = namedVms(order, inventory)
  const own = new Set((await world.interfaces()).map(({mac}) => mac))
  const identifier = Math.floor(world.random() * 0x10000)
  const questions = vms.flatMap((vm) => questionsOf(vm, order, inventory, identifier))
  const strangers = new Map<string, Stranger>()
  // A router may answer on one leg for the address of another, where several segments lie on these ports.
  const known = new Set(allGateways(inventory).map(({mac}) => mac))
  await ask(questions, order, world, signal, (frame) => noteStranger(frame, questions, known, strangers))
  if (questions.some(({found}) => found.mac === undefined) && order.passiveMs > 0)
    await listen(questions, order, world, signal)
  const siteOf = ({vm, segment}: Question): string | undefined =>
    order.site ?? segment.gateways.find(({mac}) => own.has(mac))?.site ?? vm.site
  const rows = (known: readonly WhoGateway[]) =>
    questions.map((question) => {
      const {vm, segment, watched, found} = question
      return judgeVm({vm, ip: watched.ip, segment, site: siteOf(question), found, gateways: known})
    })
  const inUse = gatewaysInUse(questions, rows([]))
  const gateways = (await Promise.all(inUse.map((use) => askGateway(use, signal)))).flat()
  return whoDocument(order.ports, rows(gateways), gateways, [...strangers.values()])
}

/** A gateway that VMs use as they should. */
export interface GatewayInUse {
  /** One of them, which uses it for as many families as any. */
  readonly vm: Vm
  readonly gateway: Gateway
  readonly families: readonly Family[]
}

/** One of each. Another site's is not asked: that it is not heard here may be as it should be. */
function gatewaysInUse(questions: readonly Question[], rows: readonly WhoRow[]): GatewayInUse[] {
  const found = new Map<string, GatewayInUse>()
  for (const [i, {vm, segment, watched}] of questions.entries()) {
    const gateway = segment.gateways.find(({name}) => name === rows[i]!.should?.name)
    if (!gateway || rows[i]!.verdict !== 'as-expected') continue
    const key = `${segment.name} ${gateway.name}`
    const family = familyOf(watched.ip)
    const others = found.get(key)
    found.set(key, {
      // Who has an IPv6 address has one of IPv4 too.
      vm: family === 6 ? vm : (others?.vm ?? vm),
      gateway,
      families: [...new Set([...(others?.families ?? []), family])],
    })
  }
  return [...found.values()]
}

function namedVms({vms, site}: WhoOrder, inventory: Inventory): Vm[] {
  if (site !== undefined) neededSite(inventory, site)
  if (vms.length === 0 && inventory.vms.length > 0) return [...inventory.vms]
  if (vms.length === 0) throw usage(`${inventory.file}: has no VMs (want some under vms, or name gateways for them)`)
  return vms.map((name) => neededVm(inventory, name))
}

/** IPv4 always; IPv6 where the VM and its gateways have addresses to ask with. */
function questionsOf(vm: Vm, {vlanId, source}: WhoOrder, inventory: Inventory, identifier: number): Question[] {
  const segment = inventory.segments.find(({name}) => name === vm.segment)!
  const vlan = vlanTag(vlanId)
  const question = (ip: Ipv4 | Ipv6, echo: EchoIdentity): Question => ({
    vm,
    segment,
    watched: {ip, mac: vm.mac, vlan},
    echo,
    prefix: segment.prefix,
    found: {mac: undefined, by: undefined, alive: false},
  })
  const [first, ...others] = segment.gateways
  if (first === undefined) return []
  const isShared = others.every(({ip}) => ip === first.ip)
  const ip6 = vm.ip6?.find((ip) => !isLinkLocal(ip))
  const shared6 = first.ip6?.find((ip) => others.every((gateway) => gateway.ip6?.includes(ip)))
  return [
    question(vm.ip, {gatewayIp: first.ip, identifier, ...(isShared ? {} : {from: source})}),
    ...(ip6 !== undefined && shared6 !== undefined ? [question(ip6, {gatewayIp: shared6, identifier})] : []),
  ]
}

type Take = (frame: ReceivedFrame) => void

async function onPorts(
  ports: readonly string[],
  filter: Instruction[],
  world: World,
  take: Take,
  use: (links: readonly Link[]) => Promise<void>,
): Promise<void> {
  const links: Link[] = []
  try {
    // Promiscuous: on a VM's own port its answers pass by, but they are for the gateway.
    for (const port of ports) links.push(await world.openLink(port, {filter, promiscuous: true}))
    for (const link of links) link.onFrame(take)
    await use(links)
  } finally {
    await Promise.all(links.map((link) => link.close()))
  }
}

async function ask(
  questions: readonly Question[],
  order: WhoOrder,
  world: World,
  signal: AbortSignal,
  other: Take,
): Promise<void> {
  const filter = anyOf([
    [etherType(ETHERTYPE_ARP)],
    [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)],
    [etherType(ETHERTYPE_IPV6)],
  ])
  const done = new AbortController()
  const bySource = grouped(questions)
  const take: Take = (frame) => {
    other(frame)
    if (!readAnswer(frame, bySource, false)) return
    if (questions.every(({found}) => found.mac !== undefined)) done.abort()
  }
  await onPorts(order.ports, filter, world, take, async (links) => {
    const schedule = startSchedule(world, signal)
    for (const link of links) link.sendMany(gatewayProbes(link, questions))
    for (const [round, atMs] of ROUNDS_MS.entries()) {
      await schedule.until(atMs, done.signal)
      if (done.signal.aborted) break
      const left = questions.filter(({found}) => found.mac === undefined)
      for (const link of links) {
        link.sendMany(
          left.flatMap(({watched, echo}) => [echoFrame(link, watched, echo, round + 1), probeFrame(link, watched)]),
        )
      }
    }
    await schedule.until(ROUNDS_MS.at(-1)! + order.listenMs, done.signal)
    await schedule.until(HEARD_MS)
  })
}

/** Asks everybody for the gateways' addresses, by ARP probes, which change no neighbour table: strangers answer too. */
function gatewayProbes(link: Link, questions: readonly Question[]): Uint8Array[] {
  const addresses = new Map<Ipv4, WatchedVm>()
  for (const {segment, watched} of questions) {
    for (const {ip} of segment.gateways) addresses.set(ip, {...watched, ip, mac: BROADCAST})
  }
  return [...addresses.values()].map((gateway) => probeFrame(link, gateway))
}

/** Those that did not answer an echo may still talk to others. */
async function listen(
  questions: readonly Question[],
  order: WhoOrder,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const left = questions.filter(({found}) => found.mac === undefined)
  const macs = [...new Set(left.map(({vm}) => vm.mac))]
  const done = new AbortController()
  const bySource = grouped(left)
  const take: Take = (frame) => {
    if (readAnswer(frame, bySource, true) && left.every(({found}) => found.mac !== undefined)) done.abort()
  }
  const filter = anyOf(macs.length > MOST_FILTERED ? [[]] : macs.map((mac) => macTests('source', mac)))
  await onPorts(order.ports, filter, world, take, () => pause(world, order.passiveMs, done.signal, signal))
}

function grouped(questions: readonly Question[]): ReadonlyMap<Mac, readonly Question[]> {
  const out = new Map<Mac, Question[]>()
  for (const question of questions) out.set(question.vm.mac, [...(out.get(question.vm.mac) ?? []), question])
  return out
}

/** Takes a frame for what it says about the VM that sent it; true if that VM was seen to use a gateway. */
function readAnswer(
  frame: ReceivedFrame,
  questions: ReadonlyMap<Mac, readonly Question[]>,
  withTraffic: boolean,
): boolean {
  const source = [...frame.bytes.subarray(6, 12)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
  let seen = false
  for (const question of questions.get(source) ?? []) {
    const sighting = readSighting(frame, question.watched, question.echo, withTraffic ? question.prefix : undefined)
    if (sighting === undefined) continue
    if (sighting.kind === 'echo-reply' || sighting.kind === 'traffic') {
      question.found = {mac: sighting.destinationMac, by: sighting.kind === 'traffic' ? 'traffic' : 'echo', alive: true}
      seen = true
    } else question.found = {...question.found, alive: true}
  }
  return seen
}

/** ARP that speaks for a gateway's address from a MAC that is no gateway. */
function noteStranger(
  {bytes}: ReceivedFrame,
  questions: readonly Question[],
  known: ReadonlySet<Mac>,
  strangers: Map<string, Stranger>,
): void {
  const arp = arpOf(bytes)
  if (arp === undefined || !isIpv4(arp.senderIp)) return
  const segment = questions.find(({segment: {gateways}}) => gateways.some(({ip}) => ip === arp.senderIp))?.segment
  if (segment === undefined || known.has(arp.senderMac)) return
  const text = `${arp.senderMac} says by ARP that it is ${arp.senderIp}`
  strangers.set(`${segment.name} ${arp.senderMac}`, {mac: arp.senderMac, ip: arp.senderIp, segment: segment.name, text})
}

function arpOf(bytes: Uint8Array) {
  if (bytes.length < 14) return undefined
  return ifWellFormed(() => {
    const {etherType: type, payload} = parseEthernet(bytes)
    return type === ETHERTYPE_ARP ? parseArp(payload) : undefined
  })
}
