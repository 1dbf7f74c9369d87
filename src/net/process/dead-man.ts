// A second process that acts when we die. It holds the reading end of a pipe: whatever ends us, closes it.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {createInterface} from 'node:readline'
import type {Readable} from 'node:stream'
import {Failure} from '../../errors.ts'

/** The guard as the process sees it that may die. */
export interface DeadMan {
  /** Hands over what is to be done, and waits until the guard has it. */
  arm(order: unknown): Promise<void>
  /** All is well (or already put back): the guard ends without acting. Safe to call at any time, any number of times. */
  disarm(): void
}

/**
 * Starts the guard: `gwswitch guard`, detached, so that neither Ctrl-C nor the end of the terminal reaches it.
 * It acts when this process ends, or `deadlineMs` after it was armed, unless it was disarmed.
 */
export function startDeadMan(deadlineMs: number): DeadMan {
  const guard = spawn(process.execPath, [process.argv[1]!, 'guard', String(deadlineMs)], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const failed = once(guard, 'exit').then(() => {
    throw new Failure('runtime', 'the guard that would roll back if this process died did not start')
  })
  failed.catch(() => {})
  guard.stdin.on('error', () => {})
  guard.unref()
  return {
    async arm(order) {
      guard.stdin.write(`${JSON.stringify(order)}\n`)
      await Promise.race([once(guard.stdout, 'data'), failed])
      ;(guard.stdout as unknown as {unref?(): void}).unref?.()
    },
    disarm: () => {
      guard.stdin.end('disarm\n')
      guard.stdout.destroy()
    },
  }
}

/**
 * The guard's own side: reads the order, says `armed`, and waits. Resolves to the order if it must be carried out now,
 * to undefined if it was disarmed or never armed.
 */
export async function guardDuty(input: Readable, say: (line: string) => void, deadlineMs: number): Promise<unknown> {
  const lines = createInterface({input})[Symbol.asyncIterator]()
  const first = await lines.next()
  if (first.done || first.value === 'disarm') return undefined
  const order: unknown = JSON.parse(first.value)
  say('armed')
  const deadline = Promise.withResolvers<'late'>()
  const timer = setTimeout(() => deadline.resolve('late'), deadlineMs)
  const next = await Promise.race([lines.next(), deadline.promise])
  clearTimeout(timer)
  return next !== 'late' && next.value === 'disarm' ? undefined : order
}
