// Every destination of one `gwswitch trace`, one after the other: two at a time would queue on each other.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {reportsOf, type TraceDocument, traceDocument} from '../../domain/trace/report.ts'
import {Failure} from '../../errors.ts'
import {checkWritable, writeText} from '../../net/file/text-file.ts'
import type {World} from '../../net/world.ts'
import {traceSvg} from '../../render/trace-svg.ts'
import {runTrace, type Traced, type TraceOrder} from './run-trace.ts'

export interface TracesOrder extends TraceOrder {
  /** File to draw into. */
  readonly svg: string | undefined
}

export interface TraceStage {
  readonly world: World
  readonly signal: AbortSignal
  /** A line that replaces the one before it. */
  onProgress(text: string): void
  /** What is heeded beside the result: a picture that could not be written. */
  onWarning(line: string): void
}

/** @throws Failure for a picture that cannot be written, before anything is sent; as `runTrace`; after the first destination, what was measured so far is lost with it. */
export async function runTraces(
  destinations: readonly string[],
  order: TracesOrder,
  inventory: Inventory | undefined,
  {world, signal, onProgress, onWarning}: TraceStage,
): Promise<TraceDocument> {
  if (order.svg !== undefined) checkWritable(order.svg)
  const traced: Traced[] = []
  for (const [i, destination] of destinations.entries()) {
    if (signal.aborted) break
    const which = destinations.length > 1 ? ` (${i + 1} of ${destinations.length})` : ''
    const onPair = (sent: number, wanted: number): void =>
      onProgress(`${destination}${which}: pair ${sent} of ${wanted}`)
    traced.push(await runTrace(destination, order, inventory, world, {onPair}, signal))
  }
  const document = traceDocument(traced)
  if (order.svg !== undefined) draw(order.svg, document, onWarning)
  return document
}

/** A result is worth more than its picture. */
function draw(file: string, document: TraceDocument, onWarning: (line: string) => void): void {
  const [report] = reportsOf(document)
  if (report === undefined) return
  try {
    writeText(file, traceSvg(report))
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    onWarning(error.message)
  }
}
