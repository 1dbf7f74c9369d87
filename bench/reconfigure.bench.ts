// How long a FORCERENEW takes until stock dhcpcd has another router, beside a renewal asked for inside the guest
// (`dhcpcd -N`), with dnsmasq as the server; and how many FORCERENEWs a core signs, beside their HMAC-MD5 alone.
//
//   node bench/reconfigure.bench.ts [--quick]     needs root, dnsmasq and dhcpcd
import {spawn} from 'node:child_process'
import {createHmac} from 'node:crypto'
import {once} from 'node:events'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {openLink} from '../src/net/packet/link.ts'
import {systemWorld} from '../src/net/system-world.ts'
import {tableLines} from '../src/render/table.ts'
import {dnsmasqBackend} from '../src/strategies/dhcp/backends/dnsmasq.ts'
import {openClientStore} from '../src/strategies/dhcp/client-store.ts'
import {type ClientSighting, dhcpFilter, readClientSighting} from '../src/strategies/dhcp/client-watch.ts'
import {forcerenewMessage} from '../src/strategies/dhcp/forcerenew.ts'
import {reconfigureClient} from '../src/strategies/dhcp/reconfigure.ts'
import {frameSender} from '../src/strategies/dhcp/senders.ts'
import {forcerenewTrigger} from '../src/strategies/dhcp/triggers.ts'
import {GATEWAYS, SERVER_IP, VM_IP, withDhcpLab} from '../test/peers/dhcp-lab.ts'
import {SERVERS, startDhcpcd} from '../test/peers/dhcp-servers.ts'

const [inside, dir = '', mac = '', clientPid = ''] = process.argv.slice(2).filter((arg) => !arg.startsWith('--'))
const quick = process.argv.includes('--quick')
const ROUNDS = quick ? 4 : 60
/** FORCERENEW to ACK, over a renewal begun inside. */
const BUDGET = 1

if (inside === 'inside') await measureInside()
else await main()

async function main(): Promise<void> {
  console.log('signing')
  for (const line of tableLines(signing(), {align: ['left', 'right', 'right'], indent: '  '})) console.log(line)
  await withDhcpLab('dnsmasq', async (lab) => {
    await SERVERS.dnsmasq.start(lab)
    await startDhcpcd(lab)
    const pid = (
      await lab.client.run(
        'sh',
        '-c',
        'for p in $(ip netns pids "$1"); do grep -q ^dhcpcd /proc/$p/comm && echo $p; done | head -1',
        'sh',
        lab.client.namespace,
      )
    ).trim()
    const script = process.argv[1]!
    const args = [
      'netns',
      'exec',
      lab.server.namespace,
      process.execPath,
      script,
      'inside',
      lab.dir,
      lab.client.mac,
      pid,
      ...(quick ? ['--quick'] : []),
    ]
    const child = spawn('ip', args, {stdio: 'inherit'})
    const [code] = (await once(child, 'exit')) as [number]
    process.exitCode = code
  })
}

function signing(): string[][] {
  const nonce = new Uint8Array(16).fill(7)
  const client = {ip: VM_IP, mac: '02:00:00:00:00:10'}
  const message = forcerenewMessage(client, {xid: 1, serverId: SERVER_IP, key: {nonce, replay: 1n}})
  const perSecond = (work: (i: number) => void): number => {
    const endMs = performance.now() + (quick ? 300 : 1500)
    let done = 0
    const beganMs = performance.now()
    while (performance.now() < endMs) for (let i = 0; i < 100; i++) work(done++)
    return (done / (performance.now() - beganMs)) * 1000
  }
  const ours = perSecond((i) =>
    forcerenewMessage(client, {xid: i, serverId: SERVER_IP, key: {nonce, replay: BigInt(i)}}),
  )
  const floor = perSecond(() => createHmac('md5', nonce).update(message).digest())
  return [
    ['whole FORCERENEW', `${Math.round(ours).toLocaleString('en')}/s`, `${(ours / floor).toFixed(2)} of the floor`],
    ['HMAC-MD5 of 300 bytes alone', `${Math.round(floor).toLocaleString('en')}/s`, 'floor'],
  ]
}

