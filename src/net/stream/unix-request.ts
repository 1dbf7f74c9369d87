// One request over a unix stream socket, answered until the other end closes it.
import {createConnection} from 'node:net'
import {Failure} from '../../errors.ts'

/**
 * Sends `request` and resolves to all that comes back. @throws Failure `silent` if nobody listens at `path` or the
 * answer does not come within `timeoutMs`, `privilege` if the socket is not ours to open. `what` names the other end.
 */
export function askUnixSocket(path: string, request: string, what: string, timeoutMs = 10_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    const parts: Buffer[] = []
    socket.setTimeout(timeoutMs, () => socket.destroy(new Failure('silent', `${path}: ${what} does not answer`)))
    socket.on('connect', () => socket.write(request))
    socket.on('data', (part: Buffer) => parts.push(part))
    socket.on('end', () => resolve(Buffer.concat(parts).toString()))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      reject(error instanceof Failure ? error : failureOf(path, what, error.code)),
    )
  })
}

function failureOf(path: string, what: string, code: string | undefined): Failure {
  if (code === 'EACCES' || code === 'EPERM')
    return new Failure('privilege', `${path}: is not ours to open: run as root, or as the user of ${what}`)
  const why = code === 'ENOENT' ? 'no such socket' : code === 'ECONNREFUSED' ? 'nobody listens' : code
  return new Failure('silent', `${path}: ${why} (is ${what} running?)`)
}
