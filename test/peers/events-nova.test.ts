// Notifications that Nova's own messaging library sends through a real RabbitMQ. There is no Nova here.
import {spawn} from 'node:child_process'
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterAll, describe, expect, it} from 'vitest'
import {once} from '../../src/net/stream/unix-socket.ts'
import {openEvents} from '../../src/services/site/event-source.ts'
import {RABBITMQ, startRabbitMq} from '../support/rabbitmq.ts'
import {eventually} from '../support/until.ts'

const OSLO = '/usr/lib/python3/dist-packages/oslo_messaging'
const missing = existsSync(RABBITMQ) && existsSync(OSLO) ? undefined : 'rabbitmq-server and python3-oslo.messaging'
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-nova-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

const MAC = '02:00:00:00:00:10'
const POST_DEST = 'instance.live_migration_post_dest.end'

function listen(url: string) {
  const heard: string[] = []
  const said: string[] = []
  const where = join(mkdtempSync(join(scratch, 'site-')), 'nova.url')
  writeFileSync(where, `${url}\n`, {mode: 0o600})
  const stage = {nowMs: Date.now, sleep: (ms: number) => delay(ms / 20), log: (line: string) => void said.push(line)}
  const open = openEvents({kind: 'nova', where}, stage, ({kind, mac, host, atMs}) => {
    expect(Math.abs(Date.now() - atMs!)).toBeLessThan(20_000)
    heard.push(`${kind} ${mac} ${host}`)
  })
  return {heard, said, [Symbol.asyncDispose]: () => open[Symbol.asyncDispose]()}
}

describe.skipIf(missing !== undefined)(`notifications of Nova${missing ? ` (not installed: ${missing})` : ''}`, () => {
  it('are read from a queue of our own, also those of the time without a connection', {timeout: 180_000}, async () => {
    await using broker = await startRabbitMq()
    const nova = spawn('/usr/bin/python3', [join(import.meta.dirname, 'nova-notify.py'), broker.url, MAC], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const ended = once(nova, 'exit')
    const notify = (host: string, event = POST_DEST): unknown => nova.stdin.write(`${host} ${event}\n`)
    const queues = async (...columns: readonly string[]): Promise<string[]> =>
      (await broker.ask('list_queues', '--no-table-headers', ...columns)).trim().split('\n').sort()

    await using site = listen(broker.url)
    // Nobody has sent anything yet: it is waited for, not made.
    await eventually(async () => expect(site.said[0]).toMatch(/there is no exchange nova .*; tried again in 1 s$/))
    notify('host0')
    await eventually(async () => expect(site.said.at(-1)).toBe('listening to nova'))
    expect(site.heard).toEqual([])

    notify('host2')
    await eventually(async () => expect(site.heard).toEqual([`arrived ${MAC} host2`]))
    notify('host1', 'instance.live_migration_post.end')
    notify('host1', 'instance.update')
    await eventually(async () => expect(site.heard.slice(1)).toEqual([`left ${MAC} host1`]))

    // What is Ceilometer's, or of any other who listens, is all still there.
    await eventually(async () =>
      expect((await queues('name', 'messages'))[1]).toMatch(/^versioned_notifications\.info\s+4$/),
    )
    const [own] = await queues('name', 'messages', 'arguments')
    expect(own).toMatch(/^gwswitch\.\S+\s+0\s.*"x-expires",600000.*"x-max-length",10000/)

    await broker.ask('close_all_connections', 'a test')
    notify('host3')
    await eventually(async () => expect(site.heard.slice(2)).toEqual([`arrived ${MAC} host3`]))
    expect(site.said.filter((line) => line.includes('CONNECTION_FORCED'))).toHaveLength(1)
    nova.stdin.end()
    await ended
  })

  it('that the broker does not let us read are said to be refused, without the password', {
    timeout: 60_000,
  }, async () => {
    await using nobody = listen('amqp://guest:secret@127.0.0.1:1/')
    await eventually(async () =>
      expect(nobody.said[0]).toBe(
        'no events of nova: amqp://127.0.0.1:1/: no broker answers (ECONNREFUSED); tried again in 1 s',
      ),
    )
  })
})
