import {once} from 'node:events'
import {createServer} from 'node:net'
import {afterEach, describe, expect, it} from 'vitest'
import {connectPsk, listenPsk} from '../../../src/net/stream/psk-socket.ts'

const KEY = Buffer.alloc(32, 1)
const OTHER_KEY = Buffer.alloc(32, 2)
const [HERE, THERE, ELSEWHERE] = ['127.0.0.2', '127.0.0.3', '127.0.0.4']
const never = new AbortController().signal

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A port of THERE that nobody has now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, THERE)
  await once(server, 'listening')
  const {port} = server.address() as {port: number}
  server.close()
  await once(server, 'close')
  return port
}

/** Listens at THERE for HERE; what comes goes back. */
async function echo(key = KEY) {
  const port = await freePort()
  const refused: string[] = []
  const opened: unknown[] = []
  const ends = {own: {address: THERE, port}, peer: {address: HERE, port}, key}
  const server = await listenPsk(
    ends,
    8,
    (why) => refused.push(why),
    (socket) => {
      opened.push(socket)
      socket.pipe(socket)
    },
  )
  closing.push(() => server.close())
  return {port, refused, opened}
}

const reach = (port: number, from = HERE, key = KEY, signal = never) =>
  connectPsk({own: {address: from, port: 1}, peer: {address: THERE, port}, key}, signal)

describe('two ends with one key', () => {
  it('have a connection, by the one suite that works by the key alone', async () => {
    const {port} = await echo()
    const socket = await reach(port)
    closing.push(() => socket.destroy())
    socket.write('hello')
    expect(String((await once(socket, 'data'))[0])).toBe('hello')
    expect((socket as unknown as {getCipher(): {name: string}}).getCipher().name).toBe('ECDHE-PSK-CHACHA20-POLY1305')
  })
})

describe('there is no connection', () => {
  it('with another key, and both know why', async () => {
    const {port, refused, opened} = await echo(OTHER_KEY)
    await expect(reach(port)).rejects.toMatchObject({kind: 'refused', message: `${THERE}:${port} has another key`})
    expect([refused, opened]).toEqual([['it has another key'], []])
  })

  it('from another address than the peer is at, nor a word about it', async () => {
    const {port, refused, opened} = await echo()
    await expect(reach(port, ELSEWHERE)).rejects.toMatchObject({
      kind: 'silent',
      message: `${THERE}:${port} cannot be reached: ECONNRESET`,
    })
    expect([refused, opened]).toEqual([[], []])
  })

  it('where nobody listens, and where somebody listens who says nothing and the caller gives up', async () => {
    const port = await freePort()
    await expect(reach(port)).rejects.toThrow(`${THERE}:${port} cannot be reached: ECONNREFUSED`)
    const silent = createServer().listen(port, THERE)
    closing.push(() => silent.close())
    await once(silent, 'listening')
    const stop = new AbortController()
    silent.on('connection', () => stop.abort())
    await expect(reach(port, HERE, KEY, stop.signal)).rejects.toThrow(`${THERE}:${port} cannot be reached: no answer`)
  })

  it('at a port that is taken', async () => {
    const {port} = await echo()
    const ends = {own: {address: THERE, port}, peer: {address: HERE, port}, key: KEY}
    await expect(
      listenPsk(
        ends,
        8,
        () => {},
        () => {},
      ),
    ).rejects.toThrow(`cannot listen on ${THERE}:${port}: EADDRINUSE`)
  })
})
