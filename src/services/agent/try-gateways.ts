// Proves that a gateway forwards before any traffic of the VM goes through it: marked echo requests take it, nothing else
// does.
import type {SwitchPlan} from '../../domain/agent/facts.ts'
import type {RouteChange, SavedRoute} from '../../domain/agent/memory.ts'
import {NUD_FAILED, NUD_INCOMPLETE} from '../../net/netlink/neighbour-message.ts'
import {isIpv4} from '../../wire/address.ts'
import type {AgentReason} from '../../wire/agent-message.ts'
import type {AgentKernel} from './kernel.ts'
import {PROBE_MARK} from './overlay-rules.ts'
import {closeProbePath, openProbePath} from './routes.ts'

/** What a gateway is tried for. */
export type Trial = Pick<SwitchPlan, 'probes'> & {
  readonly families: readonly {
    readonly family: 4 | 6
    readonly to: string
    readonly nic: {readonly index: number; readonly name: string}
    readonly route: SavedRoute
  }[]
}

/** The gateways of a change, the old ones or the new, as something to be tried. */
export const trialOf = (changes: readonly RouteChange[], probes: readonly string[], which: 'from' | 'to'): Trial => ({
  probes,
  families: changes.map(({family, from, to, interfaceIndex, interfaceName, overlay, route}) => ({
    family,
    to: which === 'from' ? from : to,
    nic: {index: interfaceIndex, name: interfaceName},
    route: overlay?.route ?? route!.before,
  })),
})

/** Undefined if every gateway resolves and leads to a probe; else why not. Without a probe, it is enough that it resolves. */
export async function tryGateways(
  kernel: AgentKernel,
  {families, probes}: Trial,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{reason: AgentReason; detail: string} | undefined> {
  for (const {family, to, nic, route} of families) {
    const beyond = probes.filter((probe) => isIpv4(probe) === (family === 4))
    const targets = beyond.length > 0 ? beyond : [to]
    try {
      if (beyond.length > 0) openProbePath(kernel, route, to)
      const mark = beyond.length > 0 ? {mark: PROBE_MARK.value} : {}
      const {answered} = await kernel.echoAny(targets, {...mark, interfaceName: nic.name, timeoutMs, signal})
      if (answered !== undefined) continue
    } catch (error) {
      if ((error as {code?: string}).code === 'ENETUNREACH')
        return {reason: 'gateway_off_link', detail: `${to}: ${(error as Error).message}`}
      return {reason: 'apply_failed', detail: `${to} cannot be tried: ${(error as Error).message}`}
    } finally {
      if (beyond.length > 0) closeProbePath(kernel)
    }
    const resolved = kernel
      .neighbours()
      .some(
        (entry) =>
          entry.ip === to && entry.interfaceIndex === nic.index && (entry.state & (NUD_FAILED | NUD_INCOMPLETE)) === 0,
      )
    if (!resolved)
      return {reason: 'gateway_silent', detail: `${to} does not answer ${family === 4 ? 'ARP' : 'ND'} on ${nic.name}`}
    // A gateway need not answer echoes itself.
    if (beyond.length > 0)
      return {reason: 'probe_failed', detail: `${to} answers, but nothing beyond it does (${beyond.join(', ')})`}
  }
  return undefined
}
