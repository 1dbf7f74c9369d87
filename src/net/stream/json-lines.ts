// Newline-delimited JSON over a unix stream socket: the plumbing of a control socket, both ends.
import {chmodSync, lstatSync, mkdirSync, unlinkSync} from 'node:fs'
import {createConnection, createServer, type Socket} from 'node:net'
import {dirname} from 'node:path'
import {Failure} from '../../errors.ts'

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
 * @internal
 */
export async function connectJson(path: string, what: string): Promise<JsonPeer> {
  const socket = createConnection(path)
  const peer = peerOf(socket, path, what)
  const {promise, resolve, reject} = Promise.withResolvers<void>()
  socket.once('connect', resolve)
  socket.once('error', reject)
  try {
    await promise
  } catch (error) {
    throw connectFailure(path, what, (error as NodeJS.ErrnoException).code)
  }
  return peer
}

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

function connectFailure(path: string, what: string, code: string | undefined): Failure {
  if (code === 'EACCES' || code === 'EPERM') {
    return new Failure('privilege', `${path}: only the owner of ${what} may open it: run as root`)
  }
  const why = code === 'ENOENT' ? 'no such socket' : code === 'ECONNREFUSED' ? 'nobody listens' : `${code}`
  return new Failure('silent', `${path}: ${why} (is ${what} running?)`)
}

function peerOf(socket: Socket, path: string, what: string): JsonPeer {
  const waiting: {resolve(value: unknown): void; reject(error: Error): void}[] = []
  const listeners: ((event: unknown) => void)[] = []
  const {promise: closed, resolve: close} = Promise.withResolvers<void>()
  let end = new Failure('silent', `${path}: ${what} went away`)
  onLines(socket, (line) => {
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
      }, ANSWER_MS)
      waiting.push({resolve, reject})
      send(request)
      return promise.finally(() => clearTimeout(late))
    },
  }
}

/** Not by readline: its interface throws the socket's errors a second time. */
function onLines(socket: Socket, take: (line: string) => void): void {
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) if (line.trim() !== '' && !socket.destroyed) take(line)
  })
}

function jsonObject(line: string): {readonly event?: unknown} | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

export interface JsonServer {
  close(): Promise<void>
}

/** What the server does with one connection. */
export interface JsonSession {
  onLine(line: string): void
  /** A line longer than the limit came; the connection is closed after what this sends. */
  onTooLong(): void
  onClose(): void
}

export interface JsonServerOptions {
  readonly lineLimit: number
  /** Further connections are refused. */
  readonly connectionLimit: number
}

/**
 * Listens on a unix socket that its owner alone may open (mode 0600), in place of one that a dead process left.
 * @throws Failure `usage` if something else is at `path` or another process listens there.
 */
export async function serveJson(
  path: string,
  options: JsonServerOptions,
  open: (lines: JsonLines) => JsonSession,
): Promise<JsonServer> {
  mkdirSync(dirname(path), {recursive: true, mode: 0o755})
  await removeStale(path)
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serveOne(socket, options.lineLimit, open)
  })
  server.maxConnections = options.connectionLimit
  const {promise, resolve, reject} = Promise.withResolvers<void>()
  server.once('listening', resolve)
  server.once('error', reject)
  // Between bind and chmod nobody else may open it either.
  const before = process.umask(0o177)
  try {
    server.listen(path)
    await promise
  } catch (error) {
    throw new Failure('runtime', `${path}: cannot listen: ${(error as NodeJS.ErrnoException).code}`)
  } finally {
    process.umask(before)
  }
  chmodSync(path, 0o600)
  return {
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, {throwIfNoEntry: false})
  if (!found) return
  if (!found.isSocket())
    throw new Failure('usage', `${path}: is there and is no socket (want a path for the control socket)`)
  const socket = createConnection(path)
  const alive = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
  })
  socket.destroy()
  if (alive) throw new Failure('usage', `${path}: another server listens there (want --control PATH of its own)`)
  unlinkSync(path)
}

function serveOne(socket: Socket, lineLimit: number, open: (lines: JsonLines) => JsonSession): void {
  let rest = ''
  socket.setEncoding('utf8')
  const session = open({
    send(value) {
      if (!socket.destroyed) socket.write(`${JSON.stringify(value)}\n`)
      return socket.writableLength
    },
    close: () => void socket.destroy(),
  })
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) if (line.trim() !== '' && !socket.destroyed) session.onLine(line)
    if (rest.length <= lineLimit) return
    session.onTooLong()
    socket.end()
    socket.removeAllListeners('data')
  })
  socket.on('error', () => socket.destroy())
  socket.on('close', () => session.onClose())
}
