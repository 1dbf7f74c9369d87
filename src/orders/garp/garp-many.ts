// `gwswitch garp --all`: every VM of a segment at once. All are told before any is checked, in few system calls.
import {type AwayVm, awayText} from '../../domain/inter-site.ts'
import type {NamedVm} from '../../domain/inventory/named-vm.ts'
import {allGateways, type Inventory, type Vm} from '../../domain/inventory/site.ts'
import {type GatewaySeen, gatewayText, isDead} from '../../domain/proof/gateway.ts'
import type {ProofCode} from '../../domain/proof/proof.ts'
import {EXIT, usage} from '../../errors.ts'
import {anyOf, etherType, ipProtocol} from '../../net/packet/bpf.ts'
import type {World} from '../../net/world.ts'
import {awayVms} from '../../probe/away.ts'
import {together} from '../../probe/together.ts'
import type {AnnounceVerdict} from '../../strategies/arp/announce.ts'
import {codeTold, judgeTold, sceneAround} from '../../strategies/bystander.ts'
import {askAbout, askAlive, type Scene} from '../../strategies/scene.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4} from '../../wire/ethernet.ts'
import {PROTOCOL_ICMP} from '../../wire/ipv4.ts'
import type {GarpOrder} from './garp-order.ts'
import {asSeen, type GarpRequest, garpRequest} from './garp-request.ts'
import type {GarpStage} from './run-garp.ts'
import {type Target, type Told, tellAll} from './tell-all.ts'

export interface GarpManyDocument {
  readonly schema: 'gwswitch.garp-many/2'
  readonly interface: string
  readonly dryRun: boolean
  readonly gateway: {readonly name: string | null; readonly ip: Ipv4; readonly mac: Mac}
  readonly vms: readonly {
    readonly vm: NamedVm
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
  /** Those that are at another site, and were not told. */
  readonly leftAlone: readonly AwayVm[]
  readonly warnings: readonly string[]
  readonly exitCode: number
}

/** @throws Failure `usage` before anything is sent. */
export async function runGarpMany(
  order: GarpOrder,
  inventory: Inventory | undefined,
  {world, signal, dryRun}: GarpStage,
): Promise<GarpManyDocument> {
  const known = checked(order, inventory)
  const base = garpRequest({...order, vm: undefined, form: 'reply'}, known, await world.interfaces())
  const {targets, leftAlone, site} = await targetsOf(order, base, known, world)
  const warnings = [
    // It tells every VM by unicast.
    ...base.warnings.filter(({code}) => code !== 'everybody').map(({text}) => text),
    ...(leftAlone.length === 0 ? [] : [`left alone: ${awayText(leftAlone, site)}; --other-sites tells them too`]),
  ]
  const common = {warnings, leftAlone}
  if (dryRun)
    return document(base, order.interfaceName, targets, {dryRun: true, framesSent: 0, toldAfterMs: null, ...common})
  const scene = await sceneOfMany(order, base, known, targets[0]!.vm, world)
  const {gateway, vlan} = asSeen(base, scene).announce
  const alive = scene && (await askAlive(scene, world, signal))
  if (alive && isDead(alive, null) && !order.force) {
    const nothing = {dryRun: false, framesSent: 0, toldAfterMs: null, ...common}
    return document(base, order.interfaceName, targets, nothing, {scene, target: alive})
  }
  const filter = anyOf([[etherType(ETHERTYPE_ARP)], [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)]])
  await using link = await world.openLink(order.interfaceName, {filter, promiscuous: true})
  const [sent, target] = await together<[Told, GatewaySeen | undefined]>(signal, [
    (either) => tellAll(link, world, {gateway, vlan, listenMs: order.listenMs}, targets, either),
    async (either) => scene && askAbout(scene, scene.to, world, either),
  ])
  return document(base, order.interfaceName, targets, {dryRun: false, ...sent, ...common}, {scene, target})
}

