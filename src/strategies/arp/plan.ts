// What the ARP strategy will do, decided before anything is sent.
import type {RouterWord} from '../../domain/inventory/site.ts'
import type {Switchover} from '../../domain/inventory/switchover.ts'
import {Failure} from '../../errors.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import type {World} from '../../net/world.ts'
import {unseenRedirects} from '../../probe/redirects.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {vlanTag} from '../../wire/ethernet.ts'
import {type Ipv6, isLinkLocal} from '../../wire/ipv6-address.ts'
import {chooseInterface} from '../choose-interface.ts'
import {leavesIp6} from '../left-ip6.ts'
import {type Scene, sceneOf} from '../scene.ts'
import {planSpeaking, type SpeakPlan} from '../speak-for/plan.ts'
import type {Standing} from '../standing.ts'
import type {StrategyOptions} from '../strategy.ts'
import {type Form, USUAL_RA} from './announcement.ts'
import {announcementFrame} from './frames.ts'
import {type FilterFinding, filterCautions, findFilter, routerCautions} from './preflight.ts'
import {DEFAULT_SCHEDULE_MS} from './schedule.ts'

/** A gateway as the plan keeps it. */
export interface PlannedGateway {
  readonly name: string
  readonly site: string
  readonly mac: Mac
}

/**
 * One IPv6 gateway address to move the VM to. `neighbour`: the sites share it (`from` = `to`), and its neighbour entry
 * moves, as with ARP. `router`: each site has its own, and router advertisements take the default route from one to the
 * other.
 */
export interface PlannedIp6 {
  readonly way: 'neighbour' | 'router'
  readonly vmIp: Ipv6
  readonly from: Ipv6
  readonly to: Ipv6
  /** Of `router`: what is advertised in the name of either. */
  readonly ra?: {readonly from: RouterWord; readonly to: RouterWord}
}

/** JSON; see `Strategy.plan`. Times in ms. */
export interface ArpPlan {
  readonly strategy: 'arp'
  readonly interface: string
  readonly vlan: number | null
  readonly vm: {readonly name: string; readonly ip: Ipv4; readonly mac: Mac}
  readonly segment: {readonly name: string; readonly prefix: string}
  readonly gatewayIp: Ipv4
  readonly from: PlannedGateway
  readonly to: PlannedGateway
  /** Every gateway of the segment, to name whoever else speaks for one. */
  readonly gateways: readonly PlannedGateway[]
  /** Empty where the inventory gives the VM or its gateways no IPv6 addresses. */
  readonly ip6: readonly PlannedIp6[]
  /** How long the VM is held on its new gateway once it was verified. */
  readonly guardMs: number
  readonly scene: Scene
  /** How the VM is made known where it is now, once it was heard; null: not, or nothing of that is on this host. */
  readonly announce: SpeakPlan | null
  /** The VM's IPv6 stays with the gateway that it has: the inventory knows none of the new one. */
  readonly leavesIp6: boolean
  /** How things stood before; null: not looked at yet. */
  readonly before: Standing | null
  /** How long to wait for a VM that does not run yet; null: it does. */
  readonly arrivalMs: number | null
  /** It has just come: what it uses is asked in the same breath in which it is told; default: false. */
  readonly atOnce?: boolean
  /** What is known of the filter that keeps the gateways local. */
  readonly filter: FilterFinding
  readonly cautions: readonly string[]
  readonly scheduleMs: readonly number[]
  readonly forms: readonly {readonly form: Form; readonly fromMs: number; readonly broadcast?: boolean}[]
  readonly frames: readonly {readonly form: Form; readonly text: string; readonly hex: string}[]
}

/** `ask` moves every VM that takes requests; from the fourth round a gratuitous reply reaches those that ignore them. */
const FORMS: ArpPlan['forms'] = [
  {form: 'ask', fromMs: 0},
  {form: 'reply', fromMs: 700},
]

/** Where a verified filter keeps it inside the site: to everybody, for a bridge that does not know yet where the VM is. */
const BROADCAST_ASK: ArpPlan['forms'][number] = {form: 'ask', fromMs: 1200, broadcast: true}

/** The same for a shared IPv6 gateway address. */
const FORMS6: ArpPlan['forms'] = FORMS