/** In the server's namespace: both triggers in turns, the router another one each time. */
async function measureInside(): Promise<void> {
  const world = systemWorld(() => {})
  const client = {name: 'web-07', ip: VM_IP, mac}
  const backend = dnsmasqBackend(
    {
      server: 'dnsmasq',
      optsfile: join(dir, 'opts'),
      pidfile: join(dir, 'dnsmasq.pid'),
      log: join(dir, 'server.log'),
      nonces: join(dir, 'nonces'),
    },
    {segment: 'lan', world},
  )
  const store = await openClientStore(join(dir, 'bench.db'))
  const sender = await frameSender(world, {
    interfaceName: 'eth0',
    sourceIp: () => SERVER_IP,
    clients: [client],
    learn: (seen) => store.learn(seen),
  })
  const link = await openLink('eth0', {filter: dhcpFilter([mac]), outgoing: true, promiscuous: true})
  const ours: number[] = []
  const inner: number[] = []
  let ignored = 0
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await backend.setRouter(client, {ip: round % 2 ? GATEWAYS.rx.ip : GATEWAYS.ry.ip, site: 'x'})
      const trigger = forcerenewTrigger(sender, {world, store, backend, unauthenticated: false})
      const report = await reconfigureClient(
        client,
        {world, watch: sender, trigger, signal: new AbortController().signal},
        {attempts: 3, timeoutMs: 1000},
      )
      if (report.outcome !== 'acted') throw new Error(`round ${round}: ${report.outcome}`)
      ours.push(report.ackMs!)
      await sleep(400)
      const innerMs = await renewInside(link)
      if (innerMs === undefined) ignored++
      else inner.push(innerMs)
      await sleep(400)
    }
  } finally {
    await Promise.all([link.close(), sender.close()])
    store.close()
  }
  const ratio = median(ours) / median(inner)
  console.log(`\nto the ACK with the new router, ${ROUNDS} times, dhcpcd and dnsmasq`)
  const row = (name: string, ms: readonly number[], last: string): string[] => [
    name,
    `p50 ${median(ms).toFixed(2)} ms`,
    `p99 ${quantile(ms, 0.99).toFixed(2)} ms`,
    last,
  ]
  const rows = [
    row('FORCERENEW', ours, `${ratio.toFixed(2)} (at most ${BUDGET})`),
    row('dhcpcd -N in the guest', inner, ignored === 0 ? '1' : `1; ${ignored} times it took no notice`),
  ]
  for (const line of tableLines(rows, {indent: '  '})) console.log(line)
  process.exitCode = ratio > BUDGET ? 1 : 0
}

/** From the start of `dhcpcd -N` in the guest to its ACK on the wire, ms; undefined if dhcpcd took no notice for 2 s. */
async function renewInside(link: Awaited<ReturnType<typeof openLink>>): Promise<number | undefined> {
  const acked = Promise.withResolvers<bigint>()
  const beganNs = BigInt(Date.now()) * 1_000_000n
  const off = link.onFrame((received) => {
    const seen: ClientSighting | undefined = readClientSighting(received)
    if (seen?.kind === 'ack' && seen.atNs >= beganNs) acked.resolve(seen.atNs)
  })
  try {
    const child = spawn('nsenter', ['-t', clientPid, '-n', '-m', 'dhcpcd', '-4', '-N', 'eth0'], {stdio: 'ignore'})
    const [code] = (await once(child, 'exit')) as [number]
    if (code !== 0) throw new Error(`dhcpcd -N ended with ${code}`)
    const late = sleep(2000, undefined)
    const atNs = await Promise.race([acked.promise, late])
    return atNs === undefined ? undefined : Number(atNs - beganNs) / 1e6
  } finally {
    off()
  }
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}
