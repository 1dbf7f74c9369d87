// Ctrl-C that cleans up first.
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Runs `fn` with an AbortSignal that SIGINT, SIGTERM and SIGHUP abort. Once `fn` has cleaned up and settled, this process
 * ends by that same signal, as its parent expects of it. A second signal ends it at once.
 */
export async function interruptible<T>(fn: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let received: NodeJS.Signals | undefined
  const interrupt = (name: NodeJS.Signals): void => {
    if (received !== undefined) endBy(name)
    received = name
    controller.abort(new Error(`interrupted by ${name}`))
  }
  const endBy = (name: NodeJS.Signals): void => {
    for (const each of SIGNALS) process.off(each, interrupt)
    process.kill(process.pid, name)
  }
  for (const name of SIGNALS) process.on(name, interrupt)
  try {
    return await fn(controller.signal)
  } finally {
    for (const name of SIGNALS) process.off(name, interrupt)
    if (received !== undefined) endBy(received)
  }
}
