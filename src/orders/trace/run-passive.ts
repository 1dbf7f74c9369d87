// `gwswitch trace --passive` between its flags and its words: nothing is sent.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {type PassiveDocument, passiveDocument} from '../../domain/passive/passive-report.ts'
import {usage} from '../../errors.ts'
import type {VantageWorld} from '../../net/vantage-world.ts'
import type {World} from '../../net/world.ts'
import {listenPassively} from '../../probe/passive.ts'
import {redirectOf, redirectText} from '../../probe/redirects.ts'
import type {Ipv4} from '../../wire/address.ts'
import {type Ipv6, readIp} from '../../wire/ipv6-address.ts'
import {resolveStation, type StationOrder} from './station.ts'

export interface PassiveOrder extends StationOrder {
  /** Addresses whose traffic alone is told; empty: all. */
  readonly peers: readonly string[]
  readonly seconds: number
}

export interface PassiveStage {
  readonly world: World
  readonly vantage: VantageWorld
  readonly signal: AbortSignal
  /** A line that replaces the one before it. */
  onProgress(text: string): void
  /** What changes what the result means. */
  onWarning(line: string): void
}

/** @throws Failure `usage` for names in place of addresses (to ask for them would send something); as `resolveStation`. */
export async function runPassive(
  order: PassiveOrder,
  inventory: Inventory | undefined,
  {world, vantage, signal, onProgress, onWarning}: PassiveStage,
): Promise<PassiveDocument> {
  const peers = new Set(order.peers.map(neededAddress))
  const station = await resolveStation(order, inventory, world, vantage)
  const {name, mac, interfaceName, port, onLink, site, known} = station
  const redirect = port === undefined ? undefined : await redirectOf(mac, world)
  if (redirect) {
    const {says, lift} = redirectText(redirect, {mac, name}, station.segment?.gateways ?? [])
    onWarning(`${says}: its packets leave there, whatever gateway it is seen to send to; ${lift} lifts that`)
  }
  const heard = await listenPassively(
    world,
    {interfaceName, mac, segments: onLink, durationMs: order.seconds * 1000},
    (elapsedMs, traffic) => onProgress(progress(elapsedMs, order.seconds, traffic().frames)),
    signal,
  )
  const wanted = peers.size === 0 ? heard.traffic.peers : heard.traffic.peers.filter(({ip}) => peers.has(ip))
  const place = {iface: interfaceName, atPort: port !== undefined}
  const host = {name, mac, ...place, site: site?.name ?? null, siteSource: site?.source ?? null}
  return passiveDocument(
    {...heard, host, traffic: {...heard.traffic, peers: wanted}, redirected: redirect?.from ?? null},
    known,
  )
}

const progress = (elapsedMs: number, seconds: number, frames: number): string =>
  `listening: ${Math.round(elapsedMs / 1000)} of ${seconds} s, ${frames} frames`

function neededAddress(text: string): Ipv4 | Ipv6 {
  const ip = readIp(text)
  if (ip === undefined) throw usage(`${text} is no address: with --passive nothing is sent, not even a DNS question`)
  return ip
}
