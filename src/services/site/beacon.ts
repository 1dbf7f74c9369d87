// The frames by which a site says that it is here: one signed message, broadcast by IPv4 and to all nodes by IPv6.
import {ANY_IPV4, BROADCAST, type Ipv4, type Mac} from '../../wire/address.ts'
import {type SiteBeacon, signBeacon} from '../../wire/agent-beacon.ts'
import {AGENT_PORT, withTag} from '../../wire/agent-message.ts'
import {udpFrame} from '../../wire/frames.ts'
import {udp6Frame} from '../../wire/frames6.ts'
import {ALL_NODES, linkLocalOf, multicastMac} from '../../wire/ipv6-address.ts'
import type {ServeSiteRequest} from './request.ts'

const ALL_HOSTS: Ipv4 = '255.255.255.255'

/** For how long a beacon says that the site is here, seconds: three may be lost. */
const lifetimeS = (intervalS: number): number => Math.ceil(intervalS * 3.5) + 1

/** What is said at `nowNs`. Numbers are µs since 1970, which grow across restarts, and across hosts that share a key. */
export function beaconOf(request: ServeSiteRequest, nowNs: bigint, lastSeq: number): SiteBeacon {
  const {site, segment, to, gw6, ask, intervalS} = request
  const iat = Number(nowNs / 1_000_000_000n)
  return {
    ...{v: 1, site, segment: segment.name, iat, exp: iat + lifetimeS(intervalS)},
    seq: Math.max(Number(nowNs / 1000n), lastSeq + 1),
    gw4: to.ip,
    ...(gw6 === undefined ? {} : {gw6}),
    ask,
  }
}

/** The frames of one beacon; IPv6 where the gateway has it. With a tag, it is heard through a flood. */
export function beaconFrames(request: ServeSiteRequest, beacon: SiteBeacon, mac: Mac, tagged: boolean): Uint8Array[] {
  const token = signBeacon(beacon, request.key)
  const payload = Buffer.from(tagged ? withTag(token, request.key) : token)
  const udp = {sourcePort: request.listen.port, destinationPort: AGENT_PORT, payload}
  const v4 = {source: request.source ?? ANY_IPV4, destination: ALL_HOSTS, ttl: 1}
  const frames = [udpFrame({destination: BROADCAST, source: mac}, v4, udp)]
  if (request.gw6 === undefined) return frames
  const v6 = {source: linkLocalOf(mac), destination: ALL_NODES, hopLimit: 1}
  return [...frames, udp6Frame({destination: multicastMac(ALL_NODES), source: mac}, v6, udp)]
}
