// Announces a gateway and, where a VM is named, proves that the VM follows.
import type {Link} from '../../net/packet/link.ts'
import type {World} from '../../net/world.ts'
import {sentTo} from '../../probe/ip-ends.ts'
import {ENOUGH, pause} from '../../probe/schedule.ts'
import type {EchoIdentity, Sighting} from '../../probe/sighting.ts'
import {echoFrame, probeFrame, probeName, readSighting} from '../../probe/vm-watch.ts'
import type {Ipv4, Mac, Prefix} from '../../wire/address.ts'
import type {Vlan} from '../../wire/ethernet.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {AnnouncedGateway, Form} from './announcement.ts'
import {announcementFrame} from './frames.ts'

export interface AnnounceRequest {
  readonly gateway: AnnouncedGateway
  readonly vm?: {readonly ip: Ipv4 | Ipv6; readonly mac: Mac}
  readonly vlan?: Vlan | undefined
  /** The segment, if known: then the VM's ordinary traffic counts as proof too. */
  readonly segment?: Prefix | undefined
  /** Forms of each round, with the offset in ms from which a form joins in. */
  readonly forms: readonly {readonly form: Form; readonly fromMs: number; readonly broadcast?: boolean}[]
  readonly scheduleMs: readonly number[]
  readonly broadcast?: boolean
  /** How long to listen after the last round, ms. */
  readonly listenMs: number
  /** Where the echo claims to come from, if not from the gateway; see `EchoIdentity.from`. */
  readonly echoFrom?: Ipv4 | Ipv6 | undefined
  /**
   * The VM does not run yet: leave the first round in its port's queue, and begin the schedule when it is first heard, at
   * most this many ms later.
   */
  readonly arrivalMs?: number | undefined
}

/** One frame sent or received, for people, JSON and tests. */
export interface FrameEvent {
  readonly direction: 'out' | 'in'
  readonly kind: Form | 'echo' | 'probe' | Sighting['kind']
  readonly atNs: bigint
  /** Destination MAC of what the VM sent. */
  readonly destinationMac?: Mac
  readonly text: string
  readonly bytes: Uint8Array
}

/**
 * `moved`: the VM sends to the announced MAC. `not-moved`: it answers ARP, but was not seen to (a permanent entry, or it
 * drops ICMP). `silent`: nothing came from it. `unchecked`: no VM was named.
 */
export type AnnounceVerdict = 'moved' | 'not-moved' | 'silent' | 'unchecked'

export interface AnnounceReport {
  readonly startedNs: bigint
  readonly events: readonly FrameEvent[]
  readonly verdict: AnnounceVerdict
  /** When a VM that did not run yet was first heard. */
  readonly arrivedNs?: bigint
  /** The MAC the VM was last seen sending to, if it was. */
  readonly gatewayUsed?: Mac
  /** From the first frame to the proof, ms. */
  readonly movedAfterMs?: number
  /** Where the VM last sent traffic of its own, and for whom. */
  readonly spoke?: {readonly mac: Mac; readonly destination: Ipv4 | Ipv6}
}

/**
 * Sends the rounds of the schedule, ending early once the VM is seen to follow.
 * Aborting ends it between frames and throws the signal's reason.
 */
export async function announce(
  link: Link,
  world: World,
  request: AnnounceRequest,
  signal?: AbortSignal,
): Promise<AnnounceReport> {
  const run = startRun(link, world, request)
  try {
    for (const [round, atMs] of request.scheduleMs.entries()) {
      await run.until(atMs, signal)
      if (run.moved()) break
      run.send(round, atMs)
      if (round > 0 || request.arrivalMs === undefined) continue
      // A QEMU that waits for its guest takes one frame out of the queue, and drops it: so there are two.
      run.send(round, atMs)
      await run.arrival(request.arrivalMs, signal)
      if (!run.arrived()) return run.report()
      // Its arrival may have been told by its hypervisor (RARP), before it takes anything out of the queue itself.
      if (!run.moved()) run.send(round, atMs)
    }
    if (request.vm) await run.until((request.scheduleMs.at(-1) ?? 0) + request.listenMs, signal)
    return run.report()
  } finally {
    run.stop()
  }
}

