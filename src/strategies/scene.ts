// Where a switch plays: who is involved, from where it can be seen, and what can be asked beyond the gateways. Every
// strategy's plan carries one, and every question that proves something is put from it.

import {leadingPorts} from '../domain/inter-site.ts'
import type {Gateway, Site, Vm} from '../domain/inventory/site.ts'
import type {Switchover} from '../domain/inventory/switchover.ts'
import {
  type Beyond,
  type Family,
  forwards,
  type GatewaySeen,
  type GatewaysSeen,
  type NamedGateway,
} from '../domain/proof/gateway.ts'
import type {Learned} from '../domain/proof/place.ts'
import {type EgressSeen, isSettled, type Observation, type ProofSubject} from '../domain/proof/proof.ts'
import {usage} from '../errors.ts'
import type {InterfaceFacts} from '../net/ip.ts'
import type {World} from '../net/world.ts'
import {askEgress, type EgressQuestion, FAR_AWAY} from '../probe/egress.ts'
import {askGateways, MOST_DESTINATIONS, nobody} from '../probe/gateways.ts'
import {askGateway6, askUpstream6} from '../probe/gateways6.ts'
import {jointly, together} from '../probe/together.ts'
import {askUpstream} from '../probe/upstream.ts'
import {type Ipv4, type Mac, prefixContains, prefixText, readPrefix} from '../wire/address.ts'
import {type Vlan, vlanTag} from '../wire/ethernet.ts'
import {type Ipv6, isLinkLocal} from '../wire/ipv6-address.ts'
import {legAt, legsOf} from './choose-interface.ts'
import type {Stage, StrategyOptions} from './strategy.ts'
import {saidTag, vlanTags} from './vlan-tags.ts'

/** JSON; see `Strategy.plan`. */
export interface Scene {
  /** Where the VM's frames are watched. */
  readonly interface: string
  readonly vlan: number | null
  /** What that interface is: the new gateway's own leg, a port of a bridge, a bridge, or another host's leg. */
  readonly vantage: 'target' | 'port' | 'bridge' | 'host'
  /** The interface by which this host is the new gateway; null: it is not. */
  readonly own: string | null
  /** Where gateways are asked: an interface that reaches them, and the source of echoes (the VM's own if there is none). */
  readonly ask: {
    readonly interface: string
    readonly source: Ipv4
    readonly source6?: Ipv6 | undefined
    /** The tag there; default: as at `interface`. */
    readonly vlan?: number | null
  }
  readonly vm: {readonly name: string; readonly ip: Ipv4; readonly ip6: Ipv6 | null; readonly mac: Mac}
  readonly segment: {
    readonly name: string
    readonly prefix: string
    readonly ports?: readonly string[] | undefined
    /** In a bridge that keeps VLANs apart. */
    readonly vlan?: number | undefined
  }
  readonly gateways: readonly NamedGateway[]
  readonly from: NamedGateway
  readonly to: NamedGateway
  /** The families that shall be served by the new gateway. */
  readonly families: readonly Family[]
  /** Addresses beyond the gateways, and whether one of them was asked for by name. */
  readonly destinations: readonly Ipv4[]
  readonly destinations6: readonly Ipv6[]
  readonly strict: boolean
  readonly dciRttMs: number | null
  readonly keepsSessions: boolean
  /** The VM may be at another site than the new gateway; default: false. */
  readonly otherSite?: boolean
}

const namedGateway = ({name, site, ip, mac}: Gateway): NamedGateway => ({name, site, ip, mac})

export interface SceneExtras {
  /** The families that the strategy moves; default: IPv4, and IPv6 where VM and new gateway have it. */
  readonly families?: readonly Family[]
  readonly keepsSessions?: boolean
  /** The bridge that the interface is a port of, where the strategy knows it. */
  readonly bridge?: string
}

