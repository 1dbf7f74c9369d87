// From the order to the document: what `gwswitch garp` does between its flags and its words.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {familyOf, gatewayText, isDead} from '../../domain/proof/gateway.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import type {World} from '../../net/world.ts'
import {together} from '../../probe/together.ts'
import {vmFilter} from '../../probe/vm-watch.ts'
import {type AnnounceReport, announce} from '../../strategies/arp/announce.ts'
import {type GuardReport, guard, guardFilter} from '../../strategies/arp/guard.ts'
import {judgeTold, sceneAround} from '../../strategies/bystander.ts'
import {askAlive, askTarget, type Scene, type TargetSeen} from '../../strategies/scene.ts'
import type {Ipv4} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {GarpOrder} from './garp-order.ts'
import {type GarpDocument, garpDocument, garpPlan, garpRefused} from './garp-report.ts'
import {asSeen, type GarpRequest, garpRequest} from './garp-request.ts'

export interface GarpStage {
  readonly world: World
  readonly signal: AbortSignal
  readonly dryRun: boolean
}

/**
 * Tells the VM, and asks meanwhile what it is told about: whether the gateway takes packets on. A gateway that is not there
 * is not announced to a VM.
 * @throws Failure `usage` before anything is sent, `runtime` and `privilege` from the interface.
 */
export async function runGarp(
  order: GarpOrder,
  inventory: Inventory | undefined,
  {world, signal, dryRun}: GarpStage,
): Promise<GarpDocument> {
  const interfaces = await world.interfaces()
  const asGiven = garpRequest(order, inventory, interfaces)
  const via = interfaces.find(({name}) => name === order.interfaceName)!
  const scene = await sceneOfGarp(order, asGiven, inventory, via, world)
  const request = asSeen(asGiven, scene)
  if (dryRun) return garpPlan(request, via.name, via.mac)
  const alive = scene && (await askAlive(scene, world, signal))
  if (scene && alive && isDead(alive, null) && !order.force) {
    return garpRefused(request, via.name, gatewayText(alive, scene.to))
  }
  const [report, asked] = await together<[AnnounceReport, TargetSeen | undefined]>(signal, [
    (either) => tell(request, via.name, via.mac, world, either),
    async (either) => scene && askTarget(scene, scene.to, world, either),
  ])
  const proof = scene && asked && request.announce.vm && judgeTold(scene, seenBy(report, request.announce.vm), asked)
  const held = report.verdict === 'moved' ? await hold(request, via.name, world, signal) : undefined
  return garpDocument(request, via.name, report, {proof, held})
}

/** Who is involved; undefined without a VM and its gateway in the inventory. */
async function sceneOfGarp(
  {vlanId}: GarpOrder,
  {vmName, gatewayName, gateways, announce}: GarpRequest,
  inventory: Inventory | undefined,
  via: InterfaceFacts,
  world: World,
): Promise<Scene | undefined> {
  const vm = inventory?.vms.find(({name}) => name === vmName)
  const {ip, mac} = announce.gateway
  const gateway =
    gateways.find(({name}) => name === gatewayName) ??
    gateways.find((each) => each.mac === mac) ??
    gateways.find((each) => each.ip === ip)
  // The MAC that is announced, which is not always that of the inventory.
  return (
    inventory &&
    vm &&
    gateway &&
    sceneAround(inventory, {vm, to: {...gateway, mac}, via, vlanId, families: [familyOf(ip)]}, world)
  )
}

const seenBy = ({verdict, gatewayUsed}: AnnounceReport, {ip}: {readonly ip: Ipv4 | Ipv6}) => ({
  ip,
  used: gatewayUsed,
  alive: verdict !== 'silent',
})

async function tell(
  request: GarpRequest,
  name: string,
  mac: string,
  world: World,
  signal: AbortSignal,
): Promise<AnnounceReport> {
  const {vm} = request.announce
  const filter = vmFilter({mac: vm?.mac ?? mac}, vm !== undefined)
  await using link = await world.openLink(name, {filter, promiscuous: vm !== undefined})
  return await announce(link, world, request.announce, signal)
}

async function hold(
  request: GarpRequest,
  name: string,
  world: World,
  signal: AbortSignal,
): Promise<GuardReport | undefined> {
  const {vm, gateway, vlan, segment} = request.announce
  if (vm === undefined || request.guardMs === 0) return undefined
  await using link = await world.openLink(name, {filter: guardFilter(vm.mac), promiscuous: true, outgoing: true})
  const order = {gateway, vm, vlan, segment, forMs: request.guardMs, gateways: request.gateways}
  return await guard(link, world, order, signal)
}
