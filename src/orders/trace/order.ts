// The flags of `gwswitch trace` as an order.
import type {ProbeProtocol} from '../../domain/trace/evidence.ts'
import {UNUSED_PORT} from '../../probe/trace/exit.ts'
import type {Asked} from '../../render/trace-advice.ts'
import type {TracesOrder} from './run-traces.ts'

/** Flags as they are typed. */
export interface TraceFlags {
  readonly interface?: string | undefined
  readonly source?: string | undefined
  readonly mark?: number | undefined
  readonly destinations?: string | undefined
  readonly via?: readonly string[] | undefined
  readonly site?: string | undefined
  readonly proto: 'auto' | ProbeProtocol
  readonly port?: number | undefined
  readonly rate: number
  readonly pairs: number
  readonly flows: number
  readonly interval?: number | undefined
  readonly timeout: number
  readonly 'min-penalty'?: number | undefined
  readonly 'fail-on'?: 'inbound' | undefined
  readonly svg?: string | undefined
  readonly 'port-of'?: string | undefined
  readonly inventory?: string | undefined
}

/** Echoes first; a SYN where those are not answered; UDP last, since "port unreachable" is limited by the second. */
const AUTO: readonly ProbeProtocol[] = ['icmp', 'tcp', 'udp']

export function tracesOrder(flags: TraceFlags): TracesOrder {
  return {
    interfaceName: flags.interface,
    ...{source: flags.source, mark: flags.mark, destinations: flags.destinations},
    via: flags.via ?? [],
    site: flags.site,
    protocols: flags.proto === 'auto' ? AUTO : [flags.proto],
    port: flags.port ?? UNUSED_PORT,
    ...{rate: flags.rate, pairs: flags.pairs, flows: flags.flows},
    intervalMs: flags.interval,
    timeoutMs: flags.timeout,
    minPenaltyMs: flags['min-penalty'],
    failOnInbound: flags['fail-on'] === 'inbound',
    svg: flags.svg,
  }
}

const DEFAULTS = {rate: 25, timeout: 1000} as const

/** What commands that are advised take over from the one that was typed. */
export function askedBy(program: string, flags: TraceFlags): Asked {
  const {rate, timeout, proto} = flags
  const given = (name: string, value: string | number | undefined): string[] =>
    value === undefined ? [] : [`--${name}`, `${value}`]
  return {
    program,
    common: flags.inventory === undefined ? [] : ['-f', flags.inventory],
    trace: [
      ...(['interface', 'port-of', 'source', 'mark'] as const).flatMap((name) => given(name, flags[name])),
      ...(flags.via ?? []).flatMap((via) => given('via', via)),
      ...given('site', flags.site),
      ...given('proto', proto === 'auto' ? undefined : proto),
      ...given('port', flags.port),
      ...given('rate', rate === DEFAULTS.rate ? undefined : rate),
      ...given('timeout', timeout === DEFAULTS.timeout ? undefined : timeout),
      ...(['min-penalty', 'fail-on'] as const).flatMap((name) => given(name, flags[name])),
    ],
  }
}