/** Looks at this host alone; sends nothing. @throws Failure `usage` where a bridge keeps the segment from where it is needed. */
export async function sceneOf(
  switchover: Switchover,
  options: StrategyOptions,
  world: World,
  via: InterfaceFacts,
  {families, keepsSessions = false, bridge}: SceneExtras = {},
): Promise<Scene> {
  const {vm, segment, from, to, sites = []} = switchover
  const place = bridge === undefined ? await world.bridgeOf?.(via.name) : {portOf: bridge, isBridge: false}
  const {portOf, isBridge} = place ?? {portOf: undefined, isBridge: false}
  const macs = [vm, ...segment.gateways].map(({mac}) => mac)
  const tags =
    options.vlanId === undefined
      ? await vlanTags(via.name, {portOf, isBridge}, segment, macs, world)
      : saidTag(options.vlanId)
  const ip6 = vm.ip6?.find((ip) => !isLinkLocal(ip)) ?? null
  const all = await world.interfaces()
  const legs = legsOf(all, to.mac, segment)
  const ask = portOf === undefined ? via : all.find(({name}) => name === portOf)
  const own = ask?.addresses.find(({ip}) => prefixContains(segment.prefix, ip) && !(from.ip === to.ip && ip === to.ip))
  const ownLeg = legAt(legs, [via.name, ...(portOf === undefined ? [] : [portOf])])?.name ?? null
  const askTag = portOf === undefined ? tags.tag : tags.bridge
  if (typeof askTag === 'string' && ownLeg === null)
    throw usage(
      `segment ${segment.name}: ${askTag}, and ${to.name} is asked through it: bridge vlan add vid ${tags.id} dev ${portOf} self`,
    )
  // An address that the gateways share is answered where it is nearest.
  const shared6 = segment.gateways.flatMap(({ip6: theirs = []}) => theirs)
  const own6 = ask?.addresses6?.find(({ip}) => !isLinkLocal(ip) && !shared6.includes(ip))?.ip
  return {
    interface: via.name,
    vlan: tags.tag,
    vantage: isBridge ? 'bridge' : via.mac === to.mac ? 'target' : portOf !== undefined ? 'port' : 'host',
    own: ownLeg,
    ask: {
      ...{interface: ask?.name ?? via.name, source: own?.ip ?? vm.ip, ...(own6 && {source6: own6})},
      ...(typeof askTag !== 'string' && askTag !== tags.tag && {vlan: askTag}),
    },
    vm: {name: vm.name, ip: vm.ip, ip6, mac: vm.mac},
    segment: {
      ...{name: segment.name, prefix: prefixText(segment.prefix)},
      ...(segment.ports && {ports: segment.ports}),
      ...(tags.id !== undefined && {vlan: tags.id}),
    },
    gateways: segment.gateways.map(namedGateway),
    from: namedGateway(from),
    to: namedGateway(to),
    families: families ?? (ip6 === null || !to.ip6?.length ? [4] : [4, 6]),
    destinations: options.verifyTo === undefined ? destinationsOf(switchover) : [options.verifyTo],
    destinations6: destinations6Of(switchover),
    strict: options.verifyTo !== undefined,
    dciRttMs:
      sites.find(({name}) => name === to.site)?.dciRttMs ??
      sites.find((site) => site.dciRttMs !== undefined)?.dciRttMs ??
      null,
    keepsSessions,
    ...(options.otherSite && {otherSite: true}),
  }
}

/** Where something often answers in a LAN: its router first. Which of them exist, nobody wrote down. */
const USUAL_HOSTS = [1, 10, 2, 254]

const nearestFirst = (sites: readonly Site[], to: Gateway): Site[] =>
  sites.toSorted((a, b) => Number(b.name === to.site) - Number(a.name === to.site))

/** What the inventory says answers, of both families. */
const namedBeyond = (vm: Vm, sites: readonly Site[], to: Gateway): (Ipv4 | Ipv6)[] => [
  ...(vm.agent?.probes ?? []),
  ...nearestFirst(sites, to).flatMap(({probes = []}) => probes),
]

/** What can be asked beyond the gateways: what the inventory says answers, else the usual places where it says things lie. */
export function destinationsOf({vm, segment, to, sites = []}: Switchover): Ipv4[] {
  const guessed = nearestFirst(sites, to).flatMap(({name, prefixes}) =>
    prefixes.flatMap((prefix) => usualHosts(prefix).slice(0, name === to.site ? USUAL_HOSTS.length : 2)),
  )
  const beyond = [...namedBeyond(vm, sites, to), ...guessed].filter(
    (ip): ip is Ipv4 => !ip.includes(':') && !prefixContains(segment.prefix, ip),
  )
  return [...new Set(beyond)].slice(0, MOST_DESTINATIONS)
}

/** Of IPv6 nobody guesses who answers. */
function destinations6Of({vm, to, sites = []}: Switchover): Ipv6[] {
  return [...new Set(namedBeyond(vm, sites, to).filter((ip) => ip.includes(':')))]
}

function usualHosts({address, length}: {readonly address: Ipv4; readonly length: number}): Ipv4[] {
  if (length > 30) return [address]
  const bytes = address.split('.').map(Number)
  const room = 2 ** Math.min(8, 32 - length) - 1
  return USUAL_HOSTS.filter((host) => host < room).map((host) => [...bytes.slice(0, 3), bytes[3]! + host].join('.'))
}

export const vlanOf = ({vlan}: Pick<Scene, 'vlan'>): Vlan | undefined => vlanTag(vlan)
/** Where gateways are asked. */
const askVlan = ({ask, vlan}: Pick<Scene, 'ask' | 'vlan'>): Vlan | undefined =>
  vlanTag(ask.vlan === undefined ? vlan : ask.vlan)

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
  otherSite: scene.otherSite ?? false,
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

