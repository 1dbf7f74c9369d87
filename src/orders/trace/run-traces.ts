// Every destination of one `gwswitch trace`, all on one schedule: what is finished is kept, whatever becomes of the others.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {traceDocument, traceReport} from '../../domain/trace/document.ts'
import type {TraceDocument, TraceFailure, TraceReport} from '../../domain/trace/report.ts'
import {Failure} from '../../errors.ts'
import {checkWritable, readNamed, writeText} from '../../net/file/text-file.ts'
import type {World} from '../../net/world.ts'
import {type Pace, POLITE} from '../../probe/trace/pacer.ts'
import {startRun, type TraceRun} from '../../probe/trace/run.ts'
import {checkOrder, resolveDestination, runTrace, type Traced, type TraceOrder} from './run-trace.ts'

export interface TracesOrder extends Omit<TraceOrder, 'hops'> {
  /** Packets a second, over all destinations and gateways. */
  readonly rate: number
  readonly timeoutMs: number
  /** File with more destinations, one a line. */
  readonly destinations: string | undefined
  /** File to draw into. */
  readonly svg: string | undefined
}

export interface TraceStage {
  readonly world: World
  readonly signal: AbortSignal
  /** A line that replaces the one before it. */
  onProgress(text: string): void
  /** One destination is decided, of so many. */
  onDecided(outcome: TraceReport | TraceFailure, of: number): void
  /** What is heeded beside the result: a picture that could not be written. */
  onWarning(line: string): void
}

/** Destinations that are measured at a time: each more makes all of them slower, and the pairs of each rarer. */
const AT_A_TIME = 10

/**
 * @throws Failure for what is wrong with the order, before anything is sent; `privilege`; and of a single destination,
 *   whatever `runTrace` throws. Of several, those that fail are in the document.
 */
export async function runTraces(
  named: readonly string[],
  order: TracesOrder,
  inventory: Inventory | undefined,
  stage: TraceStage,
): Promise<TraceDocument> {
  const destinations = destinationsOf(named, order, inventory)
  if (order.svg !== undefined) checkWritable(order.svg)
  const {world, signal} = stage
  const startedAt = isoNow(world)
  const run = runAt(world, order)
  try {
    const {traced, failures, complete} = await traceAll(destinations, order, inventory, run, stage)
    const document = traceDocument(traced, failures, {
      ...{startedAt, finishedAt: isoNow(world), complete: complete && !signal.aborted},
      rate: {perSecond: order.rate, packetsSent: run.pacer.sent()},
    })
    if (order.svg !== undefined) await draw(order.svg, document, stage.onWarning)
    return document
  } finally {
    await run.close()
  }
}

/** Those that are named and those of the file, each once. @throws Failure for what is wrong with the order. */
export function destinationsOf(named: readonly string[], order: TracesOrder, inventory: Inventory | undefined) {
  const listed = order.destinations === undefined ? [] : readList(order.destinations)
  const destinations = [...new Set([...named, ...listed])]
  checkOrder(destinations, order, inventory)
  return destinations
}

/** A run at the rate that is promised. */
export function runAt(world: World, {rate, timeoutMs}: TracesOrder): TraceRun {
  const pace: Pace = {perSecond: rate, perRouter: Math.min(POLITE.perRouter, rate)}
  return startRun(world, {pace, timeoutMs})
}

export const isoNow = (world: World): string => new Date(Number(world.now() / 1_000_000n)).toISOString()

async function traceAll(
  destinations: readonly string[],
  order: TracesOrder,
  inventory: Inventory | undefined,
  run: TraceRun,
  {signal, onProgress, onDecided}: TraceStage,
) {
  const of = destinations.length
  const traced = new Map<number, Traced>()
  const failures: TraceFailure[] = []
  const waiting = [...destinations.entries()]
  const progress = (destination: string) => (sent: number) =>
    onProgress(
      of === 1
        ? `${destination}: pair ${sent}`
        : `${traced.size + failures.length} of ${of}; ${destination}: pair ${sent}`,
    )
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
      const [i, destination] = next
      try {
        const target = await resolveDestination(destination)
        const result = await runTrace(
          target,
          {...order, hops: of === 1 || order.svg !== undefined},
          inventory,
          run,
          progress(destination),
          signal,
        )
        traced.set(i, result)
        onDecided(traceReport(result), of)
      } catch (error) {
        const failure = failureOf(destination, error, of === 1)
        failures.push(failure)
        onDecided(failure, of)
      }
    }
  }
  await Promise.all(Array.from({length: Math.min(AT_A_TIME, of)}, worker))
  const inOrder = [...traced].sort(([a], [b]) => a - b).map(([, result]) => result)
  return {traced: inOrder, failures, complete: traced.size + failures.length === of}
}

/** What keeps one destination from being traced. What would keep all of them, or is the only one's, is thrown on. */
export function failureOf(destination: string, error: unknown, alone: boolean): TraceFailure {
  if (!(error instanceof Failure) || alone) throw error
  if (error.kind !== 'usage' && error.kind !== 'runtime') throw error
  return {destination, kind: error.kind, message: error.message}
}

function readList(file: string): string[] {
  const lines = readNamed(file, 'a destination a line').split('\n')
  return lines.map((line) => line.replace(/#.*/, '').trim()).filter((line) => line !== '')
}

/** A result is worth more than its picture. What draws is loaded where something is drawn. */
async function draw(file: string, {results}: TraceDocument, onWarning: (line: string) => void): Promise<void> {
  if (results.length === 0) return
  const {traceSvg} = await import('../../render/trace-svg.ts')
  try {
    writeText(file, traceSvg(results))
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    onWarning(error.message)
  }
}
