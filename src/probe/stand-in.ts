// The world as a VM has it, seen from its hypervisor: what is sent goes into the VM's own bridge port as if the VM had sent
// it, what comes is read as it leaves for the VM, and which gateway the VM uses is asked of the VM itself.
import type {EgressSeen} from '../domain/proof/proof.ts'
import {Failure, usage} from '../errors.ts'
import {interfaceIn} from '../net/ip.ts'
import {anyOf, macTests, outgoing} from '../net/packet/bpf.ts'
import type {Link, LinkOptions, ReceivedFrame} from '../net/packet/link.ts'
import type {PortInjector} from '../net/packet/port-injector.ts'
import type {VantageWorld} from '../net/vantage-world.ts'
import type {World} from '../net/world.ts'
import {type Ipv4, type Mac, type Prefix, prefixOf} from '../wire/address.ts'
import {ifWellFormed} from '../wire/error.ts'
import {parseEthernetHeader} from '../wire/ethernet.ts'
import {type Ipv6, isVersion6} from '../wire/ipv6-address.ts'
import {askEgress, type Egress, FAR_AWAY, FAR_AWAY6} from './egress.ts'

/** Whose place is taken, and where. */
export interface StandInPlace {
  /** For messages. */
  readonly label: string
  readonly port: string
  readonly vm: {readonly ip: Ipv4; readonly ip6: Ipv6 | undefined; readonly mac: Mac}
  /** Of its segment, if known: without it only its answers tell which gateway it uses, not its traffic. */
  readonly segment: Prefix | undefined
  /** It was heard here a moment ago, or its place is taken on trust: it is not asked whether it is there. */
  readonly sure?: boolean | undefined
  /** Gateways whose MACs are known, by which the one in use gets its address. */
  readonly gateways: readonly KnownGateway[]
}

/** A gateway, with its IPv6 addresses if it has any that are known. */
interface KnownGateway {
  readonly ip: Ipv4 | Ipv6
  readonly mac: Mac
  readonly ip6?: readonly Ipv6[] | undefined
}

interface Hop {
  readonly ip: Ipv4 | Ipv6
  readonly mac: Mac
}

export interface StandIn {
  readonly world: World
  close(): Promise<void>
}

/**
 * Makes sure that the VM is at the port, then opens the way into it. No MAC moves by what is sent, since the VM's own
 * frames come in there too; should the VM begin to speak elsewhere, nothing more is sent.
 *
 * @throws Failure `silent` if the VM does not answer at its port, `privilege` and `runtime` as `VantageWorld.injector`.
 */
export async function standIn(
  world: World,
  vantage: VantageWorld,
  place: StandInPlace,
  signal: AbortSignal,
): Promise<StandIn> {
  const {label, port, vm} = place
  if (!place.sure) await expectAlive(world, place, signal)
  const facts = interfaceIn(await world.interfaces(), port)
  const injector = await vantage.injector(facts)
  const watch = await watchForMove(world, place).catch((error: unknown) => {
    injector.close()
    throw error
  })
  const prefixLength = place.segment?.length ?? 32
  const hops = new Map<Ipv4 | Ipv6, Hop>()
  return {
    world: {
      ...world,
      openLink: async (name, options) =>
        name === port
          ? linkInPlace(await world.openLink(port, toVm(options)), vm.mac, injector, watch)
          : world.openLink(name, options),
      interfaces: async () => [
        {
          ...{...facts, mac: vm.mac, addresses: [{ip: vm.ip, prefixLength}]},
          addresses6: vm.ip6 === undefined ? [] : [{ip: vm.ip6, prefixLength: 128}],
        },
      ],
      async routeTo(destination) {
        const source = ownAddress(place, destination)
        const mac = await macInUse(world, place, source, destination, signal)
        if (mac === undefined) return undefined
        const hop = {mac, ip: neededGateway(place, mac, source)}
        hops.set(hop.ip, hop)
        return {gateway: hop.ip, interface: port, source, redirected: false, expiresS: undefined}
      },
      // What routing policies the VM has is not seen from here.
      routingFacts: async () => ({nextHops: [], otherDefaults: [], rules: []}),
      tableGateway: async () => undefined,
      neighbours: async () => [...hops.values()].map((hop) => ({...hop, state: 'REACHABLE'})),
      async resolveNeighbour(ip) {
        const hop = hops.get(ip)
        if (hop) return {...hop, state: 'REACHABLE'}
        // Asked for in the VM's place, the answer would be the VM's to learn from: it could move the VM's own entry.
        throw usage(`the MAC of ${ip} is not asked for in ${label}'s place: say ${ip}=MAC, or name it in the inventory`)
      },
      // What the VM itself accepts is not seen from here.
      redirectFacts: async () => ({acceptRedirects: undefined, rawSocketsOpen: 0}),
    },
    async close() {
      injector.close()
      await watch.close()
    },
  }
}

/** @throws Failure `silent` if the VM does not answer at its port. */
export async function expectAlive(world: World, place: StandInPlace, signal: AbortSignal): Promise<void> {
  const {alive} = await askVm(world, place, place.vm.ip, [], (egress) => egress.alive, signal)
  if (alive) return
  throw new Failure('silent', `${place.label} does not answer at ${place.port}: nothing is sent in its place`)
}

