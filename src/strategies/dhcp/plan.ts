// What the DHCP strategy will do, decided before anything is changed.
import {IGNORES_CARRIER, knownKind} from '../../domain/dhcp/client-kind.ts'
import type {DhcpClientKind, SegmentDhcp} from '../../domain/inventory/segment-dhcp.ts'
import type {Switchover} from '../../domain/inventory/switchover.ts'
import type {NamedGateway} from '../../domain/proof/gateway.ts'
import {Failure} from '../../errors.ts'
import {checkLink, type VmLink} from '../../net/vm-link/vm-link.ts'
import type {World} from '../../net/world.ts'
import {unseenRedirects} from '../../probe/redirects.ts'
import {type Ipv4, prefixContains, prefixText} from '../../wire/address.ts'
import {isLinkLocal} from '../../wire/ipv6-address.ts'
import {chooseInterface} from '../choose-interface.ts'
import {type Scene, sceneOf} from '../scene.ts'
import type {Standing} from '../standing.ts'
import type {StrategyOptions} from '../strategy.ts'
import type {DhcpBackend, DhcpClient, Statement, Transaction} from './backends/backend.ts'
import {backendFor} from './backends/backends.ts'
import {checkVantage, chooseServer} from './choose-server.ts'
import {type ClientRecord, DEFAULT_STATE, readClient} from './client-store.ts'

export type PlannedTrigger =
  | {readonly kind: 'forcerenew'; readonly attempts: number; readonly timeoutMs: number; readonly longestMs: number}
  | {readonly kind: 'guest-agent'; readonly socket: string; readonly longestMs: number}
  /** Its link is taken down for a moment. */
  | {readonly kind: 'carrier'; readonly link: VmLink; readonly longestMs: number}
  /** The client asks by itself within `longestMs`. */
  | {readonly kind: 'nak' | 'wait'; readonly longestMs: number}

/** JSON; see `Strategy.plan`. Times in ms. */
export interface DhcpPlan {
  readonly strategy: 'dhcp'
  readonly interface: string
  readonly vlan: number | null
  /** Source of FORCERENEWs. */
  readonly sourceIp: Ipv4
  readonly vm: DhcpClient
  readonly segment: {readonly name: string; readonly prefix: string}
  /** The server's controls, as the inventory has them. */
  readonly server: Readonly<Record<string, string | number | boolean | readonly string[]>>
  readonly reach: string
  readonly state: string
  readonly from: NamedGateway
  readonly to: NamedGateway
  /** What the VM runs, if known. */
  readonly client: DhcpClientKind | null
  /** In the order in which they are tried, until the client has acted. */
  readonly triggers: readonly PlannedTrigger[]
  /** All of them one after the other. */
  readonly longestMs: number
  readonly scene: Scene
  /** How things stood before, of IPv4; null: not looked at yet. */
  readonly before: Standing | null
  /** What the server would have given before; null: not asked yet. */
  readonly statement: Statement | null
  /** Its client's last transaction before, as the server tells it; null: it tells none, or was not asked yet. */
  readonly serial: string | null
  readonly cautions: readonly string[]
}

/** A switch and its rollback must both end before the guard acts. */
const LONGEST_MS = 25_000
const FORCERENEW = {attempts: 3, timeoutMs: 1000, longestMs: 10_000}
const GUEST_MS = 6000
/** The link itself, and a client that probes the address before it takes it again. */
const CARRIER_MS = 10_000
const SETTLE_MS = 5000

