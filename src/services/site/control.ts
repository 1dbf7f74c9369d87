// The control socket of `serve site`: a line of words in, a line of JSON out, in the order in which they came.
import {EXIT, Failure, type FailureKind} from '../../errors.ts'
import {listenUnix, onLines, type UnixServer, type UnixSocket} from '../../net/stream/unix-socket.ts'
import {stamped} from '../../orders/document.ts'
import {harmlessJson} from '../../wire/printable.ts'
import {type ControlOrder, LINE_LIMIT, readControlLine} from './control-line.ts'

/** What is said of an order, beside its own fields. */
export interface SiteAnswer {
  readonly schema: 'gwswitch.site-answer/1'
  /** What was asked for is done, or begun, or need not be done. */
  readonly ok: boolean
  /** What was made of it, in one word. */
  readonly said: string
  readonly exitCode: number
  readonly error: {readonly kind: FailureKind; readonly message: string} | null
  readonly [field: string]: unknown
}

export interface ControlOptions {
  readonly path: string
  /** Whose members may speak to it beside its owner; a gid. */
  readonly group?: number | undefined
}

/** Connections at a time; further ones are closed at once. */
const CONNECTION_LIMIT = 2000
/** Without a line, or somebody who waits for an answer, a connection is closed, ms: `nc -U` without -N never ends one. */
const IDLE_MS = 30_000
/** Lines of one connection that wait for their answers; nothing more is read meanwhile. */
const PENDING_LIMIT = 64
/** What somebody who sent too much still sends is thrown away this long, ms, so that the answer is read. */
const DISCARD_MS = 2000

export const answerOf = (said: string, fields: Record<string, unknown> = {}, ok = true): SiteAnswer => ({
  ...{schema: 'gwswitch.site-answer/1', ok, said, ...fields},
  ...{exitCode: ok ? 0 : EXIT['rolled-back'], error: null},
})

/** Of what could not be understood, or could not be done at all. */
export function refusal(error: unknown, said = 'error'): SiteAnswer {
  const {kind, message} =
    error instanceof Failure
      ? error
      : {kind: 'runtime' as const, message: `internal error: ${(error as Error).message}`}
  return {...answerOf(said, {}, false), exitCode: EXIT[kind], error: {kind, message}}
}

/**
 * Listens until it is closed. `answer` may take as long as a switch; it is called in the order of the lines, those of one
 * connection one after the other.
 * @throws Failure as {@link listenUnix}; `usage` where another process listens.
 */
export const serveControl = (
  {path, group}: ControlOptions,
  answer: (order: ControlOrder) => SiteAnswer | Promise<SiteAnswer>,
): Promise<UnixServer> =>
  listenUnix(
    path,
    {
      ...{connectionLimit: CONNECTION_LIMIT, halfOpen: true, group},
      taken: new Failure('usage', `${path}: another process listens there (want --control PATH of its own)`),
      remedy: 'run as root, or give --control PATH',
    },
    (socket) => converse(socket, answer),
  )

function converse(socket: UnixSocket, answer: (order: ControlOrder) => SiteAnswer | Promise<SiteAnswer>): void {
  const lines: Buffer[] = []
  let answering = false
  let ended = false
  const say = (said: SiteAnswer): void => {
    if (!socket.destroyed) socket.write(`${harmlessJson(JSON.stringify(stamped(said, said.exitCode)))}\n`)
  }
  const close = (): void => void (socket.destroyed || socket.end())
  /** Nothing more is answered; who is still sending reads why. */
  const giveUp = (why: string): void => {
    say(refusal(new Failure('usage', why)))
    close()
    setTimeout(() => socket.destroy(), DISCARD_MS).unref()
  }
  async function work(): Promise<void> {
    if (answering) return
    answering = true
    socket.setTimeout(0)
    for (let line = lines.shift(); line !== undefined && !socket.destroyed; line = lines.shift()) {
      try {
        // Not awaited where it need not be: what is begun at once is begun before anything else is read.
        const said = answer(readControlLine(line))
        say(said instanceof Promise ? await said : said)
      } catch (error) {
        say(refusal(error))
      }
      if (lines.length < PENDING_LIMIT && socket.isPaused()) socket.resume()
    }
    answering = false
    if (ended) close()
    else socket.setTimeout(IDLE_MS)
  }
  socket.setTimeout(IDLE_MS, close)
  const half = onLines(
    socket,
    (line) => {
      lines.push(line)
      void work()
      if (lines.length >= PENDING_LIMIT) socket.pause()
    },
    LINE_LIMIT,
    () => giveUp(`the line is longer than ${LINE_LIMIT} bytes`),
  )
  socket.on('end', () => {
    ended = true
    if (half() > 0) giveUp('the last line has no end: nothing is done for a half one')
    else if (!answering) close()
  })
}
