// Every destination of one `gwswitch trace`, one after the other: two at a time would queue on each other.
import {writeFileSync} from 'node:fs'
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {reportsOf, type TraceDocument, traceDocument} from '../../domain/trace/report.ts'
import {Failure} from '../../errors.ts'
import {recordingWorld} from '../../net/packet/recording.ts'
import type {World} from '../../net/world.ts'
import {traceSvg} from '../../render/trace-svg.ts'
import {runTrace, type Traced, type TraceOrder} from './run-trace.ts'

export interface TracesOrder extends Omit<TraceOrder, 'minPenaltyMs'> {
  /** As typed, ms. */
  readonly minPenalty: string | undefined
  /** File to draw into. */
  readonly svg: string | undefined
  readonly pcap: string | undefined
}

export interface TracesRun {
  readonly signal: AbortSignal
  /** A line that replaces the one before it. */
  onProgress(text: string): void
}

/** @throws Failure as `runTrace`; after the first destination, what was measured so far is lost with it. */
export async function runTraces(
  destinations: readonly string[],
  order: TracesOrder,
  inventory: Inventory | undefined,
  world: World,
  run: TracesRun,
): Promise<TraceDocument> {
  const minPenaltyMs = order.minPenalty === undefined ? undefined : Number(order.minPenalty)
  if (minPenaltyMs !== undefined && !(minPenaltyMs > 0))
    throw new Failure('usage', `--min-penalty ${order.minPenalty} is not a number of ms above 0`)
  const recording = order.pcap === undefined ? undefined : recordingWorld(world, order.pcap)
  const traced: Traced[] = []
  try {
    for (const [i, destination] of destinations.entries()) {
      if (run.signal.aborted) break
      const which = destinations.length > 1 ? ` (${i + 1} of ${destinations.length})` : ''
      const onPair = (sent: number, wanted: number): void =>
        run.onProgress(`${destination}${which}: pair ${sent} of ${wanted}`)
      traced.push(
        await runTrace(
          destination,
          {...order, minPenaltyMs},
          inventory,
          recording?.world ?? world,
          {onPair},
          run.signal,
        ),
      )
    }
  } finally {
    recording?.close()
  }
  const document = traceDocument(traced)
  if (order.svg !== undefined) writeFileSync(order.svg, traceSvg(reportsOf(document)[0]!))
  return document
}
