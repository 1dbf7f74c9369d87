// `gwswitch garp --all`: every VM of a segment at once. All are told before any is checked, in few system calls.
import {allGateways, type Inventory, type Vm} from '../../domain/inventory/site.ts'
import {type GatewaySeen, gatewayText, isDead} from '../../domain/proof/gateway.ts'
import type {ProofCode} from '../../domain/proof/proof.ts'
import {EXIT, usage} from '../../errors.ts'
import {anyOf, etherType, ipProtocol} from '../../net/packet/bpf.ts'
import type {Link} from '../../net/packet/link.ts'
import type {World} from '../../net/world.ts'
import {startSchedule} from '../../probe/schedule.ts'
import type {EchoIdentity} from '../../probe/sighting.ts'
import {together} from '../../probe/together.ts'
import {echoFrame, readSighting} from '../../probe/vm-watch.ts'
import type {AnnounceVerdict} from '../../strategies/arp/announce.ts'
import type {AnnouncedGateway} from '../../strategies/arp/announcement.ts'
import {announcementFrame} from '../../strategies/arp/frames.ts'
import {codeTold, judgeTold, sceneAround} from '../../strategies/bystander.ts'
import {askAbout, askAlive, type Scene} from '../../strategies/scene.ts'
import {type Ipv4, type Mac, writeIpv4, writeMac} from '../../wire/address.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, ethernetLength, parseEthernetHeader, type Vlan} from '../../wire/ethernet.ts'
import {PROTOCOL_ICMP} from '../../wire/ipv4.ts'
import type {GarpOrder} from './garp-order.ts'
import {type GarpRequest, garpRequest} from './garp-request.ts'
import type {GarpStage} from './run-garp.ts'

export interface GarpManyDocument {
  readonly schema: 'gwswitch.garp-many/1'
  readonly interface: string
  readonly dryRun: boolean
  readonly gateway: {readonly name: string | null; readonly ip: Ipv4; readonly mac: Mac}
  readonly vms: readonly {
    readonly name: string
    readonly ip: Ipv4
    readonly mac: Mac
    readonly verdict: AnnounceVerdict | 'not-sent'
    /** Whether it is served; null where nothing was sent. */
    readonly code: ProofCode | null
    readonly gatewayUsed: Mac | null
  }[]
  /** What the gateway was seen to do; null in a dry run. */
  readonly evidence: string | null
  readonly framesSent: number
  /** From the first frame until every VM was told once, ms. */
  readonly toldAfterMs: number | null
  readonly warnings: readonly string[]
  readonly exitCode: number
}

/** Rounds, ms from the start. Each is for the VMs alone that were not seen to follow yet. */
const ROUNDS_MS = [0, 300, 1200]
/** Bytes from the ARP packet's start to its target address. */
const TARGET_IP = 24
/** How long to wait where the device's queue is full, ms. */
const FULL_MS = 1

interface Target {
  readonly vm: Vm
  answered: boolean
  used: Mac | undefined
}

