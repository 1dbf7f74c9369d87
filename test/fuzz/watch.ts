// Runs the worker and watches it: a reader that never returns is a find too.
import {Worker} from 'node:worker_threads'
import type {Find} from './check.ts'
import type {Target} from './target.ts'
import {Notebook, type WorkOrder, type WorkReport} from './worker.ts'

export interface FuzzOrder extends Omit<WorkOrder, 'notes'> {
  /** ms without another input after which a reader is held to hang. */
  readonly hangMs: number
  onFind(find: Find): void
}

/** Resolves to the number of inputs that each target was given, when the time is over or a reader hangs. */
export async function fuzzWatched({onFind, hangMs, ...order}: FuzzOrder): Promise<ReadonlyMap<string, number>> {
  const notes = new SharedArrayBuffer(Notebook.SIZE)
  const notebook = new Notebook(notes)
  const {TARGETS} = (await import(order.module)) as {TARGETS: readonly Target[]}
  const {promise, resolve, reject} = Promise.withResolvers<ReadonlyMap<string, number>>()
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {workerData: {...order, notes}})
  let serial = notebook.serial
  let sinceMs = performance.now()
  const heart = setInterval(() => {
    const now = notebook.serial
    // Before the first input it loads the targets.
    if (now !== serial || now === 0) {
      serial = now
      sinceMs = performance.now()
    } else if (performance.now() - sinceMs > hangMs) {
      const {target, input} = notebook.read()
      const detail = `no answer within ${hangMs} ms`
      onFind({target: TARGETS[target]!.name, what: 'hangs', detail, input})
      resolve(new Map())
    }
  }, hangMs / 4)
  worker.on('message', (report: WorkReport) => {
    if (report.kind === 'find') onFind(report.find)
    else resolve(new Map(report.counts))
  })
  worker.on('error', reject)
  try {
    return await promise
  } finally {
    clearInterval(heart)
    await worker.terminate()
  }
}
