// Whether the filter that is meant still stands on this host: looked at again and again, as `filter check` looks, and said
// when it changes.
import {isNothing} from '../../domain/filter/record.ts'
import type {Inventory} from '../../domain/inventory/site.ts'
import type {World} from '../../net/world.ts'
import {inspectFilters} from '../../orders/filter/apply.ts'
import {type FilterDocument, faultsOf} from '../../orders/filter/filter-document.ts'
import {meantHere} from '../../orders/filter/run-filter.ts'
import type {FilterWorld} from '../../probe/filter/filter-world.ts'
import {readFilterRecord} from '../../probe/filter/host.ts'

/** For `status` and metrics. */
export interface FilterSight {
  /** `none`: none is meant here. `unknown`: not looked at yet, or it cannot be. */
  readonly state: FilterDocument['state'] | 'none' | 'unknown'
  /** Since the look. */
  readonly agoS: number | null
  /** What is not as it is meant, or why nobody can say, and what else is to be known. */
  readonly evidence: readonly string[]
  readonly filters: readonly Pick<FilterDocument['filters'][number], 'segment' | 'ports' | 'state'>[]
  /** What stands here for filters that do not. */
  readonly orphans: number
}

/** What a look came to. */
export type Look = Omit<FilterSight, 'agoS'> & {
  /** What is wrong; empty where nothing is. */
  readonly faults: readonly string[]
}

export interface FilterSightStage {
  readonly world: World
  readonly host: FilterWorld
  readonly signal: AbortSignal
  log(line: string, fields?: Record<string, unknown>): void
}

/** Between two looks, ms. */
const LOOK_MS = 15_000
/** What is meant here by record and inventory. */
const CALL = {
  hook: 'bridge',
  order: {ports: [], segments: [], inboundMoves: false, gatewayMacs: false, keepInbound: [], force: false},
} as const

const NOT_YET: Look = {state: 'unknown', evidence: [], faults: [], filters: [], orphans: 0}

/** What is said after a look; undefined: nothing, for it is as it was, or as it should be from the beginning. @internal */
export function filterNews(before: Look | undefined, {state, faults}: Look): string | undefined {
  const isFine = state === 'as-meant' || state === 'none'
  const isSame = before?.state === state && before.faults.join() === faults.join()
  if (isSame || (before === undefined && isFine)) return undefined
  switch (state) {
    case 'unknown':
      return `the filter cannot be looked at: ${faults.join('; ')}`
    case 'none':
      return 'filter: none is meant here any more'
    case 'as-meant':
      return 'filter: as meant'
    default:
      return `filter: ${faults.join('; ')}`
  }
}

/** Looks until it is closed. */
export function filterSight(first: Inventory, {world, host, signal, log}: FilterSightStage) {
  let inventory = first
  let last: Look | undefined
  let atMs = 0
  const ending = new AbortController()
  const end = AbortSignal.any([signal, ending.signal])
  let wake = new AbortController()
  const there = lastingCompilation(host)

  async function keepLooking(): Promise<void> {
    while (!end.aborted) {
      wake = new AbortController()
      const now = await lookAt(inventory, there)
      if (end.aborted) return
      const news = filterNews(last, now)
      if (news !== undefined) log(news, {event: 'filter', state: now.state, faults: now.faults})
      last = now
      atMs = performance.now()
      await world.sleep(LOOK_MS, AbortSignal.any([end, wake.signal])).catch(() => {})
    }
  }
  const work = keepLooking()
  return {
    get sight(): FilterSight {
      const {faults: _, ...seen} = last ?? NOT_YET
      return {...seen, agoS: last === undefined ? null : Math.round((performance.now() - atMs) / 100) / 10}
    },
    /** Another inventory counts; it is looked at now. */
    reload(next: Inventory): void {
      inventory = next
      wake.abort()
    },
    async close(): Promise<void> {
      ending.abort()
      await work
    },
  }
}

/** Never rejects. */
async function lookAt(inventory: Inventory, host: FilterWorld): Promise<Look> {
  try {
    const record = readFilterRecord(host)
    const meant = meantHere(CALL, inventory, {record, links: await host.links(), tables: [], old: undefined})
    // Where none is meant nobody needs the right to look.
    if (meant.filters.length === 0 && isNothing(record.made)) return {...NOT_YET, state: 'none'}
    const found = await inspectFilters((now) => meantHere(CALL, inventory, now), host)
    const {state, notes, filters, orphans} = found
    const faults = faultsOf(found)
    return {
      ...{state, faults, evidence: [...faults, ...notes], orphans: orphans.length},
      filters: filters.map(({segment, ports, state: of}) => ({segment, ports, state: of})),
    }
  } catch (error) {
    const faults = [(error as Error).message]
    return {...NOT_YET, faults, evidence: faults}
  }
}

/** What a kernel makes of a text does not change: it is asked again for another text alone. */
function lastingCompilation(host: FilterWorld): FilterWorld {
  const known = new Map<string, {readonly key: string; readonly tables: ReturnType<FilterWorld['compileTables']>}>()
  return {
    ...host,
    compileTables(ruleset, family, devices) {
      const key = JSON.stringify([ruleset, devices])
      const last = known.get(family)
      if (last?.key === key) return last.tables
      const tables = host.compileTables(ruleset, family, devices)
      known.set(family, {key, tables})
      tables.catch(() => known.delete(family))
      return tables
    },
  }
}
