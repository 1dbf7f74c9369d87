// Where do the VM's packets leave the bridge to? The VM cannot say: to it nothing has changed. So echoes from off the
// segment make it send some, and what comes out of the bridge's other ports is looked at.
import {type EgressSeen, isSettled, type PathSeen} from '../../domain/proof/proof.ts'
import type {Link, ReceivedFrame} from '../../net/packet/link.ts'
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
  /** How long to ask, ms at most; default: 2.5 s. */
  readonly waitMs?: number | undefined
}

/** Asks by one address of the VM, of either family. */
export async function askLeaving(
  plan: MacProxyPlan,
  ip: Ipv4 | Ipv6,
  question: LeavingQuestion,
  stage: Stage,
): Promise<Leaving> {
  const {world, signal} = stage
  const ears = makeEars(plan, ip, question.wanted, stage)
  const carrying = (await world.interfaces()).filter(({carrier}) => carrier).map(({name}) => name)
  // What is unplugged says nothing, and nothing leaves by it.
  if (!carrying.includes(plan.port)) return ears.seen()
  const done = new AbortController()
  await using open = new AsyncDisposableStack()
  const options = {filter: vmFilter(ears.vm, true), promiscuous: true, outgoing: true}
  const listen = async (name: string, take: (seen: Sighting, bytes: Uint8Array) => void): Promise<Link> => {
    const link = open.use(await world.openLink(name, options))
    link.onFrame((frame) => {
      const sighting = ears.read(frame)
      if (sighting !== undefined) take(sighting, frame.bytes)
      if (ears.isEnough()) done.abort()
    })
    return link
  }
  const port = await listen(plan.port, ears.sent)
  for (const name of plan.watch.filter((each) => carrying.includes(each)))
    await listen(name, (sighting, bytes) => ears.left(name, sighting, bytes))
  const schedule = startSchedule(world, signal)
  const until = (atMs: number): Promise<void> => schedule.until(atMs, done.signal)
  const endMs = question.waitMs ?? ROUNDS_MS.at(-1)! + LISTEN_MS
  for (const [round, atMs] of ROUNDS_MS.filter((each) => each < endMs).entries()) {
    await until(atMs)
    if (done.signal.aborted) break
    for (const echo of ears.echoes) port.send(echoFrame(port, ears.vm, echo, round + 1))
    ears.asked(port.send(probeFrame(port, ears.vm)))
  }
  await until(endMs)
  if (ears.isMute()) await until(endMs + question.listenMs)
  return ears.seen()
}

/** Takes frames for what they say about one address of the VM, and remembers it. */
function makeEars(plan: MacProxyPlan, ip: Ipv4 | Ipv6, wanted: Mac | undefined, {world, observe}: Stage) {
  const vm: WatchedVm = {ip, mac: plan.vm.mac, vlan: vlanOf(plan)}
  const first = Math.floor(world.random() * 0x10000)
  const places: readonly string[] = isVersion6(ip) ? FAR_AWAY6 : FAR_AWAY
  const echoes = places.map((from, i) => ({gatewayIp: from, identifier: (first + i) & 0xffff, from}))
  const segment = readPrefix(plan.segment.prefix)
  const paths = new Map<string, PathSeen>()
  const askedNs: bigint[] = []
  let sends: Mac | null = null
  let alive = false
  let rttMs: number | null = null
  return {
    ...{vm, echoes},
    asked: (atNs: bigint): void => void askedNs.push(atNs),
    read: (frame: ReceivedFrame): Sighting | undefined =>
      echoes.map((echo) => readSighting(frame, vm, echo, segment)).find((seen) => seen !== undefined),
    /** At the VM's own port. */
    sent({kind, destinationMac, atNs}: Sighting): void {
      alive = true
      const sent = askedNs.findLast((each) => each <= atNs)
      if (kind === 'echo-reply' || kind === 'traffic') sends = destinationMac
      else if (sent !== undefined) rttMs = Math.min(rttMs ?? Number.POSITIVE_INFINITY, Number(atNs - sent) / 1e6)
    },
    /** At another port, or at the bridge itself. */
    left(name: string, {kind, destinationMac: mac, atNs}: Sighting, bytes: Uint8Array): void {
      const destination = sentTo(bytes)
      if (destination === undefined || (kind !== 'echo-reply' && kind !== 'traffic')) return
      if (paths.get(destination)?.mac !== mac)
        observe({atNs, text: `a packet of ${plan.vm.name} for ${destination} leaves ${name} for ${mac}`})
      const by = kind === 'echo-reply' || places.includes(destination) ? 'echo' : 'traffic'
      paths.set(destination, {destination, mac, by, answered: false})
    },
    isEnough: (): boolean => isSettled([...paths.values()], wanted),
    /** It lives, and what it sends by itself is all that it will tell. */
    isMute: (): boolean => alive && sends === null && paths.size === 0,
    seen(): Leaving {
      const family = isVersion6(ip) ? 6 : 4
      const elsewhere = sends !== null && paths.size === 0
      return {egress: {family, paths: [...paths.values()], alive, rttMs, askedFor: [], elsewhere}, sends}
    },
  }
}