/** @throws Failure `usage` before anything is sent. */
export async function runGarpMany(
  order: GarpOrder,
  inventory: Inventory | undefined,
  {world, signal, dryRun}: GarpStage,
): Promise<GarpManyDocument> {
  if (!inventory) throw usage('--all needs an inventory, which says what VMs there are')
  if (order.ip6) throw usage('--all tells IPv4 addresses; IPv6 ones VM by VM (--vm)')
  const {vm, vmIp, form, count, intervalMs, guardMs, arrivalMs} = order
  if (order.broadcast || [vm, vmIp, form, count, intervalMs, guardMs, arrivalMs].some((given) => given !== undefined)) {
    throw usage(
      '--all asks every VM in rounds of its own: leave --vm, --form, --broadcast, --count, --interval, --guard and --before-resume out',
    )
  }
  const interfaces = await world.interfaces()
  const base = garpRequest({...order, vm: undefined, form: 'reply'}, inventory, interfaces)
  const {gateway, vlan} = base.announce
  const segments = new Set(
    inventory.segments.filter(({gateways}) => gateways.some(({ip}) => ip === gateway.ip)).map(({name}) => name),
  )
  const vms = inventory.vms.filter((vm) => segments.has(vm.segment))
  if (vms.length === 0) throw usage(`${inventory.file}: no VM is on a segment of ${gateway.ip}`)
  const site = allGateways(inventory).find(({name}) => name === base.gatewayName)?.site
  const away = vms.filter((vm) => site !== undefined && vm.site !== undefined && vm.site !== site)
  const targets = vms.filter((vm) => !away.includes(vm)).map((vm): Target => ({vm, answered: false, used: undefined}))
  if (targets.length === 0)
    throw usage(`${inventory.file}: every VM on a segment of ${gateway.ip} is at another site than ${site}`)
  const warnings = [
    // It tells every VM by unicast.
    ...base.warnings.filter(({code}) => code !== 'everybody').map(({text}) => text),
    ...away.map(
      ({name, site: at}) =>
        `${name} is not told: the inventory says that it is at site ${at}, and ${base.gatewayName} is at ${site}`,
    ),
  ]
  if (dryRun)
    return document(base, order.interfaceName, targets, {dryRun: true, framesSent: 0, toldAfterMs: null, warnings})
  const scene = await sceneOfMany(order, base, inventory, targets[0]!.vm, world)
  const alive = scene && (await askAlive(scene, world, signal))
  if (alive && isDead(alive, null) && !order.force) {
    const nothing = {dryRun: false, framesSent: 0, toldAfterMs: null, warnings}
    return document(base, order.interfaceName, targets, nothing, {scene, target: alive})
  }
  const filter = anyOf([[etherType(ETHERTYPE_ARP)], [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)]])
  await using link = await world.openLink(order.interfaceName, {filter, promiscuous: true})
  const [sent, target] = await together<[Sent, GatewaySeen | undefined]>(signal, [
    (either) => tellAll(link, world, gateway, vlan, targets, order.listenMs, either),
    async (either) => scene && askAbout(scene, scene.to, world, either),
  ])
  return document(base, order.interfaceName, targets, {dryRun: false, ...sent, warnings}, {scene, target})
}

interface Sent {
  readonly framesSent: number
  readonly toldAfterMs: number
}

/** One scene for all: the gateway is the same. */
async function sceneOfMany(
  {interfaceName, vlanId}: GarpOrder,
  {gatewayName, gateways, announce}: GarpRequest,
  inventory: Inventory,
  vm: Vm,
  world: World,
): Promise<Scene | undefined> {
  const {ip, mac} = announce.gateway
  const gateway = gateways.find(({name}) => name === gatewayName) ?? gateways.find((each) => each.ip === ip)
  const via = (await world.interfaces()).find(({name}) => name === interfaceName)
  return gateway && via && sceneAround(inventory, {vm, to: {...gateway, mac}, via, vlanId}, world)
}

async function tellAll(
  link: Link,
  world: World,
  gateway: AnnouncedGateway,
  vlan: Vlan | undefined,
  targets: readonly Target[],
  listenMs: number,
  signal: AbortSignal,
): Promise<Sent> {
  const echo: EchoIdentity = {gatewayIp: gateway.ip, identifier: Math.floor(world.random() * 0x10000)}
  const byMac = new Map(targets.map((target) => [target.vm.mac, target]))
  let framesSent = 0
  let left = targets
  let toldAfterMs = 0
  const done = new AbortController()
  const unsubscribe = link.onFrame((received) => {
    const target = byMac.get(parseEthernetHeader(received.bytes).source)
    const sighting = target && readSighting(received, {...target.vm, vlan}, echo, undefined)
    if (!sighting) return
    target.answered = true
    if (sighting.kind !== 'echo-reply') return
    target.used = sighting.destinationMac
    if (left.every(({used}) => used === gateway.mac)) done.abort()
  })
  const schedule = startSchedule(world, signal)
  const send = async (frames: readonly Uint8Array[]): Promise<void> => {
    for (let sent = 0; sent < frames.length; ) {
      const taken = link.sendMany(sent === 0 ? frames : frames.slice(sent))
      sent += taken
      if (taken === 0) await world.sleep(FULL_MS, signal)
    }
    framesSent += frames.length
  }
  try {
    for (const [round, atMs] of ROUNDS_MS.entries()) {
      await schedule.until(atMs, done.signal)
      left = targets.filter(({used}) => used !== gateway.mac)
      if (left.length === 0) break
      const vms = left.map(({vm}) => vm)
      await send(askFrames(gateway, vms, vlan, link.mac))
      if (round === 0) toldAfterMs = schedule.elapsedMs()
      await send(vms.map((vm) => echoFrame(link, {...vm, vlan}, echo, round + 1)))
    }
    await schedule.until(ROUNDS_MS.at(-1)! + listenMs, done.signal)
  } finally {
    unsubscribe()
  }
  return {framesSent, toldAfterMs}
}