/** @throws Failure `usage` for what does not go together. */
function checked(order: GarpOrder, inventory: Inventory | undefined): Inventory {
  if (!inventory) throw usage('--all needs an inventory, which says what VMs there are')
  if (order.ip6) throw usage('--all tells IPv4 addresses; IPv6 ones VM by VM (--vm)')
  const {vm, vmIp, form, count, intervalMs, guardMs, arrivalMs} = order
  if (order.broadcast || [vm, vmIp, form, count, intervalMs, guardMs, arrivalMs].some((given) => given !== undefined)) {
    throw usage(
      '--all asks every VM in rounds of its own: leave --vm, --form, --broadcast, --count, --interval, --guard and --before-resume out',
    )
  }
  return inventory
}

interface Targets {
  readonly targets: readonly Target[]
  readonly leftAlone: readonly AwayVm[]
  /** The gateway's; empty where it has no name. */
  readonly site: string
}

/** Who is told: the VMs of the gateway's segment, but for those at another site. @throws Failure `usage` if that is nobody. */
async function targetsOf(
  {interfaceName, vlanId, otherSites}: GarpOrder,
  {gatewayName, announce}: GarpRequest,
  inventory: Inventory,
  world: World,
): Promise<Targets> {
  const {ip} = announce.gateway
  const named = allGateways(inventory).find(({name}) => name === gatewayName)
  // Tenants may have the same gateway address, each in a VLAN of its own: the name says whose it is.
  const segments = inventory.segments.filter(({name, gateways}) =>
    named === undefined ? gateways.some((each) => each.ip === ip) : name === named.segment,
  )
  const vms = inventory.vms.filter(({segment}) => segments.some(({name}) => name === segment))
  if (vms.length === 0) throw usage(`${inventory.file}: no VM is on a segment of ${ip}`)
  const [segment] = segments
  const site = named?.site ?? ''
  const leftAlone =
    otherSites || named === undefined ? [] : await awayVms({interfaceName, vlanId, segment: segment!, site}, vms, world)
  const away = new Set(leftAlone.map(({name}) => name))
  const targets = vms.flatMap((vm): Target[] => (away.has(vm.name) ? [] : [{vm, answered: false, used: undefined}]))
  if (targets.length === 0)
    throw usage(`nobody to tell: ${awayText(leftAlone, site)}; --other-sites tells them all the same`)
  return {targets, leftAlone, site}
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

function document(
  request: GarpRequest,
  interfaceName: string,
  targets: readonly Target[],
  rest: Pick<GarpManyDocument, 'dryRun' | 'framesSent' | 'toldAfterMs' | 'leftAlone' | 'warnings'>,
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
    const {name, ip: vmIp, mac: vmMac, segment} = target.vm
    return {
      vm: {name, ip: vmIp, mac: vmMac, segment},
      verdict: verdictOf(target),
      code: codeOf(target),
      gatewayUsed: target.used ?? null,
    }
  })
  const isBad = vms.some(({verdict, code}) => verdict === 'not-moved' || code === 'target-dead')
  const exitCode = isBad ? EXIT.refused : vms.some(({verdict}) => verdict === 'silent') ? EXIT.silent : 0
  return {
    schema: 'gwswitch.garp-many/2',
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
      ...vms.map(({vm: {name, ip, mac}}) => `${name} (${ip}, ${mac})`),
      `dry run: would ask ${vms.length} VMs via ${via}: ${gateway.ip} is at ${to}`,
    ]
  if (toldAfterMs === null) return [`NOT SENT  ${evidence}; --force tells all ${vms.length} VMs all the same`]
  const odd = vms.filter(({verdict}) => verdict !== 'moved')
  const said = (gatewayUsed: Mac | null): string =>
    gatewayUsed ? `still sends to ${gatewayUsed}` : 'answers, and nothing it sends to the gateway comes by here'
  return [
    ...odd.map(
      ({vm: {name, ip}, verdict, gatewayUsed}) =>
        `${verdict === 'silent' ? 'SILENT   ' : 'NOT MOVED'} ${name} (${ip}) ${verdict === 'silent' ? 'answered nothing' : said(gatewayUsed)}`,
    ),
    ...(vms.length === odd.length || evidence === null
      ? []
      : [`${(vms.some(({code}) => code === 'target-dead') ? 'CUT OFF' : '').padEnd(9)} ${evidence}`]),
    `MOVED     ${vms.length - odd.length} of ${vms.length} VMs send to ${to} now; told in ${toldAfterMs.toFixed(1)} ms, ${framesSent} frames`,
  ]
}
