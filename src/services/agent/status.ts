// What an agent would say of itself, read from its files and the kernel: works whether it runs or not.
import type {AgentConfig} from '../../domain/agent/config.ts'
import type {PolicyFacts} from '../../domain/agent/facts.ts'
import {detailOf, type Standing, type SwitchRecord, standingOf} from '../../domain/agent/memory.ts'
import {lookAt} from '../../domain/agent/standing.ts'
import {drainedPackets} from '../../net/nft/drain-nft.ts'
import {isListening} from '../../net/stream/unix-socket.ts'
import {publicKeyText, type SigningKey} from '../../wire/agent-message.ts'
import type {AgentKernel} from './kernel.ts'
import {readFacts} from './routes.ts'
import {siteStatus} from './running-agent.ts'
import {openStore} from './store.ts'
import type {SiteStatus} from './whereabouts.ts'

export interface AgentStatus {
  readonly schema: 'gwswitch.agent-status/1'
  readonly vm: string
  readonly running: boolean
  /** What controllers need to check this agent's answers. */
  readonly publicKey: string
  readonly interfaces: readonly InterfaceStatus[]
  /** The switch in progress, or the last one. */
  readonly last: Omit<SwitchRecord, Hidden> | undefined
  /** What was confirmed, and whether it is so now. */
  readonly standing: readonly StandingStatus[]
  /** Seconds until a pending switch is rolled back, or until open sessions leave the old gateway. */
  readonly rollbackInS?: number
  readonly drainEndsInS?: number
  /** Packets that left by the old gateway since the drain began. */
  readonly drainedPackets?: number
  /** Where it believes to be; null if it does not run. */
  readonly where: SiteStatus | null
  /** Highest sequence number by key. */
  readonly sequences: Readonly<Record<string, number>>
  readonly warnings: readonly string[]
}

const HIDING = ['changes', 'nonce', 'standing', 'standingBefore', 'staying', 'owed', 'owedBefore'] as const
type Hidden = (typeof HIDING)[number]
const HIDDEN: ReadonlySet<string> = new Set(HIDING)

export interface StandingStatus {
  readonly family: 4 | 6
  readonly gateway: string
  readonly interface: string
  readonly run: string
  readonly state: Standing['state']
  /** Why it is not in force; null if it is. */
  readonly why: string | null
}

export interface InterfaceStatus {
  readonly name: string
  readonly mac: string
  readonly family: 4 | 6
  /** The gateway in use, and the one in the main table where a rule lies over it. */
  readonly gateway: string
  readonly underlying?: string
  readonly owner?: string
}

/** @throws Failure `runtime` for a state file that cannot be understood. */
export async function agentStatus(config: AgentConfig, key: SigningKey, kernel: AgentKernel): Promise<AgentStatus> {
  const {memory} = openStore(config, kernel)
  const facts = readFacts(kernel, memory)
  const interfaces = ([4, 6] as const).flatMap((family) => {
    const {routes, overlay} = facts.families[family]
    return routes.flatMap((route): InterfaceStatus[] => {
      const nic = facts.nics.find((each) => each.index === route.interfaceIndex)
      if (nic === undefined || route.gateway === undefined) return []
      const owner = facts.ownerOf(nic.index, route)
      const over = overlay?.interfaceIndex === nic.index && overlay.gateway !== route.gateway
      return [
        {
          ...{name: nic.name, mac: nic.mac, family, gateway: over ? overlay.gateway : route.gateway},
          ...(over ? {underlying: route.gateway} : {}),
          ...(owner === undefined ? {} : {owner}),
        },
      ]
    })
  })
  const {last} = memory
  const left = (until: {uptimeMs: number; bootId: string} | undefined): number | undefined =>
    until?.bootId === kernel.bootId() ? Math.max(0, Math.round((until.uptimeMs - kernel.uptime()) / 1000)) : undefined
  const rollbackInS = last?.phase === 'applied' || last?.phase === 'applying' ? left(last.deadline) : undefined
  const drainEndsInS = left(last?.drainUntil)
  const packets = drainEndsInS === undefined ? undefined : await drainedPackets()
  const running = config.socket !== undefined && (await isListening(config.socket))
  return {
    ...{schema: 'gwswitch.agent-status/1', vm: config.vm, publicKey: publicKeyText(key.privateKey), interfaces},
    running,
    where: (running && (await siteStatus(config.socket))) || null,
    last: last && shown(last),
    standing: standingNow(last, facts),
    ...(rollbackInS === undefined ? {} : {rollbackInS}),
    ...(drainEndsInS === undefined ? {} : {drainEndsInS}),
    ...(packets === undefined ? {} : {drainedPackets: packets}),
    sequences: Object.fromEntries(Object.entries(memory.keys).map(([kid, {seq}]) => [kid, seq])),
    warnings: warningsOf(
      config,
      facts.nics.map(({name}) => name),
      kernel,
    ),
  }
}

