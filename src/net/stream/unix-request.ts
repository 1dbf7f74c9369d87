// One request over a unix stream socket, answered until the other end closes it.
import {Failure} from '../../errors.ts'
import {connectUnix} from './unix-socket.ts'

/**
 * Sends `request` and resolves to all that comes back. @throws Failure as {@link connectUnix}, and `silent` if the answer
 * does not come within `timeoutMs`. `what` names the other end.
 */
export async function askUnixSocket(path: string, request: string, what: string, timeoutMs = 10_000): Promise<string> {
  const socket = await connectUnix(path, what)
  const {promise, resolve, reject} = Promise.withResolvers<string>()
  const parts: Buffer[] = []
  socket.setTimeout(timeoutMs, () => socket.destroy(new Failure('silent', `${path}: ${what} does not answer`)))
  socket.on('data', (part: Buffer) => parts.push(part))
  socket.on('end', () => resolve(Buffer.concat(parts).toString()))
  socket.on('error', (error: NodeJS.ErrnoException) =>
    reject(error instanceof Failure ? error : new Failure('silent', `${path}: ${what} went away (${error.code})`)),
  )
  socket.write(request)
  return promise
}
