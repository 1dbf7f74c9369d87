// When a filter gives way: while the gateway of its own site is dead, the other site's is better than none.
import {usage} from '../../errors.ts'
import type {Mac} from '../../wire/address.ts'
import {type Gateway, gatewaysAtSite, type Segment} from '../inventory/site.ts'

/** Questions in a row that nobody answers. */
const DEAD_AFTER = 3

export interface FailOpenState {
  readonly lifted: boolean
  /** Unanswered questions in a row. */
  readonly missed: number
  /** Since when it has answered every question, ms; undefined: it did not answer the last one. */
  readonly aliveSinceMs: number | undefined
}

export const CLOSED: FailOpenState = {lifted: false, missed: 0, aliveSinceMs: undefined}

export interface FailOpenStep {
  readonly state: FailOpenState
  /** What is to be done now. */
  readonly action: 'lift' | 'restore' | undefined
}

/** One question more was answered or not, at a time in ms. A gateway that is back has to stay so for `holdMs`. */
export function failOpen(state: FailOpenState, alive: boolean, nowMs: number, holdMs: number): FailOpenStep {
  const missed = alive ? 0 : state.missed + 1
  const aliveSinceMs = alive ? (state.aliveSinceMs ?? nowMs) : undefined
  if (!state.lifted && missed >= DEAD_AFTER) return {state: {lifted: true, missed, aliveSinceMs}, action: 'lift'}
  const isBack = aliveSinceMs !== undefined && nowMs - aliveSinceMs >= holdMs
  if (state.lifted && isBack) return {state: {lifted: false, missed, aliveSinceMs}, action: 'restore'}
  return {state: {lifted: state.lifted, missed, aliveSinceMs}, action: undefined}
}

/**
 * The gateways whose death lifts the filter of a segment.
 * @throws Failure `usage` where they cannot be told from another site's: with the filter off, those answer in their stead.
 */
export function watchedGateways(segment: Segment, site: string): readonly Gateway[] {
  const local = gatewaysAtSite(segment, site)
  if (local.length === 0) throw usage(`segment ${segment.name} has no gateway at site ${site}`)
  const others = new Set<Mac>(segment.gateways.filter((each) => each.site !== site).map(({mac}) => mac))
  const twin = local.find(({mac}) => others.has(mac))
  if (twin === undefined) return local
  throw usage(
    `segment ${segment.name}: ${twin.name} is at ${twin.mac} as another site's gateway is, so that its death cannot be seen while the filter is off`,
  )
}
