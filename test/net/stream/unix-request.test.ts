import {mkdtempSync, rmSync} from 'node:fs'
import {createServer, type Server, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, afterEach, describe, expect, it} from 'vitest'
import {askUnixSocket} from '../../../src/net/stream/unix-request.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-request-'))
const path = join(scratch, 'socket')
let server: Server | undefined
afterEach(async () => {
  await new Promise((resolve) => server?.close(resolve) ?? resolve(undefined))
})
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

async function serve(answer: (socket: Socket) => void): Promise<void> {
  server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => answer(socket))
  })
  await new Promise<void>((resolve) => server!.listen(path, resolve))
}

/** Writes for as long as it is read. */
function pour(socket: Socket, part: string | Buffer, everyMs: number): void {
  const timer = setInterval(() => socket.writable && socket.write(part), everyMs)
  socket.on('close', () => clearInterval(timer))
}

describe('a request over a unix socket', () => {
  it('resolves to all that comes back until the end', async () => {
    await serve((socket) => {
      socket.write('{"result"')
      setTimeout(() => socket.end(': 0}'), 20)
    })
    expect(await askUnixSocket(path, '{}', 'kea-dhcp4')).toBe('{"result": 0}')
  })

  it.each<[string, (socket: Socket) => void, RegExp]>([
    ['says nothing', () => {}, /kea-dhcp4 does not answer$/],
    ['says a little for ever', (socket) => pour(socket, ' ', 20), /kea-dhcp4 does not answer$/],
    [
      'says far too much',
      (socket) => pour(socket, Buffer.alloc(8 << 20, 65), 1),
      /is not kea-dhcp4: over 33554432 bytes$/,
    ],
  ])('fails in one line where the other end %s', async (_name, answer, why) => {
    await serve(answer)
    const failed = askUnixSocket(path, '{}', 'kea-dhcp4', _name === 'says far too much' ? 30_000 : 300)
    await expect(failed).rejects.toThrow(why)
  })
})
