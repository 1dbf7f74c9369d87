// QEMU's monitor (docs/interop/qmp-spec): JSON objects by line; a greeting, capabilities, then commands, and events at any
// time. It serves one client at a time.
import {createConnection} from 'node:net'
import {createInterface} from 'node:readline'

export interface Qmp extends AsyncDisposable {
  /** One command; resolves to its answer. */
  ask(execute: string, parameters?: object): Promise<Record<string, unknown>>
  /** The next event of that name; resolves to when it happened, ms since 1970. */
  event(name: string, withinMs: number): Promise<number>
}

interface Said {
  readonly QMP?: object
  readonly id?: number
  readonly return?: Record<string, unknown>
  readonly error?: {readonly desc: string}
  readonly event?: string
  readonly timestamp?: {readonly seconds: number; readonly microseconds: number}
}

export async function openQmp(path: string): Promise<Qmp> {
  const socket = createConnection(path)
  const waiting = new Set<{fits(said: Said): boolean; resolve(said: Said): void; reject(error: Error): void}>()
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  let why = 'QEMU went away'
  socket.on('error', (error) => {
    why = error.message
  })
  socket.on('close', () => {
    for (const {reject} of waiting) reject(new Error(why))
  })
  const lines = createInterface({input: socket})
  // The socket's own, told above.
  lines.on('error', () => {})
  lines.on('line', (line) => {
    const said = JSON.parse(line) as Said
    for (const waiter of waiting) {
      if (!waiter.fits(said)) continue
      waiting.delete(waiter)
      waiter.resolve(said)
    }
  })
  const next = (fits: (said: Said) => boolean): Promise<Said> => {
    const {promise, resolve, reject} = Promise.withResolvers<Said>()
    if (socket.closed) reject(new Error(why))
    else waiting.add({fits, resolve, reject})
    return promise
  }
  let count = 0
  const ask = async (execute: string, parameters?: object): Promise<Record<string, unknown>> => {
    const id = ++count
    const answer = next((said) => said.id === id)
    socket.write(`${JSON.stringify({execute, arguments: parameters, id})}\n`)
    const {error, return: returned = {}} = await answer
    if (error) throw new Error(`${execute}: ${error.desc}`)
    return returned
  }
  await next(({QMP}) => QMP !== undefined)
  await ask('qmp_capabilities')
  return {
    ask,
    event(name, withinMs) {
      const timer = setTimeout(() => {
        why = `no ${name} within ${withinMs} ms`
        socket.destroy()
      }, withinMs)
      const happened = next(({event}) => event === name)
        .finally(() => clearTimeout(timer))
        .then(({timestamp}) => timestamp!.seconds * 1000 + timestamp!.microseconds / 1000)
      // It may fail before it is awaited.
      happened.catch(() => {})
      return happened
    },
    async [Symbol.asyncDispose]() {
      socket.destroy()
      await gone
    },
  }
}
