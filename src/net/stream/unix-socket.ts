// The door to unix stream sockets: to connect to one, to listen on one, and to cut into lines what comes by it.
import type {EventEmitter} from 'node:events'
import {chmodSync, chownSync, lstatSync, mkdirSync, rmSync} from 'node:fs'
import {createConnection, createServer, type Server, type Socket} from 'node:net'
import {dirname} from 'node:path'
import type {Readable} from 'node:stream'
import {Failure} from '../../errors.ts'

export type UnixSocket = Socket

/**
 * Connects. `what` names who should be there, `question` asks what may be wrong where nobody is.
 * @throws Failure `silent` if nobody listens at `path`, `privilege` if it is not ours to open.
 */
export async function connectUnix(path: string, what: string, question = `is ${what} running?`): Promise<UnixSocket> {
  const socket = createConnection(path)
  try {
    await once(socket, 'connect')
    return socket
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (isForbidden(code))
      throw new Failure('privilege', `${path}: is not ours to open: run as root, or as the user of ${what}`)
    const why = code === 'ENOENT' ? 'no such socket' : code === 'ECONNREFUSED' ? 'nobody listens' : code
    throw new Failure('silent', `${path}: ${why} (${question})`)
  }
}

/** Whether somebody listens there whom we may speak to. */
export async function isListening(path: string): Promise<boolean> {
  const socket = createConnection(path)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Resolves at the first `event`; rejects with an error that comes before it. */
export async function once(emitter: EventEmitter, event: string): Promise<void> {
  const {promise, resolve, reject} = Promise.withResolvers<void>()
  emitter.once(event, resolve)
  emitter.once('error', reject)
  try {
    await promise
  } finally {
    emitter.off(event, resolve)
    emitter.off('error', reject)
  }
}

const isForbidden = (code: string | undefined): boolean => code === 'EACCES' || code === 'EPERM'

/**
 * Calls `take` for every line that comes, without its end; it shares memory with nothing that changes. Where one gets
 * longer than `limit` bytes, `onTooLong` is called, and nothing after it is taken. Returns what tells how many bytes of a
 * line have come whose end has not.
 * (Not by readline: its interface throws the socket's errors a second time, and knows no limit.)
 */
export function onLines(
  socket: Readable,
  take: (line: Buffer) => void,
  limit = Number.POSITIVE_INFINITY,
  onTooLong: () => void = () => void socket.destroy(),
): () => number {
  let pending: Buffer = Buffer.alloc(0)
  let tooLong = false
  socket.on('data', (chunk: Buffer) => {
    if (tooLong) return
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    for (let end = pending.indexOf(10); end >= 0 && end <= limit; end = pending.indexOf(10)) {
      const line = pending.subarray(0, end)
      pending = pending.subarray(end + 1)
      if (!socket.destroyed) take(line)
    }
    if (pending.length <= limit) return
    tooLong = true
    pending = Buffer.alloc(0)
    onTooLong()
  })
  return () => pending.length
}

export interface UnixServer {
  /** No more connections are taken, and those that there are are closed. Safe twice. */
  close(): Promise<void>
}

export interface UnixListenOptions {
  /** What is said where another process listens there. */
  readonly taken: Failure
  /** What to do where the place is not ours. */
  readonly remedy: string
  /** Further connections are closed at once. */
  readonly connectionLimit?: number
  /** Who has said all that it has to say is answered still; the connection is then ours to end. */
  readonly halfOpen?: boolean
  /** Its members may open it too (mode 0660); a gid. */
  readonly group?: number | undefined
}

/**
 * Listens on a socket that its owner alone, or a group, may open (mode 0600 or 0660), in place of one that a dead process left. `open` gets
 * every connection; its errors close it.
 * @throws `taken`; Failure `usage` if something else is at `path`, `privilege` where the place is not ours, else `runtime`.
 */
export async function listenUnix(
  path: string,
  {taken, remedy, connectionLimit, halfOpen = false, group}: UnixListenOptions,
  open: (socket: UnixSocket) => void,
): Promise<UnixServer> {
  const sockets = new Set<Socket>()
  const server = createServer({allowHalfOpen: halfOpen}, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    open(socket)
  })
  if (connectionLimit !== undefined) server.maxConnections = connectionLimit
  try {
    await makeRoom(path, taken)
    await bindPrivately(server, path)
    if (group !== undefined) admit(path, group)
  } catch (error) {
    if (error instanceof Failure) throw error
    const {code} = error as NodeJS.ErrnoException
    const what = `cannot listen on ${path}: ${code ?? error}`
    throw isForbidden(code) ? new Failure('privilege', `${what} (${remedy})`) : new Failure('runtime', what)
  }
  return {
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

async function makeRoom(path: string, taken: Failure): Promise<void> {
  const found = lstatSync(path, {throwIfNoEntry: false})
  if (found && !found.isSocket())
    throw new Failure('usage', `${path}: is there and is no socket (want a path for the control socket)`)
  if (found && (await isListening(path))) throw taken
  mkdirSync(dirname(path), {recursive: true, mode: 0o755})
  rmSync(path, {force: true})
}

/** The kernel takes at most net.core.somaxconn that wait to be taken. */
const BACKLOG = 4096

async function bindPrivately(server: Server, path: string): Promise<void> {
  // Between bind and chmod nobody else may open it either.
  const before = process.umask(0o177)
  try {
    server.listen({path, backlog: BACKLOG})
    await once(server, 'listening')
  } finally {
    process.umask(before)
  }
  chmodSync(path, 0o600)
}

/** The group first: nobody else's may open it in between. */
function admit(path: string, group: number): void {
  chownSync(path, -1, group)
  chmodSync(path, 0o660)
}
