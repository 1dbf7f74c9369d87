// `gwswitch garp --announce VM`: from the order to the document.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {expectInjectable, type HostLink, portOfVm} from '../../domain/vantage/vm-port.ts'
import {Failure, usage} from '../../errors.ts'
import type {SpeakerWorld, World} from '../../net/world.ts'
import {judgeKnown} from '../../strategies/speak-for/judge.ts'
import type {SpeakPlan} from '../../strategies/speak-for/plan.ts'
import {speakInPlace} from '../../strategies/speak-for/speak-in-place.ts'
import {askOnBridges} from '../trace/in-place.ts'
import {resolveStation} from '../trace/station.ts'
import type {GarpStage} from './run-garp.ts'
import {type SpeakDocument, speakDocument, speakPlanned} from './speak-report.ts'
import {type SpeakOrder, type SpeakRequest, speakRequest} from './speak-request.ts'

/**
 * Speaks for a VM that is seen to be at its port of this host; for one that is not only with `force`.
 * @throws Failure `usage`, `runtime`, `silent` before anything is sent; `privilege` from the interface.
 */
export async function runSpeak(
  order: SpeakOrder,
  inventory: Inventory | undefined,
  {world, signal, dryRun}: GarpStage,
): Promise<SpeakDocument> {
  const place = await world.bridgeOf?.(order.interfaceName)
  const request = speakRequest(order, inventory, await world.interfaces(), place?.portOf)
  if (dryRun) return speakPlanned(request, order.interfaceName)
  const speaker = await world.speaker?.()
  if (!speaker) throw new Failure('runtime', 'nothing can be said in the place of a VM here')
  const port = await portFor(order, inventory, request, speaker, world, signal)
  const plan = {...request.plan, port}
  const {echoTo, segment} = request
  const options = {sure: order.force, echoTo, listenMs: order.listenMs, segment: segment?.prefix}
  const report = await speakInPlace(plan, speaker, options, {world, signal})
  return speakDocument({...request, plan}, order.interfaceName, report, judgeKnown(plan, report))
}

/** The VM's own port; with `force` the one named, or none where the gateway's leg alone can be written at. */
async function portFor(
  order: SpeakOrder,
  inventory: Inventory | undefined,
  request: SpeakRequest,
  {vantage}: SpeakerWorld,
  world: World,
  signal: AbortSignal,
): Promise<string | null> {
  const {interfaceName, announce, force} = order
  try {
    const asked = {interfaceName, portOf: announce, flag: '--announce', site: undefined}
    const station = await resolveStation(asked, inventory, world, vantage, (vm, bridges) =>
      askOnBridges(world, vm, bridges, signal),
    )
    expectInjectable(station, station.port!, await vantage.learned(), force, '--force')
    return station.port!.name
  } catch (error) {
    if (!(error instanceof Failure) || error.kind !== 'runtime') throw error
    const forced = forcedPort(interfaceName, request.plan, await vantage.links())
    if (forced instanceof Failure) throw force ? forced : error
    if (force) return forced
    throw new Failure(
      'runtime',
      `${error.message} (announced from here it would be cut off where it is; --force does it)`,
    )
  }
}

/** What `force` takes: the port named, if it could be a VM's; null: the leg alone. A Failure says why neither. */
function forcedPort(interfaceName: string, {vm, leg, gateway}: SpeakPlan, links: readonly HostLink[]) {
  const station = {label: vm.name, mac: vm.mac}
  try {
    const port = portOfVm(station, links, [{mac: station.mac, port: interfaceName}], interfaceName)
    expectInjectable(station, port, [], true)
    return port.name
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    if (leg === null) return error
    return interfaceName === leg
      ? null
      : usage(`${interfaceName} is neither a VM's port nor ${leg}, the leg of ${gateway.name}`)
  }
}
