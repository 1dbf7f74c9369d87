import {existsSync, mkdtempSync, rmSync, statSync} from 'node:fs'
import {request} from 'node:http'
import {type AddressInfo, createConnection, createServer, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {counted, gauge, prometheusText} from '../../src/domain/prometheus.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {once} from '../../src/net/stream/unix-socket.ts'
import {siteMetrics} from '../../src/services/site/metrics.ts'
import {listenForMetrics, readMetricsPlace} from '../../src/services/site/metrics-listen.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-metrics-'))
const path = join(scratch, 'metrics.sock')
afterAll(() => rmSync(scratch, {recursive: true}))

const FIGURES = {site: 'y', segment: 'tenant-a', beacons: 7, service: undefined, switches: {switched: 2, failed: 1}}
const NOTES = {valid: 3, refused: {clock: 1}, silent: {flooded: 4}}
const text = (): string => siteMetrics({...FIGURES, notes: NOTES})

interface Answer {
  readonly status: number | undefined
  readonly type: string | undefined
  readonly body: string
}

function get(
  where: {socketPath: string} | {port: number; host: string},
  wanted = '/metrics',
  method = 'GET',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({...where, path: wanted, method, agent: false}, (answer) => {
      let body = ''
      answer.on('data', (chunk: Buffer) => (body += chunk.toString()))
      answer.on('end', () => resolve({status: answer.statusCode, type: answer.headers['content-type'], body}))
    })
    sent.on('error', reject)
    sent.end()
  })
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const {port} = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return port
}

/** By Prometheus' own library for Python: what it read, as it would be scraped. */
const PARSE = `import json, sys
from prometheus_client.parser import text_string_to_metric_families as read
print(json.dumps([[s.name, s.labels, s.value] for f in read(sys.stdin.read()) for s in f.samples]))`
const LIBRARY = '/usr/lib/python3/dist-packages/prometheus_client/parser.py'
const parsed = async (exposition: string): Promise<unknown> =>
  JSON.parse(await runCommand('/usr/bin/python3', ['-c', PARSE], {input: exposition}))

describe('metrics', () => {
  let server: Awaited<ReturnType<typeof listenForMetrics>>
  beforeAll(async () => {
    server = await listenForMetrics(path, text)
    return () => server.close()
  })

  it('are answered on a unix socket that is its owner’s alone', async () => {
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(await get({socketPath: path})).toEqual({
      status: 200,
      type: 'text/plain; version=0.0.4; charset=utf-8',
      body: text(),
    })
    expect(await get({socketPath: path}, '/metrics', 'HEAD')).toMatchObject({status: 200, body: ''})
  })

  it.skipIf(!existsSync(LIBRARY))('are read by the library of Prometheus as they are meant', async () => {
    const {body} = await get({socketPath: path})
    expect(await parsed(body)).toEqual([
      ['gwswitch_site_info', {site: 'y', segment: 'tenant-a'}, 1],
      ['gwswitch_site_beacons_total', {}, 7],
      ['gwswitch_site_notes_total', {outcome: 'clock'}, 1],
      ['gwswitch_site_notes_total', {outcome: 'acted_on'}, 2],
      ['gwswitch_site_dropped_messages_total', {reason: 'flooded'}, 4],
      ['gwswitch_site_switches_total', {outcome: 'switched'}, 2],
      ['gwswitch_site_switches_total', {outcome: 'failed'}, 1],
    ])
    const odd = {'a"b\\c\nd': 1, 'ü{}=,': 2.5, '': 1e21}
    expect(
      await parsed(
        prometheusText([counted('a_total', 'A "help" \\ of\ntwo lines.', 'why', odd), gauge('b', 'b', 0.1)]),
      ),
    ).toEqual([...Object.entries(odd).map(([why, value]) => ['a_total', {why}, value]), ['b', {}, 0.1]])
  })

  it('are all that is there', async () => {
    expect(await get({socketPath: path}, '/')).toMatchObject({status: 404, body: '/metrics is here\n'})
    expect(await get({socketPath: path}, '/metrics', 'POST')).toMatchObject({status: 405})
  })

  it('go on while others ask for too much, or for nothing', {timeout: 30_000}, async () => {
    const clients = Array.from({length: 40}, () => createConnection(path))
    const gone = clients.map((client) => closed(client))
    for (const client of clients) client.write('GET /metrics HTTP/1.1\r\n')
    // Whoever is slow is not waited for, and makes room.
    await Promise.all(gone)
    const long = createConnection(path)
    long.write(`GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`)
    await closed(long)
    expect((await get({socketPath: path})).status).toBe(200)
  })
})

async function closed(client: Socket): Promise<void> {
  client.on('error', () => {})
  client.resume()
  await new Promise((resolve) => client.once('close', resolve))
}

describe('a place for metrics', () => {
  it('on a loopback address answers there, once', async () => {
    const port = await freePort()
    const server = await listenForMetrics(readMetricsPlace(`127.0.0.1:${port}`), text)
    expect(await get({host: '127.0.0.1', port})).toMatchObject({status: 200, body: text()})
    await expect(listenForMetrics({address: '127.0.0.1', port}, text)).rejects.toThrow(
      `cannot serve metrics at 127.0.0.1:${port}: EADDRINUSE`,
    )
    await server.close()
    await expect(get({host: '127.0.0.1', port})).rejects.toThrow('ECONNREFUSED')
  })

  it.each([
    ['unix:/run/gwswitch/metrics.sock', '/run/gwswitch/metrics.sock'],
    ['127.0.0.1:9469', {address: '127.0.0.1', port: 9469}],
    ['127.0.0.2', {address: '127.0.0.2', port: 9469}],
    ['[::1]:9470', {address: '::1', port: 9470}],
  ])('%s', (place, read) => expect(readMetricsPlace(place)).toEqual(read))

  it.each([
    ['unix:metrics.sock', 'is no absolute path'],
    ['0.0.0.0:9469', 'is no loopback address'],
    ['10.0.0.1:9469', 'is no loopback address'],
    ['[::]:9469', 'is no loopback address'],
    ['localhost:9469', 'is no place to listen'],
  ])('%s is refused', (place, why) =>
    expect(() => readMetricsPlace(place)).toThrow(`--metrics-listen ${place}: ${why}`),
  )
})
