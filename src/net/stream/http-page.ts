// One page of text over HTTP, for who asks on this host: on a unix socket or a loopback address.
import type {Server} from 'node:http'
import type {Socket} from 'node:net'
import {Failure} from '../../errors.ts'
import {type Endpoint, endpointText} from '../../wire/endpoint.ts'
import {listenUnix, once} from './unix-socket.ts'

export interface Page {
  /** `/metrics`; whatever else is asked for is not there. */
  readonly path: string
  readonly contentType: string
  /** As it is when it is asked for. */
  text(): string
}

export interface PageServer {
  close(): Promise<void>
}

/** Whoever asks gets one answer, and is gone: scrapers come every few seconds. */
const CONNECTIONS = 16
const PATIENCE_MS = 5000

/**
 * A path is that of a unix socket, for its owner alone; an endpoint is a loopback address. `what` says what is served.
 * @throws Failure as {@link listenUnix}; `usage` for an address that is taken, `privilege` or `runtime` if it cannot be had.
 */
export async function servePage(where: string | Endpoint, page: Page, what: string): Promise<PageServer> {
  const {createServer} = await import('node:http')
  const http = createServer({keepAlive: false}, ({method, url}, answer) => {
    const found = url === page.path
    const wants = method === 'GET' || method === 'HEAD'
    const body = found && wants ? page.text() : `${found ? 'GET it' : `${page.path} is here`}\n`
    const type = found && wants ? page.contentType : 'text/plain; charset=utf-8'
    answer.writeHead(found ? (wants ? 200 : 405) : 404, {
      ...{'content-type': type, 'content-length': Buffer.byteLength(body), connection: 'close'},
      ...(wants ? {} : {allow: 'GET, HEAD'}),
    })
    answer.end(method === 'HEAD' ? undefined : body)
  })
  const take = (socket: Socket): void => {
    // However slowly it asks or reads.
    const late = setTimeout(() => socket.destroy(), PATIENCE_MS)
    socket.once('close', () => clearTimeout(late))
  }
  if (typeof where === 'string') {
    const taken = new Failure('usage', `${where}: another server listens there (want another socket for ${what})`)
    return listenUnix(
      where,
      {taken, remedy: 'run as root, or name another socket', connectionLimit: CONNECTIONS},
      (socket) => {
        take(socket)
        http.emit('connection', socket)
      },
    )
  }
  http.on('connection', take)
  http.maxConnections = CONNECTIONS
  return listenTcp(http, where, what)
}

async function listenTcp(http: Server, where: Endpoint, what: string): Promise<PageServer> {
  try {
    http.listen(where.port, where.address)
    await once(http, 'listening')
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    const kind = code === 'EADDRINUSE' ? 'usage' : code === 'EACCES' ? 'privilege' : 'runtime'
    throw new Failure(kind, `cannot serve ${what} at ${endpointText(where)}: ${code}`)
  }
  return {
    close: () =>
      new Promise((done) => {
        http.close(() => done())
        http.closeAllConnections()
      }),
  }
}
