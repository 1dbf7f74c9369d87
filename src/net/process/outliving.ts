// A program that goes on when we end.
import {spawn} from 'node:child_process'

/**
 * Starts it in a session of its own, with our stderr: neither our end nor that of a terminal reaches it. Resolves when it has
 * written something to its standard output, and so is ready; false if it ends before, or does not within `readyMs`.
 */
export function startOutliving([command = '', ...args]: readonly string[], readyMs: number): Promise<boolean> {
  const env = {...process.env, NODE_NO_WARNINGS: '1'}
  const child = spawn(command, args, {detached: true, stdio: ['ignore', 'pipe', 'inherit'], env})
  return new Promise((resolve) => {
    const settle = (ready: boolean): void => {
      clearTimeout(timer)
      child.stdout.destroy()
      child.unref()
      resolve(ready)
    }
    const timer = setTimeout(settle, readyMs, false)
    child.once('error', () => settle(false))
    child.once('exit', () => settle(false))
    child.stdout.once('data', () => settle(true))
  })
}
