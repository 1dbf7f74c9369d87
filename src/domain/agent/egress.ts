// What a change of the default route moves: judged by where the kernel would send each kind of the VM's traffic.
import type {AgentReason} from '../../wire/agent-message.ts'

/** Why something is not done, or not so. */
export interface Why {
  readonly reason?: AgentReason
  readonly detail?: string
}

/** A kind of traffic, and where it would leave. */
export interface Way {
  /** `ordinary`: what the VM sends to anywhere. `part`: what a route or a rule of its own is for. */
  readonly kind: 'ordinary' | 'part'
  /** In words: "what is sent from 10.0.0.10", "203.0.113.0/24". */
  readonly what: string
  /** Undefined where it needs none, or goes nowhere. */
  readonly gateway: string | undefined
  /** 0: it goes nowhere. */
  readonly interfaceIndex: number
  readonly interfaceName: string
  /** Whether the default route decides, of the main table or of ours over it: then it goes where that goes. */
  readonly byDefault: boolean
  /** The route that decides, in words: "0.0.0.0/1", "the default route of table 100". */
  readonly route: string
}

/** A default route's change of gateway, as far as it is judged. */
export interface Move {
  readonly from: string
  readonly to: string
  readonly interfaceIndex: number
}

/** Parts that are named; more are counted. */
const NAMED = 4

const goesBy = (gateway: string, {interfaceIndex}: Pick<Move, 'interfaceIndex'>, way: Way): boolean =>
  way.gateway === gateway && way.interfaceIndex === interfaceIndex

export const wayText = ({gateway, interfaceIndex, interfaceName}: Way): string =>
  interfaceIndex === 0
    ? 'nowhere'
    : gateway === undefined
      ? `out of ${interfaceName}`
      : `by ${gateway} (${interfaceName})`

const ordinaryOf = (ways: readonly Way[]): readonly Way[] => ways.filter(({kind}) => kind === 'ordinary')

/** Whether all that is ordinary takes a gateway. */
export const allTake = (ways: readonly Way[], gateway: string, interfaceIndex: number): boolean =>
  ordinaryOf(ways).every((way) => goesBy(gateway, {interfaceIndex}, way))

/** Why changing the default route would leave the VM's ordinary traffic where it is; undefined if it would not. */
export function hindrance(ways: readonly Way[], move: Omit<Move, 'to'>): string | undefined {
  const fixed = ordinaryOf(ways).find((way) => goesBy(move.from, move, way) && !way.byDefault)
  if (fixed !== undefined) return `${fixed.what} goes by ${move.from} whatever the default route is: by ${fixed.route}`
  if (ways.some((way) => goesBy(move.from, move, way) && way.byDefault)) return undefined
  const [first] = ordinaryOf(ways)
  return `nothing takes the default route by ${move.from}${first === undefined ? '' : `: ${first.what} goes ${wayText(first)}, by ${first.route}`}`
}

/** What a change has moved. */
export interface Moved {
  /** Why it has not moved what it was for. */
  readonly wrong?: Required<Why>
  /** What has stayed behind, or goes past the gateway. */
  readonly partial?: string
}

/** @param ways where everything goes since the change */
export function judgeMove(ways: readonly Way[], move: Move): Moved {
  const behind = ways.filter((way) => goesBy(move.from, move, way))
  const stays = behind.find(({kind}) => kind === 'ordinary')
  if (stays !== undefined) {
    return {wrong: {reason: 'mode', detail: `${stays.what} still goes by ${move.from}, by ${stays.route}`}}
  }
  const nowhere = ordinaryOf(ways).find(({interfaceIndex}) => interfaceIndex === 0)
  if (nowhere !== undefined) return {wrong: {reason: 'probe_failed', detail: `${nowhere.what} goes nowhere`}}
  if (!ways.some((way) => goesBy(move.to, move, way))) {
    return {wrong: {reason: 'mode', detail: `nothing takes ${move.to} since the change`}}
  }
  const aside = ordinaryOf(ways).find((way) => !goesBy(move.to, move, way))
  const parts = [
    ...(aside === undefined ? [] : [`${aside.what} goes ${wayText(aside)}`]),
    ...(behind.length === 0 ? [] : [`${listed(behind.map(({what}) => what))} still by ${move.from}`]),
  ]
  return parts.length === 0 ? {} : {partial: parts.join('; ')}
}

function listed(all: readonly string[]): string {
  const distinct = [...new Set(all)]
  const more = distinct.length - NAMED
  return more > 0 ? `${distinct.slice(0, NAMED).join(', ')} and ${more} more` : distinct.join(', ')
}
