import {mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, afterEach, describe, expect, it} from 'vitest'
import {Failure} from '../../../src/errors.ts'
import {
  connectUnix,
  isListening,
  listenUnix,
  onLines,
  type UnixServer,
  type UnixSocket,
} from '../../../src/net/stream/unix-socket.ts'
import {deadSocket} from '../../support/dead-socket.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-unix-'))
const path = join(scratch, 'folder/socket')
const servers: UnixServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
  rmSync(join(scratch, 'folder'), {recursive: true, force: true})
})
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

async function listen(open: (socket: UnixSocket) => void = () => {}, connectionLimit?: number): Promise<void> {
  const options = {taken: new Failure('usage', 'taken'), remedy: 'do so', ...(connectionLimit && {connectionLimit})}
  servers.push(await listenUnix(path, options, open))
}

/** What comes to a server that cuts at `limit`, until the client's connection has closed. */
async function linesOf(parts: readonly (string | Uint8Array)[], limit?: number): Promise<(string | undefined)[]> {
  const got: (string | undefined)[] = []
  await listen((socket) => {
    onLines(
      socket,
      (line) => void got.push(line.toString()),
      limit,
      limit === undefined
        ? undefined
        : () => {
            got.push(undefined)
            socket.end()
          },
    )
    socket.on('end', () => socket.end())
  })
  const client = await connectUnix(path, 'nobody')
  const closed = new Promise((resolve) => client.once('close', resolve))
  client.resume()
  client.on('error', () => {})
  for (const part of parts) {
    client.write(part)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  client.end()
  await closed
  return got
}

describe('a unix socket', () => {
  it('is for its owner alone, and makes the folder that it lies in', async () => {
    await listen()
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(scratch, 'folder')).mode & 0o777).toBe(0o755 & ~process.umask())
    expect(await isListening(path)).toBe(true)
  })

  it('takes the place of one that a dead process left', async () => {
    await listen()
    await servers.pop()!.close()
    await deadSocket(path)
    await expect(connectUnix(path, 'the server')).rejects.toMatchObject({
      kind: 'silent',
      message: `${path}: nobody listens (is the server running?)`,
    })
    await listen()
    expect(await isListening(path)).toBe(true)
  })

  it('leaves one alone that somebody listens on', async () => {
    await listen()
    await expect(listen()).rejects.toMatchObject({kind: 'usage', message: 'taken'})
    expect(await isListening(path)).toBe(true)
  })

  it('leaves a file alone that is no socket', async () => {
    await listen()
    await servers.pop()!.close()
    writeFileSync(path, 'precious')
    await expect(listen()).rejects.toMatchObject({kind: 'usage', message: expect.stringMatching(/is no socket/)})
    expect(statSync(path).size).toBe(8)
  })

  it('is not there: who asks is told, and what may be wrong', async () => {
    await expect(connectUnix(path, 'QEMU', 'is it up?')).rejects.toMatchObject({
      kind: 'silent',
      message: `${path}: no such socket (is it up?)`,
    })
    expect(await isListening(path)).toBe(false)
  })

  it('closes what there is when it closes', async () => {
    await listen()
    const client = await connectUnix(path, 'nobody')
    client.on('error', () => {})
    const closed = new Promise((resolve) => client.once('close', resolve))
    await servers.pop()!.close()
    client.resume()
    await closed
  })
})

describe('lines', () => {
  it('come whole, however they are cut on the way', async () => {
    expect(await linesOf(['on', 'e\ntwo\n\nthr', 'ee\nrest'])).toEqual(['one', 'two', '', 'three'])
  })

  it('do not cut a character in two', async () => {
    const bytes = Buffer.from('ä\n')
    expect(await linesOf([bytes.subarray(0, 1), bytes.subarray(1)])).toEqual(['ä'])
  })

  it('end where one is too long; those before it are taken, those after it are not', async () => {
    expect(await linesOf(['one\n12345', '6789', '\ntwo\n'], 8)).toEqual(['one', undefined])
  })
})