/** How a VM is asked where it sends. A strategy that changes what others see of it looks elsewhere than at its port. */
export type Eyes = (scene: Scene, options: LookOptions, stage: Stage) => Promise<readonly EgressSeen[]>

/** The VM's own port has no other end: it can say nothing. */
export async function isUnplugged({vantage, interface: port}: Scene, world: World): Promise<boolean> {
  if (vantage !== 'port') return false
  return (await world.interfaces()).some(({name, up, carrier}) => name === port && up && !carrier)
}

const isShared = ({from, to}: Scene): boolean => from.ip === to.ip

const SILENT: Omit<EgressSeen, 'family'> = {paths: [], alive: false, rttMs: null, askedFor: [], elsewhere: false}
/**
 * Another place in the lower half of the address space, for a VM that lets nothing in from the first (Tailscale drops all of
 * RFC 6598). Many VMs have a route of their own for private addresses, so that it may only speak where that is not seen.
 */
const secondLower = ({vantage, segment}: Scene): readonly Ipv4[] =>
  vantage === 'target' && !prefixContains(readPrefix(segment.prefix)!, '10.255.255.254') ? ['10.255.255.254'] : []

/** Asks the VM, each family by an address of it, through the scene's interface. */
const askVm: Eyes = async (scene, options, {world, signal, observe}) => {
  if (await isUnplugged(scene, world)) return scene.families.map((family) => ({family, ...SILENT}))
  const {wanted, any, graceMs, waitMs, listenMs} = options
  const extras = {
    listenMs,
    enough: ({paths}: EgressSeen) => isSettled(paths, any ? undefined : wanted.mac),
    ...(graceMs !== undefined && {graceMs}),
    ...(waitMs !== undefined && {waitMs}),
  }
  return together<EgressSeen[]>(
    signal,
    egressQuestions(scene, observe).map((question) => async (either: AbortSignal) => {
      const {ownMac: _, ...seen} = await askEgress({...question, ...extras}, world, either)
      return seen
    }),
  )
}

/** Where the VM is asked through which gateway it leaves, by each family an address of it. */
export function egressQuestions(scene: Scene, observe: Stage['observe']): readonly EgressQuestion[] {
  const addresses = scene.families
    .map((family) => (family === 4 ? scene.vm.ip : scene.vm.ip6))
    .filter((ip) => ip !== null)
  const hasOwnAddress = scene.ask.interface === scene.interface && scene.ask.source !== scene.vm.ip
  return addresses.map((ip) => ({
    ...{interfaceName: scene.interface, vm: {ip, mac: scene.vm.mac}, vlan: vlanOf(scene)},
    segment: readPrefix(scene.segment.prefix)!,
    destinations: ip.includes(':') ? [] : [...scene.destinations.slice(0, 1), ...secondLower(scene)],
    control: hasOwnAddress ? scene.ask.source : undefined,
    shared: hasOwnAddress && isShared(scene) ? scene.to.ip : undefined,
    onSighting: ({kind, destinationMac, atNs, frame}, destination) => {
      const text = `${scene.vm.name}, for ${destination}, sends to ${destinationMac}`
      observe({atNs, text, frame: {direction: 'in', kind, hex: Buffer.from(frame).toString('hex')}})
    },
  }))
}

/** Asks the VM and the gateway at the same time, and the other gateway where that says nothing yet. Changes nothing. */
export async function look(scene: Scene, options: LookOptions, stage: Stage, eyes: Eyes = askVm): Promise<Observation> {
  const {wanted, other} = options
  const [egress, {target, target6}] = await together<[readonly EgressSeen[], TargetSeen]>(stage.signal, [
    async (signal) => (options.vm ? eyes(scene, options, {...stage, signal}) : []),
    (signal) => askTarget(scene, wanted, stage.world, signal),
  ])
  // Silence beyond it means something only where the other gateway is answered.
  const compared = other !== null && !forwards(target)
  const old = compared ? await askAbout(scene, other, stage.world, stage.signal) : null
  const compared6 = other !== null && target6 !== undefined && target6.beyond !== 'answers'
  const old6 = compared6 ? await askAbout6(scene, other, stage.world, stage.signal) : null
  return {egress, target, old, target6, old6}
}

