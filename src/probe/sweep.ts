// Who answers ARP for many addresses? Asked slowly: every question is a broadcast that every host of the segment reads.
import type {Place} from '../domain/who-places.ts'
import {anyOf, etherType} from '../net/packet/bpf.ts'
import type {Link} from '../net/packet/link.ts'
import type {World} from '../net/world.ts'
import {BROADCAST, type Ipv4, type Mac} from '../wire/address.ts'
import {parseArp} from '../wire/arp.ts'
import {ifWellFormed} from '../wire/error.ts'
import {ETHERTYPE_ARP, parseEthernet, vlanTag} from '../wire/ethernet.ts'
import {sendPaced} from './send-paced.ts'
import {probeFrame} from './vm-watch.ts'

/** An address, and the MAC that is asked as well, so that it is heard where another one answers everybody. */
export interface Swept {
  readonly segment: string
  readonly ip: Ipv4
  readonly mac: Mac
  readonly places: readonly Place[]
}

export interface SweepAnswer {
  readonly segment: string
  readonly ip: Ipv4
  readonly mac: Mac
  readonly interface: string
}

export interface SweepOptions {
  /** Questions a second over all ports together, two a frame pair: broadcast and unicast. */
  readonly rate: number
  /** ms to wait after the last one. */
  readonly waitMs: number
}

/** Those that did not answer are asked again, so often in all. */
const ROUNDS = 3
/** Questions that go out at once. */
const BURST = 20

/** Sends ARP probes alone, which change no neighbour table. @throws the signal's reason. */
export async function sweep(
  swept: readonly Swept[],
  {rate, waitMs}: SweepOptions,
  world: World,
  signal: AbortSignal,
): Promise<readonly SweepAnswer[]> {
  const answers = new Map<string, SweepAnswer>()
  const heardOf = new Set<Swept>()
  const links = new Map<string, Link>()
  const byIp = Map.groupBy(swept, ({ip}) => ip)
  try {
    for (const port of new Set(swept.flatMap(({places}) => places.map((place) => place.port)))) {
      const link = await world.openLink(port, {filter: anyOf([[etherType(ETHERTYPE_ARP)]])})
      links.set(port, link)
      link.onFrame(({bytes}) => {
        const said = ifWellFormed(() => arpOf(bytes))
        for (const each of said ? (byIp.get(said.ip) ?? []) : []) {
          if (!each.places.some(({port: at, tag}) => at === port && tag === said!.tag)) continue
          const {segment, ip} = each
          answers.set(`${segment} ${ip} ${said!.mac}`, {segment, ip, mac: said!.mac, interface: port})
          // Another one's answer does not keep its own from being waited for.
          if (said!.mac === each.mac) heardOf.add(each)
        }
      })
    }
    for (let round = 0; round < ROUNDS; round++) {
      const left = swept.filter((each) => !heardOf.has(each))
      if (left.length === 0) break
      await askAll(left, links, rate, world, signal)
      await world.sleep(waitMs, signal)
    }
    return [...answers.values()]
  } finally {
    await Promise.all([...links.values()].map((link) => link.close()))
  }
}

async function askAll(
  left: readonly Swept[],
  links: ReadonlyMap<string, Link>,
  rate: number,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const questions = left.flatMap(({ip, mac, places}) =>
    places.map(({port, tag}) => ({port, ip, mac, vlan: vlanTag(tag)})),
  )
  for (let sent = 0; sent < questions.length; sent += BURST) {
    for (const {port, ip, mac, vlan} of questions.slice(sent, sent + BURST)) {
      const link = links.get(port)!
      const frames = [BROADCAST, mac].map((to) => probeFrame(link, {ip, mac: to, vlan}))
      await sendPaced(link, frames, world, signal)
    }
    await world.sleep((BURST / rate) * 1000, signal)
  }
}

function arpOf(bytes: Uint8Array) {
  const {etherType: type, payload, vlan} = parseEthernet(bytes)
  if (type !== ETHERTYPE_ARP) return undefined
  const {senderIp: ip, senderMac: mac} = parseArp(payload)
  return {ip, mac, tag: vlan?.id}
}
