// The main job end to end: a VM moves, trace finds the trombone, switch takes it away, trace and the counters prove it.
import type {TraceDocument, TraceReport} from '../domain/trace/report.ts'
import type {SwitchDocument} from '../orders/switch/run-switch.ts'
import {type CliRun, gwswitchIn} from './cli.ts'
import {countersBetween, type GatewayCounters, gatewayCounters} from './counters.ts'
import {down, up} from './lab.ts'
import type {LabOptions} from './options.ts'
import {type Session, type SessionReport, startSession} from './session.ts'
import {USERS} from './topology.ts'
import {moveVm} from './vms.ts'

const VM = 'db-03'
const USER = 'user-y'
/** The router at Y: `switch` by ARP runs where the new gateway is. */
const ROUTER = 'ry'
/** How long the session runs on in each phase, for its round trip and the counters. */
const PHASE_MS = 1500

/** One thing that had to be so. */
export interface Check {
  readonly what: string
  readonly ok: boolean
  readonly saw: string
}

export interface DemoResult {
  readonly options: LabOptions
  readonly traces: {readonly atX: TraceReport; readonly tromboned: TraceReport; readonly switched: TraceReport}
  readonly switch: SwitchDocument
  readonly counters: {readonly tromboned: readonly GatewayCounters[]; readonly switched: readonly GatewayCounters[]}
  readonly session: SessionReport
  readonly checks: readonly Check[]
}

/** What the demo tells while it runs. */
export interface DemoObserver {
  step(title: string): void
  doing(text: string): void
  ran(run: CliRun<unknown>, where: string): void
  traced(document: TraceDocument): void
  switched(document: SwitchDocument): void
}

/**
 * Runs the demo in a lab of its own, which is gone afterwards whatever happens.
 * @throws Failure as `up` and the commands; the signal's reason when aborted.
 */
export async function runDemo(
  options: LabOptions,
  observer: DemoObserver,
  world: {sleep(ms: number, signal?: AbortSignal): Promise<void>},
  signal: AbortSignal,
): Promise<DemoResult> {
  const {prefix} = options
  let session: Session | undefined
  try {
    observer.step('Two sites, one stretched segment')
    observer.doing('building the lab')
    await down(prefix)
    await up(options, {signal})
    session = await startSession(prefix, VM, USER)
    const atX = await traceFrom(options, observer, signal)

    observer.step(`${VM} is live-migrated from X to Y`)
    await session.mark('trombone')
    await (await moveVm(prefix, VM, 'y')).announced
    const tromboned = await traceFrom(options, observer, signal)
    const trombonedCounters = await countFor(prefix, world, signal)

    observer.step('The gateway is switched')
    await session.mark('switched')
    observer.doing('switching')
    const run = await gwswitchIn<SwitchDocument>(
      prefix,
      ROUTER,
      ['switch', VM, '--to', 'y', '--strategy', 'arp'],
      signal,
    )
    observer.ran(run, `router ${ROUTER}`)
    observer.switched(run.document)
    const switchedCounters = await countFor(prefix, world, signal)

    observer.step('Proof')
    const switched = await traceFrom(options, observer, signal)
    const report = await session.stop()
    session = undefined
    const result = {
      options,
      traces: {atX: atX.report, tromboned: tromboned.report, switched: switched.report},
      switch: run.document,
      counters: {tromboned: trombonedCounters, switched: switchedCounters},
      session: report,
    }
    return {...result, checks: checksOf(result, [atX.exitCode, tromboned.exitCode, run.exitCode, switched.exitCode])}
  } finally {
    observer.doing('removing the lab')
    await session?.[Symbol.asyncDispose]()
    await down(prefix)
    observer.doing('')
  }
}

async function traceFrom(
  {prefix}: LabOptions,
  observer: DemoObserver,
  signal: AbortSignal,
): Promise<{report: TraceReport; exitCode: number}> {
  const destination = USERS.find(({name}) => name === USER)!.ip
  observer.doing('tracing')
  const run = await gwswitchIn<TraceDocument>(prefix, VM, ['trace', destination], signal)
  observer.ran(run, `VM ${VM}`)
  observer.traced(run.document)
  return {report: run.document.results[0]!, exitCode: run.exitCode}
}

/** What the gateways of the VM's segment forward in a while. */
async function countFor(
  prefix: string,
  world: {sleep(ms: number, signal?: AbortSignal): Promise<void>},
  signal: AbortSignal,
): Promise<GatewayCounters[]> {
  const before = await gatewayCounters(prefix)
  await world.sleep(PHASE_MS, signal)
  const ours = (counters: GatewayCounters[]): GatewayCounters[] =>
    counters.filter(({segment}) => segment === 'tenant-b')
  return ours(countersBetween(before, await gatewayCounters(prefix)))
}

function checksOf(
  result: Omit<DemoResult, 'checks'>,
  [atX, tromboned, switchExit, switched]: readonly number[],
): Check[] {
  const {options, traces, counters, session} = result
  const dciRttMs = 2 * options.dciDelayMs
  const penalty = traces.tromboned.egress.penaltyMs?.median ?? Number.NaN
  const egress = (of: readonly GatewayCounters[], gateway: string): number =>
    of.find((each) => each.gateway === gateway)?.egress.packets ?? 0
  return [
    {what: 'no trombone before the move', ok: atX === 0, saw: `trace exit ${atX}`},
    {what: 'the trombone is found after it', ok: tromboned === 10, saw: `trace exit ${tromboned}`},
    {
      what: `the penalty is the DCI round trip (${dciRttMs} ms) within 10 %`,
      ok: Math.abs(penalty - dciRttMs) <= dciRttMs / 10,
      saw: `${penalty.toFixed(1)} ms`,
    },
    {what: 'the switch is verified', ok: switchExit === 0, saw: `switch exit ${switchExit}`},
    {what: 'no trombone any more', ok: switched === 0, saw: `trace exit ${switched}`},
    {
      what: 'bx forwarded for the VM before the switch, by after it',
      ok:
        egress(counters.tromboned, 'bx') > 0 &&
        egress(counters.switched, 'by') > 0 &&
        egress(counters.switched, 'bx') === 0,
      saw: `bx ${egress(counters.tromboned, 'bx')} then ${egress(counters.switched, 'bx')}, by ${egress(counters.tromboned, 'by')} then ${egress(counters.switched, 'by')} packets`,
    },
    {
      what: "the VM's TCP session lives, no byte lost",
      ok: session.tcp.contiguous && session.tcp.reconnects === 0 && session.tcp.echoed === session.tcp.sent,
      saw: `${session.tcp.echoed} of ${session.tcp.sent} records, ${session.tcp.reconnects} reconnects`,
    },
  ]
}
