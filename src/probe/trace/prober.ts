// Sends probes through chosen first hops and matches each with its answer, by identity and sequence, never by the
// gateway's MAC. One prober serves all destinations and protocols of a run on one interface.
import type {ProbeProtocol} from '../../domain/trace/evidence.ts'
import type {Link, ReceivedFrame} from '../../net/packet/link.ts'
import type {World} from '../../net/world.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {type ClockReading, clockReading, steppedBetween} from './clock.ts'
import type {Heard, Probe, ProbeCodec, ProbeReply} from './probe.ts'

/** A redirect that a probe caused. */
export interface RedirectHeard {
  /** When it was heard last, on the monotonic clock, ns. */
  readonly atNs: bigint
  readonly destination: Ipv4
  readonly from: Ipv4
  readonly mac: Mac
  readonly gateway: Ipv4
}

export interface Prober {
  /** Sends one probe now. Resolves to its answer, or to undefined when `timeoutMs` has passed; rejects if it cannot be sent. */
  send(probe: Probe): Promise<ProbeReply | undefined>
  /** Redirects that probes of this run have caused so far; those that say the same to the same destination once. */
  readonly redirects: () => readonly RedirectHeard[]
  /** When an answer was dropped because the clock was set meanwhile, on the monotonic clock, ns. */
  readonly clockSteps: readonly bigint[]
  stop(): void
}

export interface ProberOptions {
  readonly source: Ipv4
  readonly codecs: readonly ProbeCodec[]
  readonly timeoutMs: number
}

interface Waiting {
  readonly probe: Probe
  readonly sequence: number
  answer(heard: Heard, atNs: bigint): void
}

export function startProber(link: Link, world: World, {source, codecs, timeoutMs}: ProberOptions): Prober {
  const from = {mac: link.mac, ip: source}
  const waiting = waitingRoom()
  const redirects = new Map<string, RedirectHeard>()
  const clockSteps: bigint[] = []
  let sequence = 0

  const unsubscribe = link.onFrame(({bytes, timestampNs}: ReceivedFrame) => {
    for (const codec of codecs) {
      const heard = codec.read(bytes, from)
      if (heard === undefined) continue
      const found = waiting.find(codec.protocol, heard)
      if (heard.kind !== 'redirect') found?.answer(heard, timestampNs)
      else if (found !== undefined || waiting.owns(codec.protocol, heard)) {
        const redirect = redirectOf(heard, world.monotonic())
        redirects.set([redirect.destination, redirect.from, redirect.mac, redirect.gateway].join(), redirect)
      }
      return
    }
  })

  return {
    redirects: () => [...redirects.values()],
    clockSteps,
    stop() {
      unsubscribe()
      waiting.clear()
    },
    send(probe) {
      const codec = codecs.find((each) => each.protocol === probe.protocol && each.speaks(probe.destination))
      if (codec === undefined) throw new RangeError(`no codec for ${probe.protocol} to ${probe.destination}`)
      sequence = (sequence + 1) & 0xffff
      const mine = sequence
      const frame = codec.frame(from, probe, mine)
      return new Promise((resolve, reject) => {
        let sentNs = 0n
        let clock: ClockReading
        const answered = new AbortController()
        const leave = waiting.enter({
          probe,
          sequence: mine,
          answer(heard, atNs) {
            leave()
            answered.abort()
            const clockStepped = steppedBetween(clock, clockReading(world))
            if (clockStepped) clockSteps.push(world.monotonic())
            const rttMs = Math.max(0, Number(atNs - sentNs) / 1e6)
            resolve({...heard, rttMs, clockStepped} as ProbeReply)
          },
        })
        try {
          clock = clockReading(world)
          sentNs = link.send(frame)
        } catch (error) {
          leave()
          reject(error)
          return
        }
        world.sleep(timeoutMs, answered.signal).then(
          () => {
            leave()
            resolve(undefined)
          },
          () => {},
        )
      })
    },
  }
}

const redirectOf = ({destination, source, returnMac, error}: Heard, atNs: bigint): RedirectHeard => ({
  atNs,
  destination,
  from: source,
  mac: returnMac,
  gateway: error!.gateway!,
})

/** Probes that wait for their answers, by protocol and identity. Identities stay ours when all is answered. */
function waitingRoom() {
  const rooms = new Map<string, Waiting[]>()
  const keyOf = (protocol: ProbeProtocol, identity: number): string => `${protocol} ${identity}`
  return {
    enter(waiting: Waiting): () => void {
      const key = keyOf(waiting.probe.protocol, waiting.probe.identity)
      const room = rooms.get(key) ?? []
      rooms.set(key, room)
      room.push(waiting)
      return () => {
        const at = room.indexOf(waiting)
        if (at >= 0) room.splice(at, 1)
      }
    },
    owns: (protocol: ProbeProtocol, heard: Heard): boolean => rooms.has(keyOf(protocol, heard.identity)),
    find(protocol: ProbeProtocol, {identity, sequence, destination}: Heard): Waiting | undefined {
      const room = (rooms.get(keyOf(protocol, identity)) ?? []).filter((each) => each.probe.destination === destination)
      return sequence === null ? room[0] : room.find((each) => each.sequence === sequence)
    },
    clear: () => rooms.clear(),
  }
}
