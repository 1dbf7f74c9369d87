// A second process that acts when we die. It holds the reading end of a pipe: whatever ends us, closes it.
import {spawn} from 'node:child_process'
import type {Socket} from 'node:net'
import {createInterface} from 'node:readline'
import type {Readable} from 'node:stream'
import {Failure} from '../../errors.ts'

/** The guard as whoever sees to one switch sees it. */
export interface DeadMan {
  /** The process that acts; undefined where it does not run yet, or any more. */
  readonly pid?: number | undefined
  /** Hands over what is to be done, and waits until the guard has it. */
  arm(order: unknown): Promise<void>
  /** All is well (or already put back): nothing is left to do. Safe to call at any time, any number of times. */
  disarm(): void
}

/** One process for all switches of this one. */
export interface Guard {
  /** For one switch: acts `deadlineMs` after it was armed, and when this process ends, unless it was disarmed. */
  deadMan(deadlineMs: number): DeadMan
  /** Nothing more will be armed: the guard ends once nothing is. Safe twice. */
  close(): void
}

/** What the guard is told, a line each: an order to keep, or, without one, to forget it. */
interface GuardLine {
  readonly id: number
  readonly deadlineMs?: number
  readonly order?: unknown
}

/** A guard process, as long as it lives. */
interface Keeper {
  readonly alive: boolean
  readonly pid: number | undefined
  send(line: GuardLine): void
  /** Resolves when it has the order; rejects if it ends before. */
  has(id: number): Promise<void>
  end(): void
}

/**
 * Starts the guard: `gwswitch guard`, detached, so that neither Ctrl-C nor the end of the terminal reaches it. One that
 * dies is replaced when the next order is armed, and told of those that were.
 */
export function startGuard(): Guard {
  const armed = new Map<number, GuardLine>()
  let keeper = startKeeper()
  let lastId = 0
  return {
    deadMan(deadlineMs) {
      const id = ++lastId
      return {
        get pid() {
          return keeper.alive ? keeper.pid : undefined
        },
        async arm(order) {
          if (!keeper.alive) {
            keeper = startKeeper()
            for (const line of armed.values()) keeper.send(line)
          }
          const line = {id, deadlineMs, order}
          armed.set(id, line)
          const taken = keeper.has(id)
          keeper.send(line)
          await taken
        },
        disarm() {
          if (armed.delete(id)) keeper.send({id})
        },
      }
    },
    close: () => keeper.end(),
  }
}

function startKeeper(): Keeper {
  const child = spawn(process.execPath, [process.argv[1]!, 'guard'], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const waiting = new Map<number, {resolve(): void; reject(error: Error): void}>()
  let alive = true
  const gone = (): void => {
    alive = false
    const failure = new Failure('runtime', 'the guard that would roll back if this process died does not run')
    for (const {reject} of waiting.values()) reject(failure)
  }
  child.on('error', gone)
  child.on('exit', gone)
  child.stdin.on('error', () => {})
  // Nothing of the guard keeps this process alive, but somebody who waits for it: when it ends is when the guard acts.
  const pipes = [child.stdin, child.stdout] as unknown as Socket[]
  const hold = (isHeld: boolean): void => {
    for (const pipe of pipes)
      if (isHeld) pipe.ref()
      else pipe.unref()
  }
  const lines = createInterface({input: child.stdout})
  lines.on('line', (line) => {
    waiting.get(Number(line))?.resolve()
  })
  child.unref()
  hold(false)
  return {
    get alive() {
      return alive
    },
    pid: child.pid,
    send: (line) => void child.stdin.write(`${JSON.stringify(line)}\n`),
    async has(id) {
      const {promise, resolve, reject} = Promise.withResolvers<void>()
      waiting.set(id, {resolve, reject})
      hold(true)
      try {
        if (alive) await promise
        else gone()
      } finally {
        waiting.delete(id)
        if (waiting.size === 0) hold(false)
      }
    },
    end() {
      child.stdin.end()
      lines.close()
      child.stdout.destroy()
    },
  }
}

/**
 * The guard's own side: keeps the orders that come by `input`, says the id of each that it has, and calls `act` with those
 * whose deadline passes, and with all that are left when `input` ends. Resolves when nothing is left to do.
 */
export async function guardDuty(
  input: Readable,
  say: (line: string) => void,
  act: (orders: readonly unknown[]) => Promise<void>,
): Promise<void> {
  const kept = new Map<number, {readonly order: unknown; readonly timer: NodeJS.Timeout}>()
  const acting: Promise<void>[] = []
  const forget = (id: number): unknown => {
    const {order, timer} = kept.get(id) ?? {}
    clearTimeout(timer)
    kept.delete(id)
    return order
  }
  for await (const line of createInterface({input})) {
    const {id, order, deadlineMs} = JSON.parse(line) as GuardLine
    forget(id)
    if (order === undefined) continue
    kept.set(id, {order, timer: setTimeout(() => acting.push(act([forget(id)])), deadlineMs)})
    say(String(id))
  }
  const left = [...kept.keys()].map(forget)
  if (left.length > 0) acting.push(act(left))
  await Promise.all(acting)
}