/** @throws Failure `usage` where the gateway IP would change, where nothing would change, or no interface fits. */
export async function planArp(switchover: Switchover, options: StrategyOptions, world: World): Promise<ArpPlan> {
  const {vm, segment, from, to} = switchover
  if (from.ip !== to.ip) {
    throw new Failure(
      'usage',
      `the arp strategy keeps the gateway IP, but ${from.name} is ${from.ip} and ${to.name} is ${to.ip}: ` +
        'such a segment needs a strategy that changes the VM or its lease',
    )
  }
  if (from.mac === to.mac) {
    throw new Failure(
      'usage',
      `${from.name} and ${to.name} are both at ${to.mac}: one MAC at every site needs no move, only a filter that keeps it local`,
    )
  }
  const via = chooseInterface(await world.interfaces(), switchover, options.interfaceName, {
    otherwise: ": name the VM's port or the gateway's leg with -i",
    where: "its new site's gateway or on its hypervisor",
  })
  const ip6 = plannedIp6(switchover)
  // Each starts programs: at once.
  const [filter, scene] = await Promise.all([
    findFilter(switchover, world, via.name),
    sceneOf(switchover, options, world, via),
  ])
  const vlan = vlanTag(scene.vlan)
  const frames = [
    ...FORMS.map(({form}) => announcementFrame(form, {ip: to.ip, mac: to.mac}, {vm, vlan}, via.mac)),
    ...ip6.flatMap((move) => {
      const gateway = {ip: move.to, mac: to.mac, old: move.from, ra: move.ra?.to}
      const target = {vm: {ip: move.vmIp, mac: vm.mac}, vlan}
      return formsOf6(move).map(({form}) => announcementFrame(form, gateway, target, via.mac))
    }),
  ]
  const gateway = ({name, site, mac}: PlannedGateway): PlannedGateway => ({name, site, mac})
  return {
    strategy: 'arp',
    interface: via.name,
    vlan: scene.vlan,
    vm: {name: vm.name, ip: vm.ip, mac: vm.mac},
    segment: {name: segment.name, prefix: `${segment.prefix.address}/${segment.prefix.length}`},
    gatewayIp: to.ip,
    from: gateway(from),
    to: gateway(to),
    gateways: segment.gateways.map(gateway),
    ip6,
    guardMs: options.guardMs ?? 0,
    scene,
    leavesIp6: leavesIp6(switchover),
    announce:
      options.announce === false
        ? null
        : planSpeaking(scene, {...switchover, interfaces: await world.interfaces()}, true),
    before: null,
    arrivalMs: options.arrivalMs ?? null,
    filter,
    cautions: [
      ...filterCautions(switchover, filter, (options.guardMs ?? 0) > 0),
      ...routerCautions(switchover, ip6, filter, (options.guardMs ?? 0) > 0),
      ...cautionsOf(switchover, via, options),
      ...(scene.vantage === 'port' ? await unseenRedirects(vm.name, via.name, world) : []),
    ],
    scheduleMs: DEFAULT_SCHEDULE_MS,
    forms: filter === 'verified' ? [...FORMS, BROADCAST_ASK] : FORMS,
    frames: frames.map(({form, text, bytes}) => ({form, text, hex: Buffer.from(bytes).toString('hex')})),
  }
}

/** Which frames move an IPv6 address. */
export const formsOf6 = ({way}: PlannedIp6): ArpPlan['forms'] =>
  way === 'neighbour'
    ? FORMS6
    : [
        {form: 'withdraw', fromMs: 0},
        {form: 'ra', fromMs: 0},
      ]

/** Shared addresses move by their neighbour entry; where the link-local ones differ, the default route moves. */
function plannedIp6({vm, from, to}: Switchover): PlannedIp6[] {
  const vmIp = vm.ip6?.find((ip) => !isLinkLocal(ip)) ?? vm.ip6?.[0]
  if (vmIp === undefined) return []
  const theirs = from.ip6 ?? []
  const ours = to.ip6 ?? []
  const shared = ours.filter((ip) => theirs.includes(ip))
  const routers = [theirs, ours].map((all) => all.find((ip) => isLinkLocal(ip)))
  const moves = shared.map((ip) => ({way: 'neighbour', vmIp, from: ip, to: ip}) as const)
  const [old, next] = routers
  if (old === undefined || next === undefined || shared.some(isLinkLocal)) return moves
  const ra = {from: {...USUAL_RA, ...from.ra}, to: {...USUAL_RA, ...to.ra}}
  return [...moves, {way: 'router', vmIp, from: old, to: next, ra}]
}

function cautionsOf({vm, segment, from, to}: Switchover, via: InterfaceFacts, options: StrategyOptions): string[] {
  const cautions: string[] = []
  const speaks6 = segment.gateways.some(({ip6}) => ip6?.length)
  if (speaks6 && !vm.ip6?.length) cautions.push(`leaves IPv6 as it is: the inventory gives ${vm.name} no ip6`)
  else if (speaks6 && plannedIp6({vm, segment, from, to}).length === 0) {
    cautions.push(
      `leaves IPv6 as it is: ${from.name} and ${to.name} share no IPv6 address and have no link-local ones to move between`,
    )
  }
  if (options.guardMs && via.mac === to.mac) {
    cautions.push(
      `on ${to.name}'s own leg a frame that another host sends to the VM alone does not pass: the guard sees that the VM left, not who told it`,
    )
  }
  return cautions
}
