// One request over a unix stream socket, answered until the other end closes it, or by a line.
import {Failure} from '../../errors.ts'
import {connectUnix, onLines} from './unix-socket.ts'

/** Bytes of an answer; the configuration of a server with ten thousand reservations is a tenth of that. */
const ANSWER_LIMIT = 32 << 20

/**
 * Sends `request` and resolves to all that comes back. @throws Failure as {@link connectUnix}, `silent` if the answer is
 * not whole within `timeoutMs`, `runtime` if it has no end. `what` names the other end.
 */
export async function askUnixSocket(path: string, request: string, what: string, timeoutMs = 10_000): Promise<string> {
  const socket = await connectUnix(path, what)
  const {promise, resolve, reject} = Promise.withResolvers<string>()
  const parts: Buffer[] = []
  let length = 0
  const late = setTimeout(() => socket.destroy(new Failure('silent', `${path}: ${what} does not answer`)), timeoutMs)
  socket.on('data', (part: Buffer) => {
    parts.push(part)
    length += part.length
    if (length > ANSWER_LIMIT)
      socket.destroy(new Failure('runtime', `${path}: what answers there is not ${what}: over ${ANSWER_LIMIT} bytes`))
  })
  socket.on('end', () => resolve(Buffer.concat(parts).toString()))
  socket.on('error', (error: NodeJS.ErrnoException) =>
    reject(error instanceof Failure ? error : new Failure('silent', `${path}: ${what} went away (${error.code})`)),
  )
  socket.on('close', () => reject(new Failure('silent', `${path}: ${what} went away`)))
  socket.write(request)
  try {
    return await promise
  } finally {
    clearTimeout(late)
    socket.destroy()
  }
}

/** Sends a line and resolves to the line that comes back. @throws Failure as {@link connectUnix}, `silent` if none comes. */
export async function askLine(path: string, line: string, what: string, timeoutMs: number): Promise<string> {
  const socket = await connectUnix(path, what)
  const {promise, resolve, reject} = Promise.withResolvers<string>()
  const late = setTimeout(() => reject(new Failure('silent', `${path}: ${what} does not answer`)), timeoutMs)
  onLines(socket, (answer) => resolve(answer.toString()), ANSWER_LIMIT)
  socket.on('error', () => {})
  socket.on('close', () => reject(new Failure('silent', `${path}: ${what} went away`)))
  socket.write(`${line}\n`)
  try {
    return await promise
  } finally {
    clearTimeout(late)
    socket.destroy()
  }
}