/** @throws Failure `usage` where this strategy cannot make the switchover, with the way out. */
export async function planDhcp(switchover: Switchover, options: StrategyOptions, world: World): Promise<DhcpPlan> {
  const {vm, segment, from, to} = switchover
  if (from.ip === to.ip) {
    throw new Failure(
      'usage',
      `${from.name} and ${to.name} share the address ${to.ip}: a lease cannot tell them apart, the arp strategy can`,
    )
  }
  const client: DhcpClient = {name: vm.name, ip: vm.ip, mac: vm.mac}
  const {dhcp, caution} = await chooseServer(segment, client, to)
  const backend = backendFor(dhcp, {segment: segment.name, world})
  const wary = await backend.check(client, to)
  const via = chooseInterface(await world.interfaces(), switchover, options.interfaceName, {
    otherwise: ": name the VM's port or a gateway's leg with -i",
    where: "its DHCP server, at its new site's gateway or on its hypervisor",
  })
  await checkVantage(via.name, client, backend, world)
  const state = dhcp.state ?? DEFAULT_STATE
  const chosen = await chooseTriggers(switchover, client, backend, await readClient(state, vm.mac), world)
  const {kind, triggers} = chosen
  const scene = await sceneOf(switchover, options, world, via)
  return {
    strategy: 'dhcp',
    interface: via.name,
    vlan: scene.vlan,
    sourceIp: via.addresses.find(({ip}) => prefixContains(segment.prefix, ip))?.ip ?? dhcp.address ?? to.ip,
    vm: client,
    segment: {name: segment.name, prefix: prefixText(segment.prefix)},
    server: Object.fromEntries(
      Object.entries(dhcp).filter(
        (entry): entry is [string, string | number | boolean | string[]] => entry[1] !== undefined,
      ),
    ),
    reach: backend.reach,
    state,
    ...{from: scene.from, to: scene.to},
    client: kind ?? null,
    triggers,
    longestMs: triggers.reduce((sum, {longestMs}) => sum + longestMs, 0),
    ...{scene, before: null, statement: null, serial: null},
    cautions: [
      ...(caution === undefined ? [] : [caution]),
      ...wary,
      ...chosen.wary,
      ...cautionsOf(switchover, scene),
      ...(scene.vantage === 'port' ? await unseenRedirects(vm.name, via.name, world) : []),
    ],
  }
}

/** IPv6 default routes come from router advertisements: no lease moves one. */
function cautionsOf({vm, segment, to}: Switchover, {families}: Scene): string[] {
  if (families.includes(6)) {
    return [
      `leaves IPv6 as it is: DHCP gives no IPv6 router, and ${to.name} has IPv6 addresses; unless ${vm.name} leaves through ${to.name} over IPv6 already, the switch is partial and taken back (--accept-unverified keeps it)`,
    ]
  }
  if (segment.gateways.every(({ip6}) => !ip6?.length)) return []
  const who = vm.ip6?.some((ip) => !isLinkLocal(ip)) ? to.name : vm.name
  return [`leaves IPv6 as it is, and does not look at it: the inventory gives ${who} no ip6`]
}

/** The server of a plan, which came through JSON. */
export const serverOf = (plan: DhcpPlan): SegmentDhcp => plan.server as unknown as SegmentDhcp

async function chooseTriggers(
  {vm, segment}: Switchover,
  client: DhcpClient,
  backend: DhcpBackend,
  seen: ClientRecord | undefined,
  world: Pick<World, 'now'>,
): Promise<{kind: DhcpClientKind | undefined; triggers: readonly PlannedTrigger[]; wary: readonly string[]}> {
  const told = await backend.lastTransaction(client)
  const kind = knownKind(vm.dhcp?.client, told, seen)
  const byNak = backend.nakNext !== undefined
  if (kind === 'dhclient' && !byNak) {
    throw new Failure(
      'usage',
      `${vm.name} runs stock dhclient, which keeps its old router on a renewal: install the exit hook of docs/dhcp.md and write "client: dhclient-hook", or have gwswitch serve dhcp or serve dhcp-shim answer it, whose NAK it obeys`,
    )
  }
  const triggers: PlannedTrigger[] = []
  const takesNonce =
    (told?.canListen ?? seen?.canListen) !== false &&
    !['dhclient', 'dhclient-hook', 'networkd', 'networkmanager', 'udhcpc'].includes(kind ?? '')
  const hasXid = told !== undefined || seen?.xid !== undefined
  const hasNonce = ((await backend.nonce(client)) ?? seen?.nonce) !== undefined
  if (takesNonce && hasXid && hasNonce) triggers.push({kind: 'forcerenew', ...FORCERENEW})
  const guestAgent = vm.dhcp?.guestAgent
  if (guestAgent !== undefined && kind !== 'dhclient' && kind !== 'dhclient-hook') {
    triggers.push({kind: 'guest-agent', socket: guestAgent, longestMs: GUEST_MS})
  }
  const known = knownRenewal(told, seen, kind)
  // udhcpc reads no T1, so that what is configured says nothing about it.
  const configuredS = known && kind === 'udhcpc' ? undefined : segment.dhcp?.renewEvery
  const leftMs = renewalMs(known, configuredS, world.now())
  const spentMs = triggers.reduce((sum, {longestMs}) => sum + longestMs, 0)
  if (leftMs !== undefined && spentMs + leftMs <= LONGEST_MS) {
    triggers.push({kind: kind === 'dhclient' ? 'nak' : 'wait', longestMs: leftMs})
  }
  const isTime = triggers.reduce((sum, {longestMs}) => sum + longestMs, CARRIER_MS) <= LONGEST_MS - SETTLE_MS
  const link = isTime ? carrierOf(vm, kind) : undefined
  let wary: readonly string[] = []
  try {
    if (link) {
      await checkLink(link)
      triggers.push({kind: 'carrier', link, longestMs: CARRIER_MS})
    }
  } catch (error) {
    // The hypervisor is somewhere else than the gateway; what else there is may do.
    if (!(error instanceof Failure) || triggers.length === 0) throw error
    wary = [`does not take the link of ${vm.name} down, whatever comes: ${error.message}`]
  }
  if (triggers.length > 0) return {kind, triggers, wary}
  throw new Failure('usage', nothingFits(vm.name, {takesNonce, hasXid, hasNonce, leftMs, kind, reach: backend.reach}))
}

