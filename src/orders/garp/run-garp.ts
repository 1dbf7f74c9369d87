// From the order to the document: what `gwswitch garp` does between its flags and its words.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import type {World} from '../../net/world.ts'
import {vmFilter} from '../../probe/vm-watch.ts'
import {type AnnounceReport, announce} from '../../strategies/arp/announce.ts'
import {type GuardReport, guard, guardFilter} from '../../strategies/arp/guard.ts'
import type {GarpOrder} from './garp-order.ts'
import {type GarpDocument, garpDocument, garpPlan} from './garp-report.ts'
import {type GarpRequest, garpRequest} from './garp-request.ts'

export interface GarpStage {
  readonly world: World
  readonly signal: AbortSignal
  readonly dryRun: boolean
}

/** @throws Failure `usage` before anything is sent, `runtime` and `privilege` from the interface. */
export async function runGarp(
  order: GarpOrder,
  inventory: Inventory | undefined,
  {world, signal, dryRun}: GarpStage,
): Promise<GarpDocument> {
  const interfaces = await world.interfaces()
  const request = garpRequest(order, inventory, interfaces)
  const via = interfaces.find(({name}) => name === order.interfaceName)!
  if (dryRun) return garpPlan(request, via.name, via.mac)
  const report = await tell(request, via.name, via.mac, world, signal)
  const held = report.verdict === 'moved' ? await hold(request, via.name, world, signal) : undefined
  return garpDocument(request, via.name, report, held)
}

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
