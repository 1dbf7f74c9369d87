// Every destination of one `gwswitch trace`, one after the other: two at a time would queue on each other.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {reportsOf, type TraceDocument, traceDocument} from '../../domain/trace/report.ts'
import {writeText} from '../../net/file/text-file.ts'
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
}

/** @throws Failure as `runTrace`; after the first destination, what was measured so far is lost with it. */
export async function runTraces(
  destinations: readonly string[],
  order: TracesOrder,
  inventory: Inventory | undefined,
  {world, signal, onProgress}: TraceStage,
): Promise<TraceDocument> {
  const traced: Traced[] = []
  for (const [i, destination] of destinations.entries()) {
    if (signal.aborted) break
    const which = destinations.length > 1 ? ` (${i + 1} of ${destinations.length})` : ''
    const onPair = (sent: number, wanted: number): void =>
      onProgress(`${destination}${which}: pair ${sent} of ${wanted}`)
    traced.push(await runTrace(destination, order, inventory, world, {onPair}, signal))
  }
  const document = traceDocument(traced)
  if (order.svg !== undefined) writeText(order.svg, traceSvg(reportsOf(document)[0]!))
  return document
}
