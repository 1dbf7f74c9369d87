// The door to TLS between two hosts that have one key: TCP, and a pre-shared key in place of certificates.
import type {Socket} from 'node:net'
import {connect, createServer} from 'node:tls'
import {Failure} from '../../errors.ts'
import {type Endpoint, endpointText} from '../../wire/endpoint.ts'
import {readNamed} from '../file/text-file.ts'
import {once} from './unix-socket.ts'

/** A connection with forward secrecy (RFC 7905), that nobody gets without the key: there is no other suite to agree on. */
const SUITE = {ciphers: 'ECDHE-PSK-CHACHA20-POLY1305', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2'} as const
const HANDSHAKE_MS = 5000
const IDLE_MS = 30_000

/** Reads a key of 32 bytes, in hex. @throws Failure `usage` for another, and for one that every user may read. */
export function readKeyFile(path: string): Buffer {
  const want = 'want 64 hex digits: (umask 077; openssl rand -hex 32 >FILE)'
  const text = readNamed(path, want, 'private').trim()
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new Failure('usage', `${path}: is no key (${want})`)
  return Buffer.from(text, 'hex')
}

export interface PskPeer {
  /** Where the other end listens. */
  readonly peer: Endpoint
  /** Where this end does, and whence it connects. */
  readonly own: Endpoint
  readonly key: Buffer
}

/** Connects from an address of this host. @throws Failure `silent` if nobody answers, `refused` for another key. */
export async function connectPsk({peer, own, key}: PskPeer, signal: AbortSignal): Promise<Socket> {
  const socket = connect({
    ...{...SUITE, host: peer.address, port: peer.port, localAddress: own.address},
    checkServerIdentity: () => undefined,
    pskCallback: () => ({psk: key, identity: 'gwswitch'}),
  })
  const end = AbortSignal.any([signal, AbortSignal.timeout(HANDSHAKE_MS)])
  const giveUp = (): void => void socket.destroy(new Error('no answer'))
  end.addEventListener('abort', giveUp, {once: true})
  try {
    await once(socket, 'secureConnect')
    return socket
  } catch (error) {
    socket.destroy()
    throw isKeyTrouble(error)
      ? new Failure('refused', `${endpointText(peer)} has another key`)
      : new Failure('silent', `${endpointText(peer)} cannot be reached: ${causeOf(error)}`)
  } finally {
    end.removeEventListener('abort', giveUp)
  }
}

/**
 * Listens for the peer alone: connections from other addresses are closed without a word, those without its key are told
 * to `onRefused`. @throws Failure `runtime` where it cannot listen.
 */
export async function listenPsk(
  {peer, own, key}: PskPeer,
  connectionLimit: number,
  onRefused: (why: string) => void,
  open: (socket: Socket) => void,
): Promise<{close(): Promise<void>}> {
  const sockets = new Set<Socket>()
  const server = createServer({...SUITE, handshakeTimeout: HANDSHAKE_MS, pskCallback: () => key}, open)
  server.maxConnections = connectionLimit
  server.on('connection', (socket) => {
    if (socket.remoteAddress?.replace(/^::ffff:(?=.*\.)/, '') !== peer.address) return void socket.destroy()
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy())
    // A host that went away says nothing any more.
    socket.setTimeout(IDLE_MS, () => void socket.destroy())
  })
  server.on('tlsClientError', (error, socket) => {
    socket.destroy()
    if (isKeyTrouble(error)) onRefused('it has another key')
  })
  try {
    server.listen({host: own.address, port: own.port})
    await once(server, 'listening')
  } catch (error) {
    throw new Failure('runtime', `cannot listen on ${endpointText(own)}: ${causeOf(error)}`)
  }
  return {
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** The last message of the handshake cannot be read, and the one who sent it is told so. */
const isKeyTrouble = (error: unknown): boolean =>
  /BAD_RECORD_MAC|DECRYPT/.test((error as NodeJS.ErrnoException).code ?? '')

const causeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? (error as Error).message
