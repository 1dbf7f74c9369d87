// Where do the VM's packets leave the bridge to? The VM cannot say: to it nothing has changed. So echoes from off the
// segment make it send some, and what comes out of the bridge's other ports is looked at.
import {type EgressSeen, type PathSeen, spansBothHalves} from '../../domain/proof/proof.ts'
import type {Link} from '../../net/packet/link.ts'
import {FAR_AWAY, FAR_AWAY6} from '../../probe/egress.ts'
import {sentTo} from '../../probe/ip-ends.ts'
import {startSchedule} from '../../probe/schedule.ts'
import type {Sighting, WatchedVm} from '../../probe/sighting.ts'
import {echoFrame, probeFrame, readSighting, vmFilter} from '../../probe/vm-watch.ts'
import {type Ipv4, type Mac, readPrefix} from '../../wire/address.ts'
import {type Ipv6, isVersion6} from '../../wire/ipv6-address.ts'
import {vlanOf} from '../scene.ts'
import type {Stage} from '../strategy.ts'
import type {MacProxyPlan} from './plan.ts'

/** Questions go out at these offsets, ms, until what is enough was seen to leave. */
const ROUNDS_MS = [0, 100, 300, 700, 1500]
const LISTEN_MS = 1000

export interface Leaving {
  /** The VM's packets as they leave the bridge. */
  readonly egress: EgressSeen
  /** The MAC to which the VM itself sends them. */
  readonly sends: Mac | null
}

export interface LeavingQuestion {
  /** Seeing packets for this MAC leave ends the question; undefined: any. */
  readonly wanted: Mac | undefined
  /** How long to listen for a VM that answers no echo, ms. */
  readonly listenMs: number
}

/** Asks by one address of the VM, of either family. */
export async function askLeaving(
  plan: MacProxyPlan,
  ip: Ipv4 | Ipv6,
  {wanted, listenMs}: LeavingQuestion,
  {world, signal, observe}: Stage,
): Promise<Leaving> {
  const vm: WatchedVm = {ip, mac: plan.vm.mac, vlan: vlanOf(plan)}
  const first = Math.floor(world.random() * 0x10000)
  const places: readonly string[] = isVersion6(ip) ? FAR_AWAY6 : FAR_AWAY
  const echoes = places.map((from, i) => ({gatewayIp: from, identifier: (first + i) & 0xffff, from}))
  const segment = readPrefix(plan.segment.prefix)
  const done = new AbortController()
  const paths = new Map<string, PathSeen>()
  let sends: Mac | null = null
  let alive = false
  const read = (frame: Parameters<typeof readSighting>[0]): Sighting | undefined =>
    echoes.map((echo) => readSighting(frame, vm, echo, segment)).find((seen) => seen !== undefined)
  const isEnough = (): boolean =>
    spansBothHalves(
      [...paths.values()].filter(({by, mac}) => by === 'echo' && (wanted === undefined || mac === wanted)),
    )

  await using open = new AsyncDisposableStack()
  const listen = async (name: string, take: (seen: Sighting, bytes: Uint8Array) => void): Promise<Link> => {
    const link = open.use(await world.openLink(name, {filter: vmFilter(vm, true), promiscuous: true, outgoing: true}))
    link.onFrame((frame) => {
      const seen = read(frame)
      if (seen !== undefined) take(seen, frame.bytes)
    })
    return link
  }
  const port = await listen(plan.port, ({kind, destinationMac}) => {
    alive = true
    if (kind === 'echo-reply' || kind === 'traffic') sends = destinationMac
  })
  for (const name of plan.watch) {
    await listen(name, ({kind, destinationMac: mac, atNs}, bytes) => {
      const destination = sentTo(bytes)
      if (destination === undefined || (kind !== 'echo-reply' && kind !== 'traffic')) return
      if (paths.get(destination)?.mac !== mac)
        observe({atNs, text: `a packet of ${plan.vm.name} for ${destination} leaves ${name} for ${mac}`})
      const by = kind === 'echo-reply' || places.includes(destination) ? 'echo' : 'traffic'
      paths.set(destination, {destination, mac, by, answered: false})
      if (isEnough()) done.abort()
    })
  }
  const schedule = startSchedule(world, signal)
  const until = (atMs: number): Promise<void> => schedule.until(atMs, done.signal)
  for (const [round, atMs] of ROUNDS_MS.entries()) {
    await until(atMs)
    if (done.signal.aborted) break
    for (const echo of echoes) port.send(echoFrame(port, vm, echo, round + 1))
    port.send(probeFrame(port, vm))
  }
  await until(ROUNDS_MS.at(-1)! + LISTEN_MS)
  if (alive && paths.size === 0) await until(ROUNDS_MS.at(-1)! + LISTEN_MS + listenMs)
  return {
    egress: {
      family: isVersion6(ip) ? 6 : 4,
      paths: [...paths.values()],
      alive,
      rttMs: null,
      askedFor: [],
      elsewhere: false,
    },
    sends,
  }
}
