// Puts the old gateway back, as far as that can be done now: an interface may be down, or another program be at work. And
// takes everything of ours away.
import type {RouteChange} from '../../domain/agent/memory.ts'
import {RT_TABLE_MAIN} from '../../net/netlink/netlink-message.ts'
import {inOwnTable} from '../../net/netlink/route-message.ts'
import type {AgentKernel} from './kernel.ts'
import {takeAllRules} from './overlay-rules.ts'
import {clearOwnTables, drains, endDrain, FAMILIES, overlayRoute, undo} from './routes.ts'

export interface Undone {
  /** What is not as it was; undefined if everything is. */
  readonly trouble: string | undefined
  /** Interfaces that are no more. Their routes went with them: there is nothing to put back, and nothing to put it on. */
  readonly gone: readonly string[]
  /** What is to be tried again. */
  readonly left: readonly RouteChange[]
}

/**
 * One attempt at all of it: what fails keeps nothing else from being undone. `keepDrain`: what drains now is a later
 * switch's.
 */
export async function undoChanges(
  kernel: AgentKernel,
  changes: readonly RouteChange[],
  keepDrain = false,
): Promise<Undone> {
  const troubles: string[] = []
  const gone = new Set<string>()
  const left: RouteChange[] = []
  for (const change of changes) {
    const trouble = await troubleOf(() => undo(kernel, [withoutDrain(change)]))
    if (trouble === undefined) continue
    const absent = absence(kernel, change)
    const rules = absent && change.overlay && (await troubleOf(() => undo(kernel, [withoutOverlay(change)])))
    if (absent !== undefined) gone.add(absent)
    if (absent !== undefined && rules === undefined) continue
    left.push(change)
    const what =
      rules === undefined ? `gateway ${change.from} on ${change.interfaceName}: ${trouble}` : `rules: ${rules}`
    troubles.push(`IPv${change.family} ${what}`)
  }
  const trouble = await troubleOf(async () => {
    // One that was not over when the switch began is still there, if the switch did not come far.
    if (!keepDrain && (changes.some(({mode}) => mode === 'drain') || drains(kernel))) await endDrain(kernel)
  })
  if (trouble !== undefined) troubles.push(`drain: ${trouble}`)
  return {trouble: troubles.length === 0 ? undefined : troubles.join('; '), gone: [...gone], left}
}

/**
 * Takes away whatever is ours: rules, tables, the drain; first undoes `changes`, a switch that was not decided. Where nothing
 * but our overlay leads anywhere, its route goes to the main table. Returns what could not be done.
 */
export async function removeAll(kernel: AgentKernel, changes: readonly RouteChange[]): Promise<string | undefined> {
  const {trouble} = await undoChanges(kernel, changes)
  const troubles = trouble === undefined ? [] : [trouble]
  const attempt = async (what: string, act: () => void | Promise<void>): Promise<void> => {
    const why = await troubleOf(async () => act())
    if (why !== undefined) troubles.push(`${what}: ${why}`)
  }
  await attempt('drain', () => endDrain(kernel))
  for (const family of FAMILIES) {
    await attempt(`IPv${family} default route`, () => {
      const route = overlayRoute(kernel, family)
      if (route?.gateway === undefined || kernel.defaultRoutes(family, RT_TABLE_MAIN).length > 0) return
      kernel.replace(inOwnTable(route, RT_TABLE_MAIN, route.gateway), true)
    })
    await attempt(`IPv${family} rules`, () => takeAllRules(kernel, family))
    await attempt(`IPv${family} tables`, () => clearOwnTables(kernel, family))
  }
  return troubles.length === 0 ? undefined : troubles.join('; ')
}

/** Both families drain, or none does: the drain ends when the gateways of both are back, also if one cannot be. */
const withoutDrain = (change: RouteChange): RouteChange =>
  change.mode === 'drain' ? {...change, mode: 'rule'} : change

const withoutOverlay = (change: RouteChange): RouteChange => ({
  ...withoutDrain(change),
  ...(change.overlay && {overlay: {...change.overlay, before: null, after: null}}),
})

async function troubleOf(act: () => Promise<void>): Promise<string | undefined> {
  try {
    await act()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** What there is no more to put a route on, in words; undefined if that is there, or it is not known: then it is tried again. */
function absence(kernel: AgentKernel, {family, interfaceIndex, interfaceName, mac}: RouteChange): string | undefined {
  try {
    const nic = kernel.links().find((link) => link.index === interfaceIndex || (mac !== undefined && link.mac === mac))
    if (nic === undefined) return interfaceName
    const off = family === 6 ? kernel.read(`/proc/sys/net/ipv6/conf/${nic.name}/disable_ipv6`)?.trim() : undefined
    return off === '1' ? `IPv6 on ${nic.name}` : undefined
  } catch {
    return undefined
  }
}
