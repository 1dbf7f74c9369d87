// QEMU's monitor of a guest of ours: its commands, and events with the time at which they happened.
import {Failure} from '../../errors.ts'
import {anything} from '../../net/json-shape.ts'
import {openQmp as openMonitor} from '../../net/vm-link/qmp.ts'

export interface Qmp extends AsyncDisposable {
  /** One command; resolves to its answer. */
  ask(execute: string, parameters?: object): Promise<Record<string, unknown>>
  /** The next event of that name; resolves to when it happened, ms since 1970. */
  event(name: string, withinMs: number): Promise<number>
}

interface QmpEvent {
  readonly event?: string
  readonly timestamp?: {readonly seconds: number; readonly microseconds: number}
}

/** An emulated machine on a busy host takes its time, ms. */
const ANSWER_MS = 60_000

export async function openQmp(path: string): Promise<Qmp> {
  const waiting = new Map<string, (atMs: number) => void>()
  const monitor = await openMonitor(
    path,
    (line) => {
      const {event = '', timestamp} = JSON.parse(line) as QmpEvent
      if (timestamp) waiting.get(event)?.(timestamp.seconds * 1000 + timestamp.microseconds / 1000)
    },
    ANSWER_MS,
  )
  return {
    ask: async (execute, parameters) => (await monitor.ask(execute, anything, parameters)) as Record<string, unknown>,
    event(name, withinMs) {
      const {promise, resolve, reject} = Promise.withResolvers<number>()
      const late = setTimeout(() => reject(new Failure('silent', `no ${name} within ${withinMs} ms`)), withinMs)
      waiting.set(name, resolve)
      void monitor.gone.then((why) => reject(new Failure('silent', why)))
      const happened = promise.finally(() => clearTimeout(late))
      // It may fail before it is awaited.
      happened.catch(() => {})
      return happened
    },
    async [Symbol.asyncDispose]() {
      monitor.close()
      await monitor.gone
    },
  }
}