/** The link of a VM that may be taken down, as somebody wrote who knows what that costs. */
const carrierOf = ({mac, dhcp}: Switchover['vm'], kind: DhcpClientKind | undefined): VmLink | undefined =>
  dhcp?.carrier === undefined || (kind && IGNORES_CARRIER.includes(kind)) ? undefined : {mac, ...dhcp.carrier}

/** When a client will ask by itself, and how often it does. */
interface Renewal {
  readonly dueNs: bigint
  readonly everyS: number
}

/** By its last ACK, as its server tells it or as it was seen. */
function knownRenewal(
  told: Transaction | undefined,
  seen: ClientRecord | undefined,
  kind: DhcpClientKind | undefined,
): Renewal | undefined {
  if (told?.renewsNs !== undefined) return {dueNs: told.renewsNs, everyS: told.renewS ?? 0}
  const half = seen?.leaseS === undefined ? undefined : seen.leaseS / 2
  const everyS = kind === 'udhcpc' ? half : (seen?.renewS ?? half)
  if (seen?.ackedNs === undefined || everyS === undefined) return undefined
  return {dueNs: seen.ackedNs + BigInt(Math.ceil(everyS * 1e9)), everyS}
}

/**
 * Until the client asks by itself, with a second for the exchange. What its last ACK told it holds until then, whatever
 * the inventory says by now; how long a rollback may have to wait after that, the inventory knows best.
 */
function renewalMs(known: Renewal | undefined, configuredS: number | undefined, nowNs: bigint): number | undefined {
  const leftMs = known && Math.ceil(Number(known.dueNs - nowNs) / 1e6)
  // Overdue: it renewed where nobody saw it, and nothing is known.
  const isKnown = leftMs !== undefined && leftMs >= -5000
  const againS = configuredS ?? (isKnown ? known!.everyS : undefined)
  return againS === undefined ? undefined : Math.max(isKnown ? leftMs : 0, againS * 1000) + 1000
}

function nothingFits(
  name: string,
  {
    takesNonce,
    hasXid,
    hasNonce,
    leftMs,
    kind,
    reach,
  }: {
    takesNonce: boolean
    hasXid: boolean
    hasNonce: boolean
    leftMs: number | undefined
    kind: DhcpClientKind | undefined
    reach: string
  },
): string {
  const who = `${name}${kind ? ` (${kind})` : ''}`
  const forcerenew = !takesNonce
    ? 'does not listen for FORCERENEW'
    : !hasXid
      ? `was not heard by its server yet (${reach} tells no transaction of it)`
      : !hasNonce
        ? 'was given no nonce by its server, so no FORCERENEW can be signed'
        : 'cannot be triggered'
  const renewal =
    leftMs === undefined
      ? 'when it will ask by itself is not known'
      : `it asks by itself only within ${Math.ceil(leftMs / 1000)} s, longer than a switch may take, and a lease cannot be shortened after the fact`
  const link = kind && IGNORES_CARRIER.includes(kind) ? '' : `, as a last resort its link (vms.${name}.dhcp.carrier)`
  return `${who} ${forcerenew}, and ${renewal}: configure its guest agent (vms.${name}.dhcp.guestAgent)${link}, or see docs/dhcp.md`
}
