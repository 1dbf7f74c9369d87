// What `gwswitch trace` can do between its flags and its terminal: trace once and compare, watch, or listen.

import type {Inventory} from '../domain/inventory/inventory.ts'
import type {PassiveDocument} from '../domain/passive/passive-report.ts'
import type {TraceComparison} from '../domain/trace/before-after.ts'
import type {TraceDocument, TraceFailure, TraceReport} from '../domain/trace/report.ts'
import type {WatchLine, WatchState} from '../domain/trace/watch.ts'
import {print, printJson} from '../net/process/say.ts'
import {canRedraw} from '../net/process/terminal.ts'
import type {World} from '../net/world.ts'
import type {TraceFlags} from '../orders/trace/order.ts'
import type {TracesOrder} from '../orders/trace/run-traces.ts'

/** Flags that are not of the trace itself. */
export interface ModeFlags extends TraceFlags {
  readonly compare?: string | undefined
  readonly pcap?: string | undefined
}

/** The command, as its modes see it. */
export interface Terminal {
  /** How this program is called. */
  readonly program: string
  readonly json: boolean
  readonly colour: boolean
  readonly signal: AbortSignal
  world(pcap: string | undefined): Promise<World>
  log(line: string): void
  /** A line that is written over. */
  meter(text: string): void
  caution(line: string): void
}

/** What a mode ends with; without a document where everything was printed already. */
export interface Outcome<D> {
  readonly document: D
  readonly exitCode: number
}

export async function traceOnce(
  named: readonly string[],
  flags: ModeFlags,
  inventory: Inventory | undefined,
  terminal: Terminal,
): Promise<Outcome<TraceDocument | TraceComparison>> {
  const [{runTraces}, {askedBy, tracesOrder}, {traceText}, {outcomeLine, summaryLines}] = await Promise.all([
    import('../orders/trace/run-traces.ts'),
    import('../orders/trace/order.ts'),
    import('../render/trace-text.ts'),
    import('../render/trace-summary.ts'),
  ])
  const compare = flags.compare === undefined ? undefined : await comparing(flags.compare, terminal)
  const text = {colour: terminal.colour, columns: process.stdout.columns, asked: askedBy(terminal.program, flags)}
  const stage = {
    onProgress: (line: string) => terminal.meter(line),
    onDecided: (outcome: TraceReport | TraceFailure, of: number) => {
      terminal.meter('')
      if (of > 1) terminal.log(outcomeLine(outcome, text))
    },
    onWarning: (line: string) => terminal.caution(line),
    signal: terminal.signal,
  }
  const document = await whereAsked(flags, inventory, terminal, tracesOrder(flags), (world, order) =>
    runTraces(named, order, inventory, {...stage, world}),
  )
  terminal.meter('')
  const several = document.results.length + document.failures.length > 1
  for (const line of several ? summaryLines(document, text) : traceText(document, text)) terminal.log(line)
  const last = compare?.(document) ?? document
  return {document: last, exitCode: last.exitCode}
}

/** The earlier document is read before anything is sent. */
async function comparing(file: string, terminal: Terminal): Promise<(document: TraceDocument) => TraceComparison> {
  const [{readBefore}, {compareTraces}, {comparisonText}] = await Promise.all([
    import('../orders/trace/read-before.ts'),
    import('../domain/trace/before-after.ts'),
    import('../render/comparison-text.ts'),
  ])
  const before = readBefore(file)
  return (document) => {
    const comparison = compareTraces(file, before, document)
    for (const line of ['', ...comparisonText(comparison, terminal.colour)]) terminal.log(line)
    return comparison
  }
}

/** The last seconds of every destination, on the whole terminal, or as a line each. */
export async function traceWatch(
  named: readonly string[],
  flags: ModeFlags,
  inventory: Inventory | undefined,
  terminal: Terminal,
): Promise<Outcome<undefined>> {
  const [{runWatch}, {watchExit}, {tracesOrder}, {watchLineText, watchScreen}, {openLiveScreen}] = await Promise.all([
    import('../orders/trace/run-watch.ts'),
    import('../domain/trace/watch.ts'),
    import('../orders/trace/order.ts'),
    import('../render/watch-screen.ts'),
    import('./live-screen.ts'),
  ])
  const {colour, json, signal} = terminal
  const began = performance.now()
  const screen = canRedraw(process.stdout, process.env) && !json ? openLiveScreen(process.stdout) : undefined
  const onSample = (state: WatchState, line: WatchLine | null): void => {
    const {columns = 80, rows = 24} = process.stdout
    if (screen) screen.draw(watchScreen(state, {colour, columns, rows, elapsedMs: performance.now() - began}))
    else if (line !== null && json) printJson(line)
    else if (line !== null) print(watchLineText(line, state.watched.length > 1, colour))
  }
  try {
    const last = await whereAsked(flags, inventory, terminal, tracesOrder(flags), (world, order) =>
      runWatch(named, order, inventory, {world, signal, onSample}),
    )
    return {document: undefined, exitCode: watchExit(last)}
  } finally {
    screen?.close()
  }
}

export async function traceListening(
  peers: readonly string[],
  flags: ModeFlags & {readonly passive: number},
  inventory: Inventory | undefined,
  terminal: Terminal,
): Promise<Outcome<PassiveDocument>> {
  const [{runPassive}, {systemVantage}, {passiveText}] = await Promise.all([
    import('../orders/trace/run-passive.ts'),
    import('../net/vantage-world.ts'),
    import('../render/passive-text.ts'),
  ])
  const {interface: interfaceName, 'port-of': portOf, site, passive: seconds} = flags
  const document = await runPassive({peers, interfaceName, portOf, site, seconds}, inventory, {
    world: await terminal.world(flags.pcap),
    vantage: systemVantage,
    signal: terminal.signal,
    onProgress: (text) => terminal.meter(text),
    onWarning: (line) => terminal.caution(line),
  })
  terminal.meter('')
  for (const line of passiveText(document, terminal.colour, process.stdout.columns)) terminal.log(line)
  return {document, exitCode: document.exitCode}
}

/** Here, or in the place of a VM. */
async function whereAsked<T>(
  flags: ModeFlags,
  inventory: Inventory | undefined,
  terminal: Terminal,
  order: TracesOrder,
  run: (world: World, order: TracesOrder) => Promise<T>,
): Promise<T> {
  const world = await terminal.world(flags.pcap)
  const portOf = flags['port-of']
  if (portOf === undefined) return run(world, order)
  const [{inVmsPlace}, {systemVantage}] = await Promise.all([
    import('../orders/trace/in-place.ts'),
    import('../net/vantage-world.ts'),
  ])
  return inVmsPlace({...order, portOf}, inventory, {world, vantage: systemVantage, signal: terminal.signal}, run)
}
