// `gwswitch trace --port-of VM`: a trace as the VM itself would make it, from its hypervisor.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {allGateways} from '../../domain/inventory/site.ts'
import {expectInjectable} from '../../domain/vantage/vm-port.ts'
import {usage} from '../../errors.ts'
import type {VantageWorld} from '../../net/vantage-world.ts'
import type {World} from '../../net/world.ts'
import {askEgress, FAR_AWAY} from '../../probe/egress.ts'
import {redirectOf, redirectText} from '../../probe/redirects.ts'
import {standIn} from '../../probe/stand-in.ts'
import {type Ipv4, type Mac, prefixOf, readMac} from '../../wire/address.ts'
import {type Ipv6, isLinkLocal, readIp} from '../../wire/ipv6-address.ts'
import {resolveStation, type Station, type StationOrder, type Waker} from './station.ts'

/** What of an order the VM's place changes. */
export interface InPlaceOrder extends StationOrder {
  readonly via: readonly string[]
}

export interface InPlaceStage {
  readonly world: World
  readonly vantage: VantageWorld
  readonly signal: AbortSignal
}

/**
 * Calls `run` with the world as the VM has it, and with the order as it reads there; whatever was set up for that is gone
 * afterwards. @throws Failure in one line where it could not be harmless, before anything is sent.
 */
export async function inVmsPlace<O extends InPlaceOrder, T>(
  order: O,
  inventory: Inventory | undefined,
  {world, vantage, signal}: InPlaceStage,
  run: (world: World, order: O) => Promise<T>,
): Promise<T> {
  for (const text of order.via) expectMac(text, order.portOf, inventory)
  const wake: Waker = (vm, bridges) => askOnBridges(world, vm, bridges, signal)
  const station = await resolveStation(order, inventory, world, vantage, wake)
  const {label, mac, ip, port, segment} = station
  if (ip === undefined) throw usage(`--port-of ${order.portOf}: its address is not known: say IP=${mac}`)
  await refuseRedirected(station, world)
  expectInjectable(station, port!, await vantage.learned(), order.interfaceName !== undefined)
  const known = segment?.gateways ?? (inventory ? allGateways(inventory) : [])
  const gateways = [...known, ...order.via.flatMap((text) => namedByMac(text) ?? [])]
  const place = {
    label,
    port: port!.name,
    vm: {ip, ip6: station.vm?.ip6?.find((each) => !isLinkLocal(each)), mac},
    segment: segment?.prefix,
    gateways,
  }
  const stand = await standIn(world, vantage, place, signal)
  try {
    const here = {...order, interfaceName: port!.name, via: await otherThanInUse(order.via, stand.world)}
    return await run(stand.world, here)
  } finally {
    await stand.close()
  }
}

/** What is sent in its place is redirected as its own is: both ways of a pair would be one. */
async function refuseRedirected({name, mac, segment}: Station, world: World): Promise<void> {
  const redirect = await redirectOf(mac, world)
  if (redirect === undefined) return
  const {says, lift} = redirectText(redirect, {mac, name}, segment?.gateways ?? [])
  throw usage(`${says}: its gateways cannot be compared from its port; ${lift} lifts that, --passive listens`)
}

/** How long a VM that nobody has heard for long may take to answer, ms. */
const WAKE_MS = 500

/** A bridge whose own interface is down is left out: nothing can be sent there. */
export async function askOnBridges(
  world: World,
  vm: {readonly ip: Ipv4; readonly mac: Mac},
  bridges: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const up = new Set((await world.interfaces()).filter((each) => each.up && each.carrier).map(({name}) => name))
  const question = {vm, vlan: undefined, segment: prefixOf(vm.ip, 32), waitMs: WAKE_MS}
  const ask = (interfaceName: string) =>
    askEgress({...question, interfaceName, enough: ({alive}) => alive}, world, signal)
  await Promise.all(bridges.filter((name) => up.has(name)).map(ask))
}

/** A gateway's MAC is not asked for in the VM's place: the answer would go to the VM, and could move its own entry. */
function expectMac(text: string, portOf: string | undefined, inventory: Inventory | undefined): void {
  const named = inventory && allGateways(inventory).some(({name}) => name === text)
  if (named || namedByMac(text)) return
  throw usage(`--via ${text}: its MAC is not asked for in the place of ${portOf}: say IP=MAC, or an inventory name`)
}

/** `10.1.0.254=02:00:00:00:0b:02`. */
function namedByMac(text: string): {readonly ip: Ipv4 | Ipv6; readonly mac: Mac} | undefined {
  const [ipText = '', macText = ''] = text.split('=')
  const ip = readIp(ipText)
  const mac = readMac(macText)
  return ip !== undefined && mac !== undefined ? {ip, mac} : undefined
}

/** Without an inventory all gateways are named, also the one that the VM turns out to use: that is no alternative. */
async function otherThanInUse(via: readonly string[], world: World): Promise<readonly string[]> {
  if (via.length < 2) return via
  const route = await world.routeTo(FAR_AWAY[0]!)
  const [current] = route ? await world.neighbours(route.interface) : []
  return via.filter((text) => namedByMac(text)?.mac !== current?.mac)
}
