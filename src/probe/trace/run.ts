// What all destinations of one `gwswitch trace` share: one pace, one supply of identities, one socket an interface.
import {Failure} from '../../errors.ts'
import {anyOf} from '../../net/packet/bpf.ts'
import type {Link} from '../../net/packet/link.ts'
import type {World} from '../../net/world.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {CODECS} from './codecs.ts'
import {type FirstHop, makeFirstHop} from './first-hop.ts'
import {type Identities, makeIdentities} from './identities.ts'
import {makePacer, type Pace, type Pacer} from './pacer.ts'
import {type Prober, startProber} from './prober.ts'

export interface RunOptions {
  readonly pace: Pace
  /** How long an answer may take, ms. */
  readonly timeoutMs: number
  /** Wraps every link that is opened, for whoever records it. */
  readonly onLink?: ((link: Link) => Link) | undefined
}

/** An interface while probes go out of it. */
export interface Station {
  readonly prober: Prober
  /** Bytes that an IP packet may have. */
  readonly mtu: number
  /** Aborted, with a {@link Failure}, when the interface goes down or away: nothing more can be sent. */
  readonly lost: AbortSignal
  /** What is known of the first hop behind a MAC, by whichever destination it was asked. */
  firstHop(mac: Mac): FirstHop
}

export interface TraceRun {
  readonly world: World
  readonly pacer: Pacer
  readonly identities: Identities
  /** A new one where the last is lost. @throws Failure `privilege` without CAP_NET_RAW, `runtime` for an interface that is not ready. */
  station(interfaceName: string, source: Ipv4): Promise<Station>
  close(): Promise<void>
}

export function startRun(world: World, {pace, timeoutMs, onLink = (link) => link}: RunOptions): TraceRun {
  const stations = new Map<string, Promise<Station & {close(): Promise<void>}>>()
  const closing: Promise<void>[] = []
  const open = async (interfaceName: string, source: Ipv4) => {
    const link = onLink(await world.openLink(interfaceName, {filter: anyOf(CODECS.flatMap(({filter}) => filter))}))
    const prober = startProber(link, world, {source, codecs: CODECS, timeoutMs})
    const lost = new AbortController()
    const unsubscribe = link.onError((error) => lost.abort(error))
    const firstHops = new Map<Mac, FirstHop>()
    return {
      prober: {...prober, send: sendingOn(prober, lost)},
      mtu: link.mtu,
      lost: lost.signal,
      firstHop(mac: Mac): FirstHop {
        const known = firstHops.get(mac) ?? makeFirstHop(world)
        firstHops.set(mac, known)
        return known
      },
      async close() {
        unsubscribe()
        prober.stop()
        await link.close()
      },
    }
  }
  return {
    world,
    pacer: makePacer(world, pace),
    identities: makeIdentities(world.random),
    station(interfaceName, source) {
      const key = `${interfaceName} ${source}`
      const known = stations.get(key)
      if (known !== undefined) return known
      const station = open(interfaceName, source)
      stations.set(key, station)
      const forget = () => stations.delete(key)
      station.then(({lost, close}) => lost.addEventListener('abort', () => forget() && closing.push(close())), forget)
      return station
    },
    async close() {
      for (const settled of await Promise.allSettled(stations.values()))
        if (settled.status === 'fulfilled') await settled.value.close()
      await Promise.all(closing)
    },
  }
}

/** What cannot be sent ends the station, and is no answer; what is no failure of the network is thrown. */
function sendingOn(prober: Prober, lost: AbortController): Prober['send'] {
  return async (probe) => {
    if (lost.signal.aborted) return undefined
    try {
      return await prober.send(probe)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      lost.abort(error)
      return undefined
    }
  }
}
