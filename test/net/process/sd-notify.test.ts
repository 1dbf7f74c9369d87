// Against a socket of another program, which prints what it gets.
import {spawn} from 'node:child_process'
import {existsSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterAll, describe, expect, it} from 'vitest'
import {serviceManager} from '../../../src/net/process/sd-notify.ts'
import {eventually} from '../../support/until.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-notify-'))
afterAll(() => rmSync(scratch, {recursive: true}))
const never = (why: string): void => expect.fail(why)

const RECEIVER = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', chr(0), 1))
print('bound', flush=True)
while True: print(repr(s.recv(4096).decode()), flush=True)`

async function withManager(socket: string, fn: (got: string[]) => Promise<void>): Promise<void> {
  const child = spawn('python3', ['-c', RECEIVER, socket], {stdio: ['ignore', 'pipe', 'inherit']})
  const gone = new Promise((resolve) => child.once('exit', resolve))
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    got.splice(0, got.length, ...text.split('\n').slice(0, -1))
  })
  const got: string[] = []
  try {
    await eventually(async () => expect(got).toEqual(['bound']))
    await fn(got)
  } finally {
    child.kill('SIGKILL')
    await gone
  }
}

describe('the service manager', () => {
  it.each([
    ['a path', join(scratch, 'notify')],
    ['an abstract name', `@gwswitch-test-${process.pid}`],
  ])('at %s is told that we are ready, how we are, and that we end', async (_name, socket) => {
    await withManager(socket, async (got) => {
      const env = {NOTIFY_SOCKET: socket, OTHER: 'x'}
      const manager = serviceManager(env, never)
      // What we start must not speak for us.
      expect(env).toEqual({OTHER: 'x'})
      manager.ready('site y, 3 segments')
      manager.status('one\ntwo')
      manager.stopping()
      manager[Symbol.dispose]()
      await eventually(async () =>
        expect(got.slice(1)).toEqual(["'READY=1\\nSTATUS=site y, 3 segments'", "'STATUS=one two'", "'STOPPING=1'"]),
      )
      expect(existsSync(socket)).toBe(!socket.startsWith('@'))
    })
  })

  it('that watches is told twice in its time, and not once that is over', async () => {
    const socket = join(scratch, 'watchdog')
    await withManager(socket, async (got) => {
      const manager = serviceManager(
        {NOTIFY_SOCKET: socket, WATCHDOG_USEC: '200000', WATCHDOG_PID: String(process.pid)},
        never,
      )
      const startedMs = performance.now()
      await eventually(async () => expect(got.length).toBeGreaterThan(4))
      expect(performance.now() - startedMs).toBeGreaterThan(300)
      expect(new Set(got.slice(1))).toEqual(new Set(["'WATCHDOG=1'"]))
      manager[Symbol.dispose]()
      manager.stopping()
      await eventually(async () => expect(got.at(-1)).toBe("'STOPPING=1'"))
      await delay(250)
      expect(got.at(-1)).toBe("'STOPPING=1'")
    })
  })

  it('that watches another process is not told by us', async () => {
    const socket = join(scratch, 'other')
    await withManager(socket, async (got) => {
      using manager = serviceManager({NOTIFY_SOCKET: socket, WATCHDOG_USEC: '20000', WATCHDOG_PID: '1'}, never)
      await delay(100)
      manager.status('x')
      await eventually(async () => expect(got.slice(1)).toEqual(["'STATUS=x'"]))
    })
  })

  it('that is not there is nobody, and one that went away is said once', () => {
    serviceManager({}, never).ready('x')
    const said: string[] = []
    const gone = serviceManager({NOTIFY_SOCKET: join(scratch, 'none')}, (why) => said.push(why))
    gone.ready('x')
    gone.status('y')
    expect(said).toEqual([`the service manager at ${scratch}/none is not told: ENOENT`])
    serviceManager({NOTIFY_SOCKET: 'vsock:2:1'}, (why) => said.push(why)).ready('x')
    expect(said[1]).toMatch(/no such kind of socket/)
  })
})
