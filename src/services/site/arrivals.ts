// VMs that come to the ports of this host and leave them: what announces them, what bridges learn, and ports that go.
import {allGateways} from '../../domain/inventory/site.ts'
import type {Dispute} from '../../domain/movement/arrivals.ts'
import type {Movement} from '../../domain/movement/movement.ts'
import {ANNOUNCEMENTS} from '../../net/packet/bpf.ts'
import type {ReceivedFrame} from '../../net/packet/link.ts'
import type {World} from '../../net/world.ts'
import {type Mac, macText} from '../../wire/address.ts'
import {parseArp} from '../../wire/arp.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_RARP, parseEthernet} from '../../wire/ethernet.ts'
import {makeBell} from '../bell.ts'
import {arrivalPorts, type PortsQuestion, type WatchedPort} from './arrival-ports.ts'
import {type Heard, type KnownVms, minds, whereabouts} from './whereabouts.ts'

export interface ArrivalsRequest extends KnownVms {
  /** Names and patterns of ports, `vnet*`, those that appear later too; a bridge means its ports that lead to VMs. */
  readonly ports: readonly string[]
}

export interface ArrivalsStage {
  readonly world: World
  /** For whoever reads the log: ports that come and go, what was lost. */
  log(line: string): void
  onDispute?(dispute: Dispute): void
}

export interface Arrivals extends AsyncDisposable {
  /** Takes another inventory, site or function; what is known of VMs that stay is kept. */
  expect(next: Pick<ArrivalsRequest, 'inventory' | 'site' | 'siteOf'>): void
  /** Where VMs are heard now. */
  ports(): readonly string[]
}

/** Frames that wait for a look at the interfaces. */
const WAITING = 256
/** Between two looks at the interfaces, ms: where somebody tells that they changed, and where nobody does. */
const LOOK_MS = {told: 10_000, untold: 1000}

/**
 * Tells of arrivals and departures until it is disposed of. A VM that was last known to be at another site and announces
 * itself at a local port is told of at once. The `atMs` of a movement is when the frame came in.
 * @throws Failure `privilege` without CAP_NET_RAW, `runtime` for anything else the kernel refuses.
 */
export async function watchArrivals(
  first: ArrivalsRequest,
  stage: ArrivalsStage,
  onMovement: (movement: Movement) => void,
): Promise<Arrivals> {
  const {world, log} = stage
  let request = first
  await using open = new AsyncDisposableStack()
  const ending = new AbortController()
  const nowMs = (): number => Number(world.monotonic()) / 1e6
  const known = whereabouts(request, {
    ...{world, log, onMovement, signal: ending.signal},
    onDispute: (dispute) => stage.onDispute?.(dispute),
  })
  const looking = makeBell(world)
  let ports = arrivalPorts(questionOf(request), [], [])
  const gatewaysAt = new Map<Mac, string>()
  let others = otherGateways(request)
  let waiting: Heard[] = []
  let lost = false

  const isOfInterest = (mac: Mac): boolean => known.isOfInterest(mac) || others.has(mac)
  const hear = (heard: Heard): void => {
    if (!ports.isKnown(heard.index)) {
      if (waiting.length < WAITING) waiting.push(heard)
      looking.ring()
      return
    }
    if (others.has(heard.mac) && gatewaysAt.get(heard.mac) !== ports.nameOf(heard.index)) {
      gatewaysAt.set(heard.mac, ports.nameOf(heard.index))
      looking.ring()
    }
    known.heard(heard, ports)
  }
  const onFrame = (frame: ReceivedFrame): void => {
    if (!isOfInterest(sourceOf(frame.bytes)) && !minds(request)) return
    const agoMs = Number(world.now() - frame.timestampNs) / 1e6
    const heard = readAnnouncement(frame)
    if (heard) hear({...heard, index: frame.interfaceIndex ?? 0, atMs: nowMs() - Math.max(0, agoMs)})
  }
  const look = async (): Promise<void> => {
    const before = ports.local
    ports = arrivalPorts(questionOf(request), await world.interfaces(), pairs(gatewaysAt))
    known.portsChanged(before, ports.local)
    tellPorts(before, ports.local, log)
    const again = waiting
    waiting = []
    for (const each of again) if (ports.isKnown(each.index)) hear(each)
  }
  /** What bridges have learned already, or while nobody could be told. */
  const readTables = async (): Promise<void> => {
    const indices = new Map((await world.interfaces()).map(({name, index}) => [name, index]))
    for (const bridge of ports.bridges) {
      for (const {mac, port, vlan, own} of (await world.learned?.(bridge)) ?? []) {
        const index = indices.get(port)
        if (index !== undefined && own !== true) hear({mac, sign: 'fdb', ip: undefined, index, vlan, atMs: nowMs()})
      }
    }
  }

  // Ears first: what comes in while the tables are read is not missed.
  for (const ear of [
    await world.hearEverywhere?.(ANNOUNCEMENTS, onFrame),
    await world.learnedChanges?.(
      ({mac, interfaceIndex: index, vlan}) => {
        if (isOfInterest(mac)) hear({mac, sign: 'fdb', ip: undefined, index, vlan, atMs: nowMs()})
      },
      () => {
        lost = true
        looking.ring()
      },
    ),
    await world.linkChanges?.(looking.ring),
  ])
    open.defer(async () => ear?.close())
  await look()
  await readTables()
  // By what the tables say of gateways, ports that lead to another site are known.
  await look()

  const running = (async () => {
    while (!ending.signal.aborted) {
      await looking.rings(world.linkChanges ? LOOK_MS.told : LOOK_MS.untold, ending.signal)
      if (ending.signal.aborted) return
      try {
        await look()
        if (lost) {
          lost = false
          log('more was learned by the bridges than could be read: their tables are read again')
          await readTables()
        }
      } catch (error) {
        log(`interfaces cannot be looked at: ${(error as Error).message}`)
      }
    }
  })()
  open.defer(async () => {
    ending.abort(new Error('the watch ended'))
    await running
  })
  const ears = open.move()
  return {
    expect(next) {
      request = {...request, ...next}
      others = otherGateways(request)
      known.expect(request)
      looking.ring()
    },
    ports: () => ports.local.map(({name}) => name),
    [Symbol.asyncDispose]: () => ears.disposeAsync(),
  }
}

