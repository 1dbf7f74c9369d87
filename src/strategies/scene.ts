// Where a switch plays: who is involved, from where it can be seen, and what can be asked beyond the gateways. Every
// strategy's plan carries one, and every question that proves something is put from it.

import type {Gateway} from '../domain/inventory/site.ts'
import type {Switchover} from '../domain/inventory/switchover.ts'
import {
  type Family,
  forwards,
  type GatewaySeen,
  type NamedGateway,
  type Observation,
  type ProofSubject,
} from '../domain/proof/proof.ts'
import type {InterfaceFacts} from '../net/ip.ts'
import type {World} from '../net/world.ts'
import {askEgress} from '../probe/egress.ts'
import {askGateways} from '../probe/gateways.ts'
import {askUpstream} from '../probe/upstream.ts'
import {type Ipv4, type Mac, prefixContains, prefixText, readPrefix} from '../wire/address.ts'
import type {Vlan} from '../wire/ethernet.ts'
import {type Ipv6, isLinkLocal} from '../wire/ipv6-address.ts'
import type {Stage, StrategyOptions} from './strategy.ts'

/** JSON; see `Strategy.plan`. */
export interface Scene {
  /** Where the VM's frames are watched. */
  readonly interface: string
  readonly vlan: number | null
  /** What that interface is: the new gateway's own leg, a port of a bridge, a bridge, or another host's leg. */
  readonly vantage: 'target' | 'port' | 'bridge' | 'host'
  /** Where gateways are asked: an interface that reaches them, and the source of echoes (the VM's own if there is none). */
  readonly ask: {readonly interface: string; readonly source: Ipv4}
  readonly vm: {readonly name: string; readonly ip: Ipv4; readonly ip6: Ipv6 | null; readonly mac: Mac}
  readonly segment: {readonly name: string; readonly prefix: string}
  readonly gateways: readonly NamedGateway[]
  readonly from: NamedGateway
  readonly to: NamedGateway
  /** The families that shall be served by the new gateway. */
  readonly families: readonly Family[]
  /** Addresses beyond the gateways, and whether one of them was asked for by name. */
  readonly destinations: readonly Ipv4[]
  readonly strict: boolean
  readonly dciRttMs: number | null
  readonly keepsSessions: boolean
}

const namedGateway = ({name, site, ip, mac}: Gateway): NamedGateway => ({name, site, ip, mac})

export interface SceneExtras {
  /** The families that the strategy moves; default: IPv4, and IPv6 where VM and new gateway have it. */
  readonly families?: readonly Family[]
  readonly keepsSessions?: boolean
}

/** Looks at this host alone; sends nothing. */
export async function sceneOf(
  switchover: Switchover,
  options: StrategyOptions,
  world: World,
  via: InterfaceFacts,
  {families, keepsSessions = false}: SceneExtras = {},
): Promise<Scene> {
  const {vm, segment, from, to, sites = []} = switchover
  const place = (await world.bridgeOf?.(via.name)) ?? {portOf: undefined, isBridge: false}
  const ip6 = vm.ip6?.find((ip) => !isLinkLocal(ip)) ?? null
  const ask = place.portOf === undefined ? via : (await world.interfaces()).find(({name}) => name === place.portOf)
  const own = ask?.addresses.find(({ip}) => prefixContains(segment.prefix, ip) && !(from.ip === to.ip && ip === to.ip))
  return {
    interface: via.name,
    vlan: options.vlanId ?? null,
    vantage: via.mac === to.mac ? 'target' : place.isBridge ? 'bridge' : place.portOf !== undefined ? 'port' : 'host',
    ask: {interface: ask?.name ?? via.name, source: own?.ip ?? vm.ip},
    vm: {name: vm.name, ip: vm.ip, ip6, mac: vm.mac},
    segment: {name: segment.name, prefix: prefixText(segment.prefix)},
    gateways: segment.gateways.map(namedGateway),
    from: namedGateway(from),
    to: namedGateway(to),
    families: families ?? (ip6 === null || !to.ip6?.length ? [4] : [4, 6]),
    destinations: options.verifyTo === undefined ? destinationsOf(switchover) : [options.verifyTo],
    strict: options.verifyTo !== undefined,
    dciRttMs:
      sites.find(({name}) => name === to.site)?.dciRttMs ??
      sites.find((site) => site.dciRttMs !== undefined)?.dciRttMs ??
      null,
    keepsSessions,
  }
}

/** What can be asked beyond the gateways: what the inventory says answers, else the first address of what lies there. */
function destinationsOf({vm, segment, to, sites = []}: Switchover): Ipv4[] {
  const nearFirst = sites.toSorted((a, b) => Number(b.name === to.site) - Number(a.name === to.site))
  const named = [...(vm.agent?.probes ?? []), ...nearFirst.flatMap(({probes = []}) => probes)]
  const first = nearFirst.flatMap(({prefixes}) => prefixes.map(firstAddress))
  const beyond = [...named, ...first].filter(
    (ip): ip is Ipv4 => !ip.includes(':') && !prefixContains(segment.prefix, ip),
  )
  return [...new Set(beyond)].slice(0, 4)
}

