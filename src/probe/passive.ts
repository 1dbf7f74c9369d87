// Listens to what passes at an interface, and sends nothing: the traffic of one station, by peers.
import {type Traffic, watchTraffic} from '../domain/passive/traffic.ts'
import {anyOf, etherType, macTests} from '../net/packet/bpf.ts'
import type {World} from '../net/world.ts'
import {type Ipv4, type Mac, type Prefix, prefixContains} from '../wire/address.ts'
import {ifWellFormed} from '../wire/error.ts'
import {ETHERTYPE_IPV4, ETHERTYPE_IPV6} from '../wire/ethernet.ts'
import {type Ipv6, ipv6Bytes, isVersion6} from '../wire/ipv6-address.ts'
import {viewPacket} from '../wire/packet-view.ts'

export interface PassiveRequest {
  readonly interfaceName: string
  /** Whose traffic. */
  readonly mac: Mac
  /** IPv4 prefixes of its segment: what is inside needs no gateway. IPv6: the /64 of its own address. */
  readonly segments: readonly Prefix[]
  readonly durationMs: number
}

export interface PassiveHearing {
  readonly startedAt: string
  readonly durationMs: number
  readonly complete: boolean
  readonly traffic: Traffic
  readonly dropped: number | null
}

/** Aborting ends it early, with what there is. @throws Failure as `World.openLink` does, and when the interface goes. */
export async function listenPassively(
  world: World,
  {interfaceName, mac, segments, durationMs}: PassiveRequest,
  onSecond: (elapsedMs: number, traffic: () => Traffic) => void,
  signal: AbortSignal,
): Promise<PassiveHearing> {
  const sides = (['source', 'destination'] as const).map((side) => macTests(side, mac))
  const types = [ETHERTYPE_IPV4, ETHERTYPE_IPV6].map(etherType)
  const filter = anyOf(sides.flatMap((side) => types.map((type) => [type, ...side])))
  const link = await world.openLink(interfaceName, {filter, promiscuous: true, outgoing: true})
  const startedNs = world.now()
  const elapsedMs = (): number => Number(world.now() - startedNs) / 1e6
  const watch = watchTraffic({mac, startedNs, onSegment: (peer, vm) => isOnSegment(peer, vm, segments)})
  const gone = new AbortController()
  link.onError((error) => gone.abort(error))
  link.onFrame(({bytes, timestampNs}) => {
    const packet = ifWellFormed(() => viewPacket(bytes))
    if (packet) watch.see(packet, timestampNs)
  })
  const stop = AbortSignal.any([signal, gone.signal])
  try {
    for (let left = durationMs; left > 0 && !stop.aborted; left = durationMs - elapsedMs()) {
      await world.sleep(Math.min(left, 1000), stop).catch(() => {})
      onSecond(elapsedMs(), watch.traffic)
    }
    return {
      startedAt: new Date(Number(startedNs / 1_000_000n)).toISOString(),
      durationMs: elapsedMs(),
      complete: !stop.aborted,
      traffic: watch.traffic(),
      dropped: link.dropped?.() ?? null,
    }
  } finally {
    await link.close()
  }
}

function isOnSegment(peer: Ipv4 | Ipv6, vm: Ipv4 | Ipv6, segments: readonly Prefix[]): boolean {
  if (isVersion6(peer)) {
    // RFC 4862: what a SLAAC segment is.
    const [a, b] = [ipv6Bytes(peer), ipv6Bytes(vm)]
    return a.subarray(0, 8).every((byte, i) => byte === b[i])
  }
  return segments.some((prefix) => prefixContains(prefix, peer))
}
