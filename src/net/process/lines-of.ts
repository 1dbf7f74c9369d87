// A program that goes on telling something, a line each, for as long as we want it.
import {spawn} from 'node:child_process'
import {onLines} from '../stream/unix-socket.ts'

/** Bytes of one line; a document that is laid out has shorter ones. */
const LINE_LIMIT = 4 << 20
/** ms that it gets to end by itself. */
const PATIENCE_MS = 1000

/**
 * Runs it, in English, and calls `onLine` with each line of its standard output. Resolves when it has ended, to why: its
 * last words on standard error, or its code. Aborting ends it; it ends, too, when this process is killed (prctl(2),
 * PR_SET_PDEATHSIG, by setpriv(1)).
 */
export function linesOf(argv: readonly string[], onLine: (line: string) => void, signal: AbortSignal): Promise<string> {
  const [program = ''] = argv
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', ...argv], {
    ...{stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: {...process.env, LC_ALL: 'C'}},
  })
  const {promise, resolve} = Promise.withResolvers<string>()
  let last = ''
  // Its own group, since it may have started others.
  const kill = (name: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name)
    } catch {
      // It ended by itself.
    }
  }
  let late: NodeJS.Timeout | undefined
  const end = (): void => {
    kill('SIGTERM')
    late = setTimeout(kill, PATIENCE_MS, 'SIGKILL')
  }
  onLines(
    child.stdout!,
    (line) => onLine(line.toString()),
    LINE_LIMIT,
    () => {
      last = 'it wrote a line without an end'
      end()
    },
  )
  onLines(child.stderr!, (line) => {
    last = line.toString().trim() || last
  })
  child.on('error', (error: NodeJS.ErrnoException) => {
    resolve(error.code === 'ENOENT' ? "the program 'setpriv' was not found: install util-linux" : error.message)
  })
  child.on('close', (code, by) => {
    clearTimeout(late)
    signal.removeEventListener('abort', end)
    resolve(`${program} ended: ${last || (code === null ? `by ${by}` : `code ${code}`)}`)
  })
  if (signal.aborted) end()
  else signal.addEventListener('abort', end, {once: true})
  return promise
}