function firstAddress({address, length}: {readonly address: Ipv4; readonly length: number}): Ipv4 {
  if (length >= 31) return address
  const bytes = address.split('.').map(Number)
  return [...bytes.slice(0, 3), bytes[3]! | 1].join('.')
}

export const vlanOf = ({vlan}: Pick<Scene, 'vlan'>): Vlan | undefined =>
  vlan === null ? undefined : {id: vlan, priority: 0, dropEligible: false}

export const subjectOf = (scene: Scene, wanted: NamedGateway = scene.to): ProofSubject => ({
  vm: scene.vm,
  gateways: scene.gateways,
  to: wanted,
  interface: scene.interface,
  sees:
    scene.vantage === 'port' || scene.vantage === 'bridge'
      ? 'all'
      : scene.vantage === 'target' && wanted.mac === scene.to.mac
        ? 'to'
        : 'none',
  dciRttMs: scene.dciRttMs,
  keepsSessions: scene.keepsSessions,
})

export interface LookOptions {
  /** The gateway that is hoped for. */
  readonly wanted: NamedGateway
  /** The one to compare it with; null: none. */
  readonly other: NamedGateway | null
  /** Whether the VM is asked: it does not run yet otherwise. */
  readonly vm: boolean
  /** How long a VM that answers no echo is listened to, ms. */
  readonly listenMs: number
  /** How long the VM is asked, ms, and how long once it gave a sign of life. */
  readonly waitMs?: number
  readonly graceMs?: number
  /** Any gateway is an answer; otherwise the one that is hoped for ends the question. */
  readonly any?: boolean
}

/** Asks the VM and the gateways at the same time. Changes nothing. */
export async function look(scene: Scene, options: LookOptions, {world, signal, observe}: Stage): Promise<Observation> {
  const {wanted, other} = options
  const addresses = scene.families
    .map((family) => (family === 4 ? scene.vm.ip : scene.vm.ip6))
    .filter((ip) => ip !== null)
  const egress = (ip: Ipv4 | Ipv6) =>
    askEgress(
      {
        ...{interfaceName: scene.interface, vm: {ip, mac: scene.vm.mac}, vlan: vlanOf(scene)},
        segment: readPrefix(scene.segment.prefix)!,
        destinations: ip.includes(':') ? [] : scene.destinations.slice(0, 1),
        ...(scene.ask.interface === scene.interface && scene.ask.source !== scene.vm.ip && {control: scene.ask.source}),
        enough: ({paths}) =>
          ENOUGH <= paths.filter(({by, mac}) => by === 'echo' && (options.any || mac === wanted.mac)).length,
        ...(options.graceMs !== undefined && {graceMs: options.graceMs}),
        listenMs: options.listenMs,
        ...(options.waitMs !== undefined && {waitMs: options.waitMs}),
        onSighting: ({kind, destinationMac, atNs, frame}, destination) => {
          if (kind !== 'echo-reply' && kind !== 'traffic') return
          const text = `${scene.vm.name}, for ${destination}, sends to ${destinationMac}`
          observe({atNs, text, frame: {direction: 'in', kind, hex: Buffer.from(frame).toString('hex')}})
        },
      },
      world,
      signal,
    )
  const [seen, target] = await Promise.all([
    options.vm ? Promise.all(addresses.map(egress)) : [],
    askAbout(scene, wanted, world, signal),
  ])
  // Silence beyond it means something only where the other gateway is answered.
  const compared = other !== null && !forwards(target)
  const old = compared ? await askAbout(scene, other, world, signal) : null
  return {egress: seen.map(({ownMac: _, ...rest}) => rest), target, old}
}

/** Two unrelated places, at least: one route may be for one of them alone. */
const ENOUGH = 2

/** Whether a gateway lives and takes packets on. */
export async function askAbout(
  scene: Scene,
  gateway: NamedGateway,
  world: World,
  signal: AbortSignal,
): Promise<GatewaySeen> {
  const {ask, destinations, strict} = scene
  if (scene.vantage === 'target' && gateway.mac === scene.to.mac)
    return askUpstream({leg: scene.interface, mac: gateway.mac, destinations, strict}, world, signal)
  const question = {
    ...{interfaceName: ask.interface, source: ask.source, vlan: vlanOf(scene), destinations, strict},
    ...{gateways: [gateway], known: scene.gateways.map(({mac}) => mac)},
  }
  return (await askGateways(question, world, signal))[0]!
}