const questionOf = ({ports, site, inventory}: ArrivalsRequest): PortsQuestion => ({meant: ports, site, inventory})

const pairs = (map: ReadonlyMap<Mac, string>) => [...map].map(([mac, port]) => ({mac, port}))

/** MACs of gateways of other sites: where they are learned, ports lead there. Shared ones tell nothing. */
function otherGateways({inventory, site}: ArrivalsRequest): ReadonlySet<Mac> {
  if (inventory === undefined || site === undefined) return new Set()
  const all = allGateways(inventory)
  const own = new Set(all.filter((each) => each.site === site).map(({mac}) => mac))
  return new Set(all.map(({mac}) => mac).filter((mac) => !own.has(mac)))
}

function tellPorts(before: readonly WatchedPort[], now: readonly WatchedPort[], log: (line: string) => void): void {
  const has = (ports: readonly WatchedPort[], {index}: WatchedPort): boolean =>
    ports.some((each) => each.index === index)
  const names = (ports: readonly WatchedPort[]): string => ports.map(({name}) => name).join(' ')
  const come = now.filter((each) => !has(before, each))
  const gone = before.filter((each) => !has(now, each))
  if (come.length > 0) log(`watching ${names(come)}`)
  if (gone.length > 0) log(`gone: ${names(gone)}`)
}

/** Of a frame of at least a header's length, as the filter lets through. */
const sourceOf = (bytes: Uint8Array): Mac =>
  macText((bytes[6]! << 8) | bytes[7]!, ((bytes[8]! << 24) | (bytes[9]! << 16) | (bytes[10]! << 8) | bytes[11]!) >>> 0)

function readAnnouncement({bytes}: ReceivedFrame): Omit<Heard, 'index' | 'atMs'> | undefined {
  return ifWellFormed(() => {
    const {source: mac, etherType, vlan, payload} = parseEthernet(bytes)
    // A priority tag alone is no VLAN.
    const tag = vlan?.id === 0 ? undefined : vlan?.id
    if (etherType === ETHERTYPE_RARP) return {mac, sign: 'rarp', ip: undefined, vlan: tag}
    const {senderMac, senderIp: ip} = parseArp(payload)
    // Who announces an address of another MAC speaks for somebody else.
    return {mac, sign: senderMac === mac ? 'arp' : 'frame', ip, vlan: tag}
  })
}