function startRun(link: Link, world: World, request: AnnounceRequest) {
  const vm = request.vm && {...request.vm, vlan: request.vlan}
  const identifier = Math.floor(world.random() * 0x10000)
  const echo: EchoIdentity = {gatewayIp: request.gateway.ip, identifier, from: request.echoFrom}
  const events: FrameEvent[] = []
  const startedNs = world.now()
  /** What the schedule counts from. */
  let originNs = startedNs
  let arrivedNs: bigint | undefined
  let last: Sighting | undefined
  let movedAtNs: bigint | undefined
  let spoke: AnnounceReport['spoke']
  const wake = new AbortController()
  const heard = new AbortController()
  // Its port went away: the hypervisor gave up, and it does not come.
  const unsubscribeErrors = link.onError(() => heard.abort())

  const unsubscribe =
    vm &&
    link.onFrame((received) => {
      if (arrivedNs === undefined && isFrom(received.bytes, vm.mac)) {
        arrivedNs = received.timestampNs
        heard.abort(ENOUGH)
      }
      const sighting = readSighting(received, vm, echo, request.segment)
      if (!sighting) return
      if (sighting.kind !== 'traffic' || sighting.destinationMac !== last?.destinationMac)
        events.push(incoming(sighting))
      if (sighting.kind === 'arp-reply' || sighting.kind === 'nd-reply' || sighting.kind === 'alive') return
      last = sighting
      const destination = sighting.kind === 'traffic' ? sentTo(received.bytes) : undefined
      if (destination !== undefined) spoke = {mac: sighting.destinationMac, destination}
      if (sighting.destinationMac !== request.gateway.mac || movedAtNs !== undefined) return
      movedAtNs = sighting.atNs
      wake.abort(ENOUGH)
    })

  // The VM answers `ask` to the announced MAC. Where that is not ours its answer may not pass here.
  const hearsAnswer = request.gateway.mac === link.mac && request.forms.some(({form}) => form === 'ask')
  const out = (kind: FrameEvent['kind'], bytes: Uint8Array, text: string): void => {
    events.push({direction: 'out', kind, atNs: link.send(bytes), text, bytes})
  }
  return {
    moved: () => movedAtNs !== undefined,
    arrived: () => arrivedNs !== undefined,
    stop: () => {
      unsubscribe?.()
      unsubscribeErrors()
    },
    /** Waits until `atMs` of the schedule, or until the VM has moved. */
    until: (atMs: number, signal?: AbortSignal) =>
      pause(world, atMs - Number(world.now() - originNs) / 1e6, wake.signal, signal),
    /** Waits until the VM is heard or its port is gone, from when on the schedule then counts. */
    async arrival(ms: number, signal?: AbortSignal): Promise<void> {
      await pause(world, ms, heard.signal, signal)
      originNs = arrivedNs ?? originNs
    },
    /** One round: the announcements, and right behind them the question which MAC the VM now uses. */
    send(round: number, atMs: number): void {
      for (const {form, fromMs, broadcast = request.broadcast ?? false} of request.forms) {
        if (atMs < fromMs) continue
        const frame = announcementFrame(form, request.gateway, {...request, broadcast}, link.mac)
        out(form, frame.bytes, frame.text)
      }
      if (!vm) return
      out(
        'echo',
        echoFrame(link, vm, echo, round + 1),
        `${echo.from ?? echo.gatewayIp} pings ${vm.ip}, sequence ${round + 1}`,
      )
      if (!hearsAnswer) out('probe', probeFrame(link, vm), `${probeName(vm)}: who has ${vm.ip}`)
    },
    report(): AnnounceReport {
      const answered = last !== undefined || events.some((event) => event.direction === 'in')
      return {
        startedNs,
        events: events.toSorted((a, b) => (a.atNs < b.atNs ? -1 : a.atNs > b.atNs ? 1 : 0)),
        verdict: !vm ? 'unchecked' : movedAtNs !== undefined ? 'moved' : answered ? 'not-moved' : 'silent',
        ...(last && {gatewayUsed: last.destinationMac}),
        ...(spoke && {spoke}),
        ...(request.arrivalMs !== undefined && arrivedNs !== undefined && {arrivedNs}),
        ...(movedAtNs !== undefined && {movedAfterMs: Number(movedAtNs - (events[0]?.atNs ?? startedNs)) / 1e6}),
      }
    },
  }
}

function incoming(sighting: Sighting): FrameEvent {
  const {kind, atNs, destinationMac, frame} = sighting
  const text = {
    alive: 'the VM answers the probe',
    'arp-reply': `the VM answers to ${destinationMac}`,
    'nd-reply': `the VM answers to ${destinationMac}`,
    'echo-reply': `the VM's echo reply goes to ${destinationMac}`,
    traffic: `the VM's own traffic goes to ${destinationMac}`,
  }[kind]
  return {direction: 'in', kind, atNs, destinationMac, text, bytes: frame}
}

/** Whether a frame's Ethernet source is this MAC. */
function isFrom(frame: Uint8Array, mac: Mac): boolean {
  for (let i = 0; i < 6; i++) if (frame[6 + i] !== Number.parseInt(mac.slice(i * 3, i * 3 + 2), 16)) return false
  return true
}
