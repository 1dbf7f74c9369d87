// Newline-delimited JSON over a stream socket, both ends: the plumbing of control sockets, and of two DHCP servers.
import type {Socket} from 'node:net'
import {Failure} from '../../errors.ts'
import {connectUnix, listenUnix, onLines, type UnixServer} from './unix-socket.ts'

/** One end of a conversation in lines of JSON. */
export interface JsonLines {
  /** Sends a value; returns how many bytes wait because the other end does not read. */
  send(value: unknown): number
  close(): void
}

export interface JsonPeer extends JsonLines {
  /** Sends a request and resolves to the answer, the next line without `event`. One at a time. */
  ask(request: unknown): Promise<unknown>
  /** Calls `listener` with the value of every `event` line. */
  onEvent(listener: (event: unknown) => void): void
  /** Resolves when the other end has gone. */
  readonly closed: Promise<void>
}

const ANSWER_MS = 10_000

/**
 * Connects to a control socket. @throws Failure `silent` if nobody listens there, `privilege` if it is not ours to open.
 * Answers reject with Failure `silent` after 10 s, and when the other end has gone.
 */
export const connectJson = async (path: string, what: string): Promise<JsonPeer> =>
  jsonPeer(await connectUnix(path, what), path, what)

/** Asks over one connection, one request after the other, however many ask at once: a server takes only so many. */
export interface JsonAsker {
  ask(request: unknown): Promise<unknown>
}

/**
 * The connection is there for as long as somebody waits for an answer, so that nothing is left to close. One that breaks
 * fails those who wait; whoever asks next gets a new one. Throws as {@link connectJson} does.
 */
export function sharedJson(path: string, what: string): JsonAsker {
  let shared: {readonly peer: Promise<JsonPeer>; turn: Promise<unknown>; asking: number} | undefined
  return {
    async ask(request) {
      shared ??= {peer: connectJson(path, what), turn: Promise.resolve(), asking: 0}
      const mine = shared
      mine.asking++
      const answer = mine.turn.then(async () => (await mine.peer).ask(request))
      mine.turn = answer.catch(() => {})
      try {
        return await answer
      } catch (error) {
        if (shared === mine) shared = undefined
        throw error
      } finally {
        if (--mine.asking === 0) {
          if (shared === mine) shared = undefined
          mine.peer.then(
            (peer) => peer.close(),
            () => {},
          )
        }
      }
    },
  }
}

/** The asking end of a socket to `what` at `path`; an answer takes `answerMs` at most. */
export function jsonPeer(socket: Socket, path: string, what: string, answerMs = ANSWER_MS): JsonPeer {
  const waiting: {resolve(value: unknown): void; reject(error: Error): void}[] = []
  const listeners: ((event: unknown) => void)[] = []
  const {promise: closed, resolve: close} = Promise.withResolvers<void>()
  let end = new Failure('silent', `${path}: ${what} went away`)
  onLines(socket, (line) => {
    if (isBlank(line)) return
    const value = jsonObject(line)
    if (!value) {
      end = new Failure('runtime', `${path}: what answers there is not ${what}`)
      socket.destroy()
    } else if (value.event === undefined) waiting.shift()?.resolve(value)
    else for (const listener of listeners) listener(value.event)
  })
  // A server that takes no more connections closes ours, and what was being written fails.
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    for (const {reject} of waiting.splice(0)) reject(end)
    close()
  })
  const send = (value: unknown): number => {
    socket.write(`${JSON.stringify(value)}\n`)
    return socket.writableLength
  }
  return {
    send,
    close: () => void socket.destroy(),
    closed,
    onEvent: (listener) => void listeners.push(listener),
    ask(request) {
      if (socket.destroyed) return Promise.reject(end)
      const {promise, resolve, reject} = Promise.withResolvers<unknown>()
      const late = setTimeout(() => {
        reject(new Failure('silent', `${path}: ${what} does not answer`))
        // A late answer would be taken for that of the next request.
        socket.destroy()
      }, answerMs)
      waiting.push({resolve, reject})
      send(request)
      return promise.finally(() => clearTimeout(late))
    },
  }
}

const isBlank = (line: Buffer): boolean => line.toString('latin1').trim() === ''

function jsonObject(line: Buffer): {readonly event?: unknown} | undefined {
  try {
    const value: unknown = JSON.parse(line.toString())
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/** What the server does with one connection. */
export interface JsonSession {
  onLine(line: string): void
  /** A line longer than the limit came; the connection is closed after what this sends. */
  onTooLong(): void
  onClose(): void
}

export interface JsonServerOptions {
  /** Bytes. */
  readonly lineLimit: number
  /** Further connections are refused. */
  readonly connectionLimit: number
}

/**
 * Listens on a unix socket that its owner alone may open (mode 0600), in place of one that a dead process left.
 * @throws Failure `usage` if something else is at `path` or another process listens there, and as {@link listenUnix}.
 */
export const serveJson = (
  path: string,
  {lineLimit, connectionLimit}: JsonServerOptions,
  open: (lines: JsonLines) => JsonSession,
): Promise<UnixServer> => {
  const taken = new Failure('usage', `${path}: another server listens there (want --control PATH of its own)`)
  const remedy = 'run as root, or give --control PATH'
  return listenUnix(path, {taken, remedy, connectionLimit}, (socket) => answerJson(socket, lineLimit, open))
}

/** The answering end of a socket. */
export function answerJson(socket: Socket, lineLimit: number, open: (lines: JsonLines) => JsonSession): void {
  const session = open({
    send(value) {
      if (!socket.destroyed) socket.write(`${JSON.stringify(value)}\n`)
      return socket.writableLength
    },
    close: () => void socket.destroy(),
  })
  const take = (line: Buffer): void => {
    if (!isBlank(line)) session.onLine(line.toString())
  }
  onLines(socket, take, lineLimit, () => {
    session.onTooLong()
    socket.end()
  })
  socket.on('close', () => session.onClose())
}