const toVm = (options: LinkOptions = {}): LinkOptions => ({...options, promiscuous: true, outgoing: true})

function askVm(
  world: World,
  {port, vm, segment}: StandInPlace,
  ip: Ipv4 | Ipv6,
  destinations: readonly (Ipv4 | Ipv6)[],
  enough: (seen: EgressSeen) => boolean,
  signal: AbortSignal,
): Promise<Egress> {
  const here = segment ?? prefixOf(vm.ip, 32)
  const station = {ip, mac: vm.mac}
  return askEgress(
    {interfaceName: port, vm: station, vlan: undefined, segment: here, destinations, enough},
    world,
    signal,
  )
}

/** The VM's address of the destination's family. @throws Failure `usage` if none is known. */
function ownAddress({vm, label}: StandInPlace, destination: Ipv4 | Ipv6): Ipv4 | Ipv6 {
  if (!isVersion6(destination)) return vm.ip
  if (vm.ip6 !== undefined) return vm.ip6
  throw usage(`${destination}: no IPv6 address of ${label} is known: name it in the inventory (vms, ip6)`)
}

/** The MAC that the VM sends to what is for `destination`; undefined if it has no way there. */
async function macInUse(
  world: World,
  place: StandInPlace,
  source: Ipv4 | Ipv6,
  destination: Ipv4 | Ipv6,
  signal: AbortSignal,
): Promise<Mac | undefined> {
  const answered = ({paths}: EgressSeen): boolean =>
    paths.some((path) => path.destination === destination && path.by === 'echo')
  const {paths, alive} = await askVm(world, place, source, [destination], answered, signal)
  const own = paths.filter((path) => path.by === 'echo' || place.segment !== undefined)
  const there = own.find((path) => path.destination === destination)
  if (there) return there.mac
  // It answers no echo that comes from there: what it does with all others is what it does with this one.
  const far: readonly string[] = [...FAR_AWAY, ...FAR_AWAY6]
  const elsewhere = new Set(
    own.filter((path) => far.includes(path.destination) || path.by === 'traffic').map(({mac}) => mac),
  )
  if (elsewhere.size === 1) return [...elsewhere][0]
  if (!alive) return undefined
  throw new Failure(
    'runtime',
    `${place.label} answers no echo, and sends nothing off its segment: which gateway it uses cannot be seen from here`,
  )
}

/** The gateway's address of the family of `source`, or the one that it has. */
function neededGateway({gateways, label}: StandInPlace, mac: Mac, source: Ipv4 | Ipv6): Ipv4 | Ipv6 {
  const found = gateways.filter((gateway) => gateway.mac === mac)
  const all = found.flatMap(({ip, ip6 = []}) => [...ip6, ip])
  const address = all.find((ip) => isVersion6(ip) === isVersion6(source)) ?? all[0]
  if (address !== undefined) return address
  throw usage(`${label} sends to ${mac}, which is no gateway of the inventory: name it with --via IP=${mac} too`)
}

interface MoveWatch {
  /** What ends the run: the VM speaks elsewhere. */
  readonly moved: () => Failure | undefined
  onMove(listener: (why: Failure) => void): () => void
  close(): Promise<void>
}

/** A frame of the VM that comes to the port from the bridge: the VM is somewhere else now. */
async function watchForMove(world: World, {label, port, vm}: StandInPlace): Promise<MoveWatch> {
  const filter = anyOf([[outgoing, ...macTests('source', vm.mac)]])
  const link = await world.openLink(port, {filter, promiscuous: true, outgoing: true})
  const listeners = new Set<(why: Failure) => void>()
  let moved: Failure | undefined
  link.onFrame(({packetType}) => {
    if (packetType !== 'outgoing' || moved !== undefined) return
    moved = new Failure('runtime', `${label} speaks elsewhere now: nothing more is sent in its place at ${port}`)
    for (const listener of listeners) listener(moved)
  })
  return {
    moved: () => moved,
    onMove(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close: () => link.close(),
  }
}

/** The port's link with the VM's part in it: its frames are those for the VM, and what it sends comes from the VM. */
function linkInPlace(link: Link, mac: Mac, injector: PortInjector, watch: MoveWatch): Link {
  const send = (frame: Uint8Array): bigint => {
    const moved = watch.moved()
    if (moved) throw moved
    return injector.inject(frame)
  }
  return {
    ...link,
    mac,
    send,
    sendMany(frames) {
      for (const frame of frames) send(frame)
      return frames.length
    },
    onFrame: (listener) => link.onFrame((frame) => (isFor(frame, mac) ? listener(frame) : undefined)),
    onError(listener) {
      const stops = [link.onError(listener), watch.onMove(listener)]
      return () => {
        for (const stop of stops) stop()
      }
    },
  }
}

const isFor = ({packetType, bytes}: ReceivedFrame, mac: Mac): boolean =>
  packetType === 'outgoing' && ifWellFormed(() => parseEthernetHeader(bytes).destination) === mac
