// `gwswitch filter check --watch`: looks at the filters of this host again and again, and with --fail-open lifts those of a
// segment while its own gateway is dead.
import {CLOSED, type FailOpenState, failOpen, watchedGateways} from '../../domain/filter/fail-open.ts'
import {filterTable, nftRemove} from '../../domain/filter/nft-text.ts'
import type {MeantFilter} from '../../domain/filter/record.ts'
import {type Inventory, neededSegment, neededSite} from '../../domain/inventory/site.ts'
import type {World} from '../../net/world.ts'
import {applyFilters, inspectFilters, recordedFilters} from '../../orders/filter/apply.ts'
import {aloneWithFilters} from '../../orders/filter/converge.ts'
import {faultsOf} from '../../orders/filter/filter-document.ts'
import type {FilterWorld} from '../../probe/filter/filter-world.ts'
import {filterHost, readFilterRecord} from '../../probe/filter/host.ts'
import {askGateways} from '../../probe/gateways.ts'
import {ANY_IPV4} from '../../wire/address.ts'
import {vlanTag} from '../../wire/ethernet.ts'

export interface WatchRequest {
  /** Empty: all that were applied here. */
  readonly segments: readonly string[]
  readonly everyMs: number
  /** Undefined: only look. */
  readonly failOpen: {readonly site: string; readonly inventory: Inventory; readonly holdMs: number} | undefined
}

export interface WatchEvent {
  /** CLOCK_REALTIME, ISO 8601. */
  readonly at: string
  readonly text: string
}

export interface WatchStage {
  readonly world: World
  readonly host: FilterWorld
  readonly signal: AbortSignal
  tell(event: WatchEvent): void
}

export interface WatchDocument {
  readonly schema: 'gwswitch.filter-watch/1'
  readonly events: readonly WatchEvent[]
  readonly exitCode: number
}

/** Until it is stopped; what it lifted is put back then. @throws Failure `usage` where no filter was applied. */
export async function watchFilters(request: WatchRequest, stage: WatchStage): Promise<WatchDocument> {
  const events: WatchEvent[] = []
  const say = (text: string): void => {
    const event = {at: new Date(Number(stage.world.now() / 1_000_000n)).toISOString(), text}
    events.push(event)
    stage.tell(event)
  }
  const segments = segmentsOf(recordedFilters(request.segments)(await filterHost(stage.host)).filters)
  const doors = new Map(request.failOpen ? segments.map((name) => [name, door(name, request, stage, say)]) : [])
  let before = ''
  try {
    while (!stage.signal.aborted) {
      for (const each of doors.values()) await each.look()
      const now = await stateText(request, stage, (name) => doors.get(name)?.isLifted() === true)
      if (now !== before) say(now)
      before = now
      await stage.world.sleep(request.everyMs, stage.signal)
    }
  } catch (error) {
    if (!stage.signal.aborted) throw error
  } finally {
    for (const each of doors.values()) await each.close()
  }
  return {schema: 'gwswitch.filter-watch/1', events, exitCode: 0}
}

const segmentsOf = (filters: readonly MeantFilter[]): string[] => [
  ...new Set(filters.map(({intent}) => intent.segment.segment)),
]

/** What `filter check` says, in one line. */
async function stateText(
  {segments}: WatchRequest,
  {host}: WatchStage,
  isLifted: (segment: string) => boolean,
): Promise<string> {
  const found = await inspectFilters(recordedFilters(segments), host)
  return faultsOf(found, isLifted).join('; ') || 'as meant'
}

/** The filters of one segment, which give way while its gateways here are dead. */
function door(name: string, {failOpen: how}: WatchRequest, stage: WatchStage, say: (text: string) => void) {
  const {site, inventory, holdMs} = how!
  const {world, host, signal} = stage
  neededSite(inventory, site)
  const gateways = watchedGateways(neededSegment(inventory, name), site)
  const names = gateways.map((each) => each.name).join(' and ')
  let state: FailOpenState = CLOSED
  const mine = (): MeantFilter[] => readFilterRecord(host).filters.filter(({intent}) => intent.segment.segment === name)
  const restore = async (): Promise<void> => {
    if (mine().length > 0) await applyFilters(recordedFilters([name]), host, {dryRun: false})
  }
  return {
    isLifted: () => state.lifted,
    async look(): Promise<void> {
      const alive = await answers(gateways, mine(), stage)
      const step = failOpen(state, alive, Number(world.now() / 1_000_000n), holdMs)
      state = step.state
      if (step.action === 'lift') {
        await lift(mine(), host)
        say(
          `${name}: ${names} of site ${site} is dead: the filter is lifted, and VMs here may use another site's gateway`,
        )
      } else if (step.action === 'restore') {
        await restore()
        say(`${name}: ${names} of site ${site} has answered for ${holdMs / 1000} s: the filter is back`)
      }
      signal.throwIfAborted()
    },
    async close(): Promise<void> {
      if (!state.lifted) return
      await restore()
      state = CLOSED
      say(`${name}: the filter is back, nobody watches any more`)
    },
  }
}

/** The record stays: what is meant is no other. */
const lift = (filters: readonly MeantFilter[], host: FilterWorld): Promise<void> =>
  aloneWithFilters(host, () =>
    host.loadNft(filters.map(({hook, intent}) => nftRemove(hook, filterTable(intent))).join('')),
  )

/** Asked by ARP from the bridge of the filter's ports, tagged where the segment is; by one of them is enough. */
async function answers(
  gateways: readonly {readonly ip: string; readonly mac: string}[],
  filters: readonly MeantFilter[],
  {world, host, signal}: WatchStage,
): Promise<boolean> {
  const ports = filters.flatMap(({intent}) => intent.ports)
  const bridge = (await host.links()).find(({name, bridge}) => bridge !== undefined && ports.includes(name))?.bridge
  if (bridge === undefined) return true
  const intent = filters[0]!.intent
  const isTagged = typeof intent.vlan === 'number' && intent.untagged.length === 0
  const seen = await askGateways(
    {
      ...{interfaceName: bridge, source: ANY_IPV4, vlan: isTagged ? vlanTag(intent.vlan as number) : undefined},
      ...{gateways, known: gateways.map(({mac}) => mac), destinations: []},
    },
    world,
    signal,
  )
  return seen.some(({resolved}) => resolved === 'yes')
}