/** The `ask` frame of every VM: one is built, the others are copies with the VM's two addresses put in. @internal */
export function askFrames(
  gateway: AnnouncedGateway,
  vms: readonly {readonly ip: Ipv4; readonly mac: Mac}[],
  vlan: Vlan | undefined,
  sourceMac: Mac,
): Uint8Array[] {
  const [first] = vms
  if (!first) return []
  const model = announcementFrame('ask', gateway, {vm: first, vlan}, sourceMac).bytes
  const targetAt = ethernetLength({vlan}) + TARGET_IP
  return vms.map(({ip, mac}) => {
    const frame = new Uint8Array(model)
    writeMac(mac, frame, 0)
    writeIpv4(ip, frame, targetAt)
    return frame
  })
}

function document(
  request: GarpRequest,
  interfaceName: string,
  targets: readonly Target[],
  rest: Pick<GarpManyDocument, 'dryRun' | 'framesSent' | 'toldAfterMs' | 'warnings'>,
  {scene, target: gateway}: {readonly scene?: Scene | undefined; readonly target?: GatewaySeen | undefined} = {},
): GarpManyDocument {
  const {ip, mac} = request.announce.gateway
  const isSent = rest.toldAfterMs !== null
  const verdictOf = ({used, answered}: Target): AnnounceVerdict | 'not-sent' =>
    !isSent ? 'not-sent' : used === mac ? 'moved' : answered ? 'not-moved' : 'silent'
  const codeOf = ({vm, used, answered}: Target): ProofCode | null => {
    if (!isSent) return rest.dryRun ? null : 'target-dead'
    const told = {ip: vm.ip, used, alive: answered}
    return scene && gateway ? judgeTold(scene, told, {target: gateway}).code : codeTold(told, mac)
  }
  const vms = targets.map((target) => {
    const {name, ip: vmIp, mac: vmMac} = target.vm
    return {
      name,
      ip: vmIp,
      mac: vmMac,
      verdict: verdictOf(target),
      code: codeOf(target),
      gatewayUsed: target.used ?? null,
    }
  })
  const isBad = vms.some(({verdict, code}) => verdict === 'not-moved' || code === 'target-dead')
  const exitCode = isBad ? EXIT.refused : vms.some(({verdict}) => verdict === 'silent') ? EXIT.silent : 0
  return {
    schema: 'gwswitch.garp-many/1',
    interface: interfaceName,
    gateway: {name: request.gatewayName ?? null, ip, mac},
    vms,
    evidence: scene && gateway ? gatewayText(gateway, scene.to) : null,
    ...rest,
    exitCode,
  }
}

/** The document as lines for a terminal: what did not go as meant, and the count. */
export function garpManyText({
  vms,
  gateway,
  interface: via,
  dryRun,
  framesSent,
  toldAfterMs,
  evidence,
}: GarpManyDocument): string[] {
  const to = gateway.name ? `${gateway.name} (${gateway.mac})` : gateway.mac
  if (dryRun)
    return [
      ...vms.map(({name, ip, mac}) => `${name} (${ip}, ${mac})`),
      `dry run: would ask ${vms.length} VMs via ${via}: ${gateway.ip} is at ${to}`,
    ]
  if (toldAfterMs === null) return [`NOT SENT  ${evidence}; --force tells all ${vms.length} VMs all the same`]
  const odd = vms.filter(({verdict}) => verdict !== 'moved')
  const said = (gatewayUsed: Mac | null): string =>
    gatewayUsed ? `still sends to ${gatewayUsed}` : 'answers, and nothing it sends to the gateway comes by here'
  return [
    ...odd.map(
      ({name, ip, verdict, gatewayUsed}) =>
        `${verdict === 'silent' ? 'SILENT   ' : 'NOT MOVED'} ${name} (${ip}) ${verdict === 'silent' ? 'answered nothing' : said(gatewayUsed)}`,
    ),
    ...(vms.length === odd.length || evidence === null
      ? []
      : [`${(vms.some(({code}) => code === 'target-dead') ? 'CUT OFF' : '').padEnd(9)} ${evidence}`]),
    `MOVED     ${vms.length - odd.length} of ${vms.length} VMs send to ${to} now; told in ${toldAfterMs.toFixed(1)} ms, ${framesSent} frames`,
  ]
}
