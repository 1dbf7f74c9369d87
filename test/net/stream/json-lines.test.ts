import {mkdtempSync, rmSync} from 'node:fs'
import {createServer, type Server, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import {Failure} from '../../../src/errors.ts'
import {connectJson, serveJson, sharedJson} from '../../../src/net/stream/json-lines.ts'

let dir: string
let path: string
let server: Server | undefined
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gwswitch-control-'))
  path = join(dir, 'sock')
})
afterEach(() => {
  server?.close()
  server = undefined
  rmSync(dir, {recursive: true, force: true})
})

/** Something else than our server, or our server on a bad day. */
async function listen(onConnection: (socket: Socket, number: number) => void): Promise<void> {
  let number = 0
  server = createServer((socket) => {
    socket.on('error', () => {})
    onConnection(socket, ++number)
  })
  await new Promise<void>((resolve) => server!.listen(path, resolve))
}

/** Answers `{"n": ...}` by itself, in lines cut anywhere. */
const echo = (socket: Socket): void =>
  void socket.on('data', (data: Buffer) => {
    for (const byte of data) socket.write(Uint8Array.of(byte))
  })

const WENT = 'the server went away'
const ask = (n: number) => ({n})

describe('a control socket whose server', () => {
  it('hangs up at once is a Failure and nothing else', async () => {
    await listen((socket) => socket.destroy())
    for (let i = 0; i < 20; i++) {
      await expect(sharedJson(path, 'the server').ask(ask(i))).rejects.toThrow(WENT)
    }
  })

  it('takes no more connections is a Failure and nothing else', async () => {
    const limited = await serveJson(path, {lineLimit: 100, connectionLimit: 1}, (lines) => ({
      onLine: () => void lines.send({n: 1}),
      onTooLong: () => {},
      onClose: () => {},
    }))
    const first = await connectJson(path, 'the server')
    expect(await first.ask(ask(1))).toEqual({n: 1})
    const second = sharedJson(path, 'the server').ask(ask(2))
    await expect(second).rejects.toThrow(Failure)
    await expect(second).rejects.toThrow(WENT)
    first.close()
    await limited.close()
  })

  it('dies with the request unread is a Failure and nothing else', async () => {
    await listen((socket) => {
      socket.pause()
      setTimeout(() => socket.destroy(), 20)
    })
    await expect(sharedJson(path, 'the server').ask({text: 'x'.repeat(1 << 20)})).rejects.toThrow(WENT)
  })

  it('is another program is said in one line', async () => {
    await listen((socket) => void socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\n\n')))
    await expect(sharedJson(path, 'the server').ask(ask(1))).rejects.toThrow('what answers there is not the server')
  })

  it('is not there is said to all who wait', async () => {
    const shared = sharedJson(path, 'the server')
    const answers = await Promise.allSettled([shared.ask(ask(1)), shared.ask(ask(2))])
    for (const answer of answers) {
      expect(answer).toMatchObject({
        status: 'rejected',
        reason: {kind: 'silent', message: expect.stringContaining(path)},
      })
    }
  })
})

describe('a shared connection', () => {
  it('gives each of 500 who ask at once its own answer, over one, and keeps none open', async () => {
    const open = new Set<Socket>()
    let most = 0
    await listen((socket) => {
      open.add(socket)
      most = Math.max(most, open.size)
      socket.on('close', () => open.delete(socket))
      echo(socket)
    })
    const shared = sharedJson(path, 'the server')
    const numbers = Array.from({length: 500}, (_, i) => i)
    expect(await Promise.all(numbers.map((n) => shared.ask(ask(n))))).toEqual(numbers.map(ask))
    expect(most).toBe(1)
    // One after the other too.
    for (const n of [1, 2, 3]) expect(await shared.ask(ask(n))).toEqual(ask(n))
    await expect.poll(() => open.size).toBe(0)
  })

  it('that breaks fails those who wait, and is made anew for the next', async () => {
    await listen((socket, number) => (number === 1 ? void socket.on('data', () => socket.destroy()) : echo(socket)))
    const shared = sharedJson(path, 'the server')
    const waiting = [shared.ask(ask(1)), shared.ask(ask(2))]
    for (const answer of await Promise.allSettled(waiting)) {
      expect(answer).toMatchObject({status: 'rejected', reason: {message: expect.stringContaining(WENT)}})
    }
    expect(await shared.ask(ask(3))).toEqual(ask(3))
  })
})
