// What was confirmed is followed: an overlay goes with what it lies over, and comes back with it; what is confirmed and is so
// no more is said. Pure.
import type {NicFacts, PolicyFacts} from './facts.ts'
import type {RouteChange, SavedRoute, Standing} from './memory.ts'

type Surroundings = Pick<PolicyFacts, 'families' | 'nics'>

export interface Followed {
  readonly standing: readonly Standing[]
  /** Overlays that are to be there, on the NIC's index as it is now; and those that are to go. */
  readonly hold: readonly RouteChange[]
  readonly withdraw: readonly RouteChange[]
  readonly say: readonly string[]
}

/** What the owner's routes make of each overlay. */
export function follow(standing: readonly Standing[], facts: Surroundings, nowMs: number): Followed {
  const each = standing.map((one) => followOne(one, facts, nowMs))
  return {
    standing: each.map((one) => one.standing),
    hold: each.flatMap((one) => one.hold ?? []),
    withdraw: each.flatMap((one) => one.withdraw ?? []),
    say: each.flatMap((one) => one.say ?? []),
  }
}

interface FollowedOne {
  readonly standing: Standing
  readonly hold?: RouteChange
  readonly withdraw?: RouteChange
  readonly say?: string
}

function followOne(standing: Standing, facts: Surroundings, nowMs: number): FollowedOne {
  const {change, state} = standing
  if (change.overlay === undefined || change.overlay.after === null) return {standing}
  const owner = ownersOf(change, facts)
  if (typeof owner === 'string') {
    // Rules are there also when the route went with its interface; and an undoing may have put it all back meanwhile.
    const isThere = state !== 'withdrawn' || facts.families[change.family].overlay !== undefined
    const withdraw = isThere ? {withdraw: change} : {}
    if (state === 'withdrawn' && standing.why === owner) return {standing, ...withdraw}
    const withdrawn = {...standing, state: 'withdrawn', why: owner, sinceMs: nowMs} as const
    return {standing: withdrawn, say: `${nameOf(change)} is withdrawn: ${owner}`, ...withdraw}
  }
  const here = onto(change, owner, facts.nics)
  if (state !== 'withdrawn') return {standing: here === change ? standing : {...standing, change: here}, hold: here}
  const {why: _, ...rest} = standing
  const again = {...rest, change: here, state: 'in_force', sinceMs: nowMs} as const
  return {standing: again, hold: here, say: `${nameOf(here)} is in force again: its owner's route is as it was`}
}

const nameOf = ({family, to, interfaceName}: RouteChange): string =>
  `the IPv${family} gateway ${to} on ${interfaceName}`

/** The owner's route that an overlay lies over, as it is now; or in words why it is not what it was. */
function ownersOf({family, overlay, interfaceName, to, ...nic}: RouteChange, {families, nics}: Surroundings) {
  const {routes} = families[family]
  const [first] = routes
  if (first === undefined) return `${interfaceName} has no IPv${family} default route any more`
  const best = routes.filter(({metric}) => metric === first.metric)
  const own = best.filter((route) => isNic(nic, route.interfaceIndex, nics))
  const from = overlay!.route.gateway
  const same = own.find(({gateway}) => gateway === from)
  if (same !== undefined) return same
  const [other] = own
  if (other === undefined) return `the default route is that of ${nicName(first, nics)} now`
  return other.gateway === to
    ? `its owner's own route leads to ${to} now`
    : `its owner has moved the default route to ${other.gateway ?? 'no gateway'}`
}

const nicName = ({interfaceIndex}: SavedRoute, nics: readonly NicFacts[]): string =>
  nics.find(({index}) => index === interfaceIndex)?.name ?? `interface ${interfaceIndex}`

/** By MAC: one that was replugged has another index. What an older agent wrote has none. */
const isNic = (
  {mac, interfaceIndex}: Pick<RouteChange, 'mac' | 'interfaceIndex'>,
  index: number,
  nics: readonly NicFacts[],
): boolean =>
  mac === undefined ? interfaceIndex === index : nics.some((nic) => nic.index === index && nic.mac === mac)

function onto(change: RouteChange, route: SavedRoute, nics: readonly NicFacts[]): RouteChange {
  if (route.interfaceIndex === change.interfaceIndex) return change
  const interfaceName = nicName(route, nics)
  return {...change, interfaceIndex: route.interfaceIndex, interfaceName, overlay: {...change.overlay!, route}}
}

export interface LookedAt {
  readonly standing: readonly Standing[]
  /** Not so for the first time: an owner that starts again takes a moment. */
  readonly doubted: readonly (4 | 6)[]
  /** Confirmed, and so no more; each once. */
  readonly lost: readonly Standing[]
  readonly say: readonly string[]
}

/** Whether what was confirmed is so, by where the kernel sends. */
export function lookAt(
  standing: readonly Standing[],
  doubted: readonly (4 | 6)[],
  facts: Surroundings,
  nowMs: number,
): LookedAt {
  const found: {standing: Standing[]; doubted: (4 | 6)[]; lost: Standing[]; say: string[]} = {
    ...{standing: [], doubted: [], lost: [], say: []},
  }
  for (const each of standing) {
    const {change, state} = each
    const why = each.state === 'withdrawn' ? undefined : otherUse(each, facts)
    if (why === undefined && state === 'lost') {
      const {why: _, ...rest} = each
      found.standing.push({...rest, state: 'in_force', sinceMs: nowMs})
      found.say.push(`${nameOf(change)} is in use again`)
    } else if (why !== undefined && state === 'in_force' && doubted.includes(change.family)) {
      const lost = {...each, state: 'lost', why, sinceMs: nowMs} as const
      found.standing.push(lost)
      found.lost.push(lost)
      found.say.push(`${nameOf(change)}, confirmed in run ${each.run}, is not in use any more: ${why}`)
    } else if (why !== undefined && state === 'lost' && why !== each.why) {
      // Said once; what is used in its place may be another by now.
      found.standing.push({...each, why})
    } else {
      found.standing.push(each)
      if (why !== undefined && state === 'in_force') found.doubted.push(change.family)
    }
  }
  return found
}

/** What is used in place of what was confirmed, in words; undefined if that is. */
function otherUse({change, aside}: Standing, {families, nics}: Surroundings): string | undefined {
  const {family, to, spare} = change
  const {routes, overlay, inUse} = families[family]
  if (spare || aside) {
    const own = overlay !== undefined && isNic(change, overlay.interfaceIndex, nics) ? overlay : undefined
    const route = own ?? routes.find(({interfaceIndex}) => isNic(change, interfaceIndex, nics))
    if (route?.gateway === to) return undefined
    return route === undefined ? 'its default route is gone' : `its default route leads to ${route.gateway}`
  }
  if (inUse === undefined) return `there is no IPv${family} default route`
  if (inUse.gateway === to && isNic(change, inUse.interfaceIndex, nics)) return undefined
  const name = nics.find(({index}) => index === inUse.interfaceIndex)?.name ?? `interface ${inUse.interfaceIndex}`
  return inUse.gateway === undefined ? `the VM sends out of ${name}` : `the VM sends by ${inUse.gateway} (${name})`
}
