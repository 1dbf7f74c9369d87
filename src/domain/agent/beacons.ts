// Whether what a site's key signed may say where a VM is.
import type {SiteBeacon} from '../../wire/agent-beacon.ts'
import {readIpv6} from '../../wire/ipv6-address.ts'
import type {AgentConfig} from './config.ts'

/** Why a beacon with a valid signature is not heeded. */
export const BEACON_REASONS = ['invalid', 'clock', 'gateway_not_allowed', 'replayed', 'off_link'] as const
export type BeaconReason = (typeof BEACON_REASONS)[number]

/** The longest `exp - iat` of a beacon, seconds: it speaks of now. */
const BEACON_LIFETIME_S = 60

export interface BeaconFacts {
  /** ms since 1970. */
  readonly nowMs: number
  /** The highest `seq` heard of this key. */
  readonly lastSeq: number | undefined
  /** Whether an address lies in a prefix of the NIC of the default route. */
  onLink(address: string): boolean
}

/** The gateways of a beacon that this VM can reach, in the kernel's spelling; or why the beacon counts for nothing. */
export function judgeBeacon(
  beacon: SiteBeacon,
  kid: string,
  {trusted, windows}: Pick<AgentConfig, 'trusted' | 'windows'>,
  {nowMs, lastSeq, onLink}: BeaconFacts,
): {readonly gateways: readonly string[]} | BeaconReason {
  const nowS = nowMs / 1000
  const {iat, exp, seq} = beacon
  const lifetimeS = exp - iat
  if (iat > nowS + windows.clockSkewS || exp + windows.clockSkewS < nowS) return 'clock'
  if (lifetimeS <= 0 || lifetimeS > BEACON_LIFETIME_S) return 'clock'
  if (lastSeq !== undefined && seq <= lastSeq) return 'replayed'
  const said = [beacon.gw4, beacon.gw6 && (readIpv6(beacon.gw6) ?? beacon.gw6)].filter((ip) => ip !== undefined)
  const allowed = trusted.find((key) => key.kid === kid)?.gateways ?? []
  if (!said.every((ip) => allowed.includes(ip))) return 'gateway_not_allowed'
  const gateways = said.filter(onLink)
  return gateways.length > 0 ? {gateways} : 'off_link'
}