/** What the bridge that is watched, or whose port is, has learned of VM and gateways; undefined where there is none. */
export async function learnedBy(
  {interface: here, vantage, ask, vlan, vm, to, gateways, segment}: Scene,
  world: World,
): Promise<Learned | undefined> {
  const bridge = vantage === 'bridge' ? here : vantage === 'port' ? ask.interface : undefined
  if (bridge === undefined) return undefined
  const [table, links = []] = await Promise.all([
    world.learned?.(bridge).catch(() => undefined),
    world.hostLinks?.().catch(() => []),
  ])
  if (table === undefined) return undefined
  const id = segment.vlan ?? vlan
  // A table of thousands is looked through once a VM.
  const macs = new Set([vm, to, ...gateways].map(({mac}) => mac))
  const own = table.filter((each) => macs.has(each.mac) && (id === null || each.vlan === undefined || each.vlan === id))
  // Its own MAC is in the table too, behind itself.
  const behind = (macs: readonly Mac[]): string[] => [
    ...new Set(own.flatMap((each) => (macs.includes(each.mac) ? each.port : []))),
  ]
  const others = gateways.filter(({site}) => site !== to.site).map(({mac}) => mac)
  const ports = links.filter((link) => link.bridge === bridge)
  const leading = leadingPorts({gateways, ports: segment.ports}, to.site, ports, own)
  return {bridge, vm: behind([vm.mac]), to: behind([to.mac]), others: behind(others), leading}
}

/**
 * Whether a gateway lives and takes packets on. Where nothing beyond it is known its next hop is asked, by an echo to
 * nobody's address; then silence says nothing.
 */
export async function askAbout(
  scene: Scene,
  gateway: NamedGateway,
  world: World,
  signal: AbortSignal,
): Promise<GatewaySeen> {
  if (scene.destinations.length > 0) return askBeyond(scene, gateway, world, signal)
  const seen = await askBeyond({...scene, destinations: FAR_AWAY.slice(0, 1)}, gateway, world, signal)
  return forwards(seen) ? seen : {...seen, beyond: 'not-asked', witness: nobody([])}
}

/** What one gateway does with each family that is to move. */
export type TargetSeen = Pick<GatewaysSeen, 'target' | 'target6'>

/** Asks it, each family by itself, at the same time. */

export async function askTarget(
  scene: Scene,
  gateway: NamedGateway,
  world: World,
  signal: AbortSignal,
): Promise<TargetSeen> {
  const [target, target6] = await together<[GatewaySeen, Beyond | undefined]>(signal, [
    (either) => askAbout(scene, gateway, world, either),
    (either) => askAbout6(scene, gateway, world, either),
  ])
  return {target, ...(target6 && {target6})}
}

/** What a gateway does with IPv6; undefined where that is not to move. */
async function askAbout6(
  scene: Scene,
  {mac}: NamedGateway,
  world: World,
  signal: AbortSignal,
): Promise<Beyond | undefined> {
  const {ask, vm, families, destinations6: destinations} = scene
  if (!families.includes(6) || vm.ip6 === null) return undefined
  const leg = await legOf(scene, mac, world)
  const question = {
    interfaceName: ask.interface,
    source: ask.source6 ?? vm.ip6,
    vlan: askVlan(scene),
    mac,
    destinations,
  }
  return jointly(world, JSON.stringify([6, leg ?? question, destinations]), signal, (either) =>
    leg === null ? askGateway6(question, world, either) : askUpstream6(leg, destinations, world, either),
  )
}

/** The interface by which this host is a gateway: the one that is left may be this host as well. */
async function legOf({to, own, segment, ...scene}: Scene, mac: Mac, world: World): Promise<string | null> {
  if (mac === to.mac) return own
  const legs = legsOf(await world.interfaces(), mac, {prefix: readPrefix(segment.prefix)!})
  return legAt(legs, [scene.interface, scene.ask.interface])?.name ?? null
}

/** Whether it is there, and nothing beyond it: the time of one ARP round where it is. */
export const askAlive = (scene: Scene, world: World, signal: AbortSignal): Promise<GatewaySeen> =>
  askBeyond({...scene, destinations: []}, scene.to, world, signal)

async function askBeyond(scene: Scene, gateway: NamedGateway, world: World, signal: AbortSignal): Promise<GatewaySeen> {
  const {ask, destinations, strict} = scene
  // It does not answer itself on its own leg.
  const leg = await legOf(scene, gateway.mac, world)
  if (leg !== null) {
    const upstream = {leg, mac: gateway.mac, destinations, strict}
    return jointly(world, JSON.stringify(upstream), signal, (either) => askUpstream(upstream, world, either))
  }
  // Where it is asked in the VM's name the question is that VM's alone.
  const question = {
    ...{interfaceName: ask.interface, source: ask.source, vlan: askVlan(scene), destinations, strict},
    ...{gateways: [gateway], known: scene.gateways.map(({mac}) => mac)},
  }
  return jointly(world, JSON.stringify(question), signal, async (either) => {
    const [seen] = await askGateways(question, world, either)
    return seen!
  })
}
