// Whether a change has moved what it was for: by where the kernel sends since, and by what answers that way.
import {allTake, judgeMove, type Why, wayText} from '../../domain/agent/egress.ts'
import type {RouteChange} from '../../domain/agent/memory.ts'
import type {Proof} from '../../domain/agent/switchover-state.ts'
import {isIpv4} from '../../wire/address.ts'
import {waysOf, waysTo} from './egress.ts'
import type {AgentKernel} from './kernel.ts'
import {trialOf, tryGateways} from './try-gateways.ts'

interface Asked {
  readonly probes: readonly string[]
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Families are looked at one by one; the first that is wrong is told. @throws Error of the kernel's */
export async function proveMove(kernel: AgentKernel, changes: readonly RouteChange[], asked: Asked): Promise<Proof> {
  const partial: string[] = []
  const aside: (4 | 6)[] = []
  for (const change of changes) {
    const silent = await silentBeyond(kernel, change, asked)
    if (silent === 'elsewhere') return {kind: 'proved', silent: undefined, wrong: elsewhere(kernel, change, asked)}
    if (silent) return {kind: 'proved', silent: change.to}
    // Last of all: what is said is so now.
    const ways = waysOf(kernel, change.family, boundTo(change))
    const moved = judgeMove(ways, change)
    if (moved.wrong !== undefined) return {kind: 'proved', silent: undefined, wrong: moved.wrong}
    if (moved.partial !== undefined) partial.push(moved.partial)
    if (!allTake(ways, change.to, change.interfaceIndex)) aside.push(change.family)
  }
  return {kind: 'proved', silent: undefined, aside, ...(partial.length === 0 ? {} : {partial: partial.join('; ')})}
}

const boundTo = ({spare, interfaceIndex}: RouteChange) => (spare ? {bound: interfaceIndex} : {})

const ofFamily = ({family}: RouteChange, probes: readonly string[]): readonly string[] =>
  probes.filter((probe) => isIpv4(probe) === (family === 4))

/**
 * Whether nothing beyond the new gateway answers. By the way that ordinary traffic takes; where that goes past it, as by a
 * tunnel, by marked packets. `elsewhere`: the kernel sends to no probe by that gateway, and to none by another interface.
 */
export async function silentBeyond(
  kernel: AgentKernel,
  change: RouteChange,
  {probes, timeoutMs, signal}: Asked,
): Promise<boolean | 'elsewhere'> {
  const own = ofFamily(change, probes)
  if (own.length === 0) return false
  const through = own.filter((probe) => goesThrough(kernel, change, probe))
  if (through.length > 0) {
    const device = change.spare ? {interfaceName: change.interfaceName} : {}
    const {answered} = await kernel.echoAny(through, {...device, timeoutMs, signal})
    return answered === undefined
  }
  const ways = waysTo(kernel, change.family, own, boundTo(change))
  if (ways.some(({interfaceIndex}) => interfaceIndex === change.interfaceIndex || interfaceIndex === 0))
    return 'elsewhere'
  return (await tryGateways(kernel, trialOf([change], own, 'to'), timeoutMs, signal)) !== undefined
}

const goesThrough = (kernel: AgentKernel, change: RouteChange, probe: string): boolean =>
  allTake(waysTo(kernel, change.family, [probe], boundTo(change)), change.to, change.interfaceIndex)

function elsewhere(kernel: AgentKernel, change: RouteChange, {probes}: Asked): Required<Why> {
  const [way] = waysTo(kernel, change.family, ofFamily(change, probes), boundTo(change))
  const where = way === undefined ? 'nowhere' : wayText(way)
  return {reason: 'probe_failed', detail: `${way?.what ?? 'the probe'} goes ${where}, not by ${change.to}`}
}