const shown = (record: SwitchRecord): AgentStatus['last'] =>
  Object.fromEntries(Object.entries(record).filter(([key]) => !HIDDEN.has(key))) as AgentStatus['last']

/** As it is now, which an agent that does not run has not noticed. */
function standingNow(last: SwitchRecord | undefined, facts: PolicyFacts): StandingStatus[] {
  const families = [4, 6] as const
  return lookAt(standingOf(last), families, facts, facts.nowMs).standing.map(({change, run, state, why}) => ({
    ...{family: change.family, gateway: change.to, interface: change.interfaceName, run, state},
    why: why ?? null,
  }))
}

/** rp_filter (ip-sysctl): the strict mode drops what comes back by another interface than traffic leaves by. */
function warningsOf(config: AgentConfig, names: readonly string[], kernel: AgentKernel): string[] {
  const strict = names.filter(
    (name) => name !== 'lo' && kernel.read(`/proc/sys/net/ipv4/conf/${name}/rp_filter`)?.trim() === '1',
  )
  return [
    ...(config.trusted.length === 0 ? [`${config.file}: no trusted key: nobody can give orders`] : []),
    ...(config.probes.length === 0 ? [`${config.file}: no probes: a switch needs --probe or --confirm-within`] : []),
    ...(strict.length > 1
      ? [`rp_filter is strict on ${strict.join(', ')}: answers that come in by another of them are dropped`]
      : []),
  ]
}

/** Lines for people. */
export function statusText(status: AgentStatus): string[] {
  const {last} = status
  const age = (atMs: number): string => `${Math.max(0, Math.round((Date.now() - atMs) / 1000))} s ago`
  return [
    `${status.vm}: agent ${status.running ? 'runs' : 'does not run'}; key ${status.publicKey}`,
    ...status.interfaces.map(
      ({name, mac, family, gateway, underlying, owner}) =>
        `  ${name} (${mac}) IPv${family} gateway ${gateway}${underlying ? `, by rule over ${underlying}` : ''}${owner ? `; route owned by ${owner}` : ''}`,
    ),
    last === undefined
      ? '  no switch so far'
      : `  run ${last.run} by ${last.kid}: ${last.state}${last.phase === 'done' ? '' : ` (${last.phase})`}, mode ${last.mode}, ${age(last.startedAt)}${last.reason ? `; ${last.reason}: ${detailOf(last) ?? ''}` : ''}`,
    ...status.standing.map(
      ({family, gateway, interface: name, run, state, why}) =>
        `  IPv${family} gateway ${gateway} on ${name} (run ${run}): ${STATES[state]}${why === null ? '' : `: ${why}`}`,
    ),
    ...(status.where === null ? [] : whereText(status.where)),
    ...(status.rollbackInS === undefined ? [] : [`  rolls back in ${status.rollbackInS} s unless confirmed`]),
    ...(status.drainEndsInS === undefined
      ? []
      : [
          `  open sessions stay on the old gateway for ${status.drainEndsInS} s more (${status.drainedPackets ?? 0} packets so far)`,
        ]),
  ]
}

const STATES: Readonly<Record<Standing['state'], string>> = {
  in_force: 'in force',
  withdrawn: 'withdrawn',
  lost: 'not in use any more',
}

function whereText({beacons, site, phase, heard, counts, note}: SiteStatus): string[] {
  const ignored = Object.entries(counts.ignored).map(([reason, count]) => `${count} ${reason}`)
  const busy = phase === 'settled' ? '' : ` (${phase.replace('_', ' ')})`
  return [
    ...(beacons
      ? [
          `  site ${site ?? 'not known'}${busy}; ${counts.heeded} beacons heard${ignored.length > 0 ? `, ignored: ${ignored.join(', ')}` : ''}`,
        ]
      : []),
    ...heard.map(
      (each) => `  beacon of ${each.site} by ${each.kid}, ${each.ageS} s ago: gateway ${each.gateways.join(' and ')}`,
    ),
    ...(note === null
      ? []
      : [
          `  last note ${note.ageS} s ago (${note.why}, sent ${note.sent === 1 ? 'once' : `${note.sent} times`}): ${note.site === null ? 'site not known' : `asked for the gateway of site ${note.site}`}`,
        ]),
  ]
}
