// A bug in the handling of one packet or command must not stop the service for all: it is said, with where.

/** `TypeError: ... at ...`, one line, with the innermost calls. */
export const whereOf = (error: unknown): string =>
  (error as Error).stack?.split('\n').slice(0, 3).join(' ') ?? String(error)

export function guarded(fn: () => void, warn: (key: string, line: string) => void): void {
  try {
    fn()
  } catch (error) {
    warn('internal', `a batch of packets was lost to an internal error: ${whereOf(error)}`)
  }
}
