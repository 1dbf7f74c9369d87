// From the order to the document: what `gwswitch garp` does between its flags and its words.
import type {Inventory} from '../../domain/inventory.ts'
import {recordingWorld} from '../../net/recording.ts'
import type {World} from '../../net/world.ts'
import {vmFilter} from '../../probe/vm-watch.ts'
import {announce} from './announce.ts'
import {type GarpDocument, garpDocument, garpPlan} from './garp-report.ts'
import {type GarpOrder, garpRequest} from './garp-request.ts'

export interface GarpRun {
  readonly dryRun: boolean
  readonly pcap: string | undefined
  readonly signal: AbortSignal
}

/** @throws Failure `usage` before anything is sent, `runtime` and `privilege` from the interface. */
export async function runGarp(order: GarpOrder, inventory: Inventory | undefined, world: World, run: GarpRun): Promise<GarpDocument> {
  const interfaces = await world.interfaces()
  const request = garpRequest(order, inventory, interfaces)
  const via = interfaces.find(({name}) => name === order.interfaceName)!
  if (run.dryRun) return garpPlan(request, via.name, via.mac)
  const recording = run.pcap === undefined ? undefined : recordingWorld(world, run.pcap)
  const {vm, vlan} = request.announce
  const filter = vmFilter({ip: vm?.ip ?? '0.0.0.0', mac: vm?.mac ?? via.mac, vlan}, vm !== undefined)
  const link = await (recording?.world ?? world).openLink(via.name, {filter, promiscuous: vm !== undefined})
  try {
    return garpDocument(request, via.name, await announce(link, world, request.announce, run.signal))
  } finally {
    await link.close()
    recording?.close()
  }
}
