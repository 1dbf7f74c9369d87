// How soon a live-migrated VM uses the gateway of the site where it lands, by the shims there and nothing else: a real QEMU
// guest with a real DHCP client, moved between two hypervisors again and again, dnsmasq beside one of them. From QMP's RESUME
// to the route, as the guest says it on its console, and to its first packet for that gateway, as tcpdump sees it at its tap;
// one TCP session throughout. Needs root, QEMU, dnsmasq and the clients.
import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {loadavg} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {median} from '../src/domain/trace/statistics.ts'
import {dhcpGuestImage, type GuestClient} from '../src/lab/guest/dhcp-image.ts'
import {type GuestImage, guestImage} from '../src/lab/guest/image.ts'
import {labEnvironment} from '../src/lab/processes.ts'
import {spawnIn} from '../src/net/process/netns.ts'
import {table} from '../src/render/table.ts'
import {BOOTREQUEST, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, parseDhcp} from '../src/wire/dhcp.ts'
import {DHCPFORCERENEW, dhcpOptions, readOption} from '../src/wire/dhcp-options.ts'
import {parseFrame} from '../src/wire/frames.ts'
import {type CapturedFrame, parsePcap} from '../src/wire/pcap.ts'
import {EXIT_HOOK} from '../test/peers/dhcp-clients.ts'
import {GATEWAYS, VM_IP} from '../test/peers/dhcp-lab.ts'
import {askShim, startShims, stop} from '../test/peers/dhcp-shims.ts'
import {type MigratedClient, startMigratedClient, TAP} from '../test/peers/migrated-client.ts'
import {startPlainDnsmasq} from '../test/peers/plain-servers.ts'
import {type TwoHypervisors, withTwoHypervisors} from '../test/peers/two-hypervisors.ts'
import {startEcho} from '../test/support/echo-stream.ts'
import {until} from '../test/support/until.ts'

interface Case {
  readonly client: GuestClient
  /** What has it ask: its own time to renew, or a word to the shim on RESUME. */
  readonly word?: 'forcerenew' | 'nak'
  /** Of the shims, s. */
  readonly pollS: number
  /** Of the server, s. */
  readonly leaseS?: number
  /** After this long at most it asks, s. */
  readonly asksS: number
}

const POLL_S = 10
/** Longer than a case takes. */
const NEVER_S = 1800
/** dnsmasq gives none below. */
const SHORTEST_LEASE_S = 120

const CASES: readonly Case[] = [
  {client: 'dhcpcd', word: 'forcerenew', pollS: NEVER_S, asksS: 0},
  {client: 'dhcpcd', pollS: POLL_S, asksS: POLL_S},
  {client: 'dhclient-hook', pollS: POLL_S, asksS: POLL_S},
  {client: 'dhclient', word: 'nak', pollS: POLL_S, asksS: POLL_S},
  {client: 'networkd', pollS: POLL_S, asksS: POLL_S},
  {client: 'NetworkManager', pollS: POLL_S, asksS: POLL_S},
  {client: 'udhcpc', pollS: POLL_S, leaseS: SHORTEST_LEASE_S, asksS: SHORTEST_LEASE_S / 2},
]
/** How late it may be beyond that, ms: a renewal that was lost is asked again. */
const PATIENCE_MS = 60_000

interface Move {
  /** From RESUME, ms. */
  readonly routeMs: number
  readonly firstMs: number
  /** DHCP messages of the client from the start of the migration on, and how many had no answer. */
  readonly asked: number
  readonly lost: number
}

const rounds = process.argv.includes('--quick') ? 2 : 6
const base = await guestImage()
if (typeof base === 'string') {
  console.error(base)
  process.exit(1)
}
const rows = [['client', 'asks', 'route, s p50', 'worst', 'first packet, s p50', 'worst', 'DHCP lost', 'TCP', 'load']]
for (const each of CASES) rows.push(await row(each, base))
console.log(table(rows, {align: ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'left', 'right']}))

async function row(how: Case, of: GuestImage): Promise<string[]> {
  const asks = `${how.word ?? ''} ${how.asksS > 0 ? `every ${how.asksS} s` : ''}`.trim()
  try {
    const {moves, session} = await migrations(how, of)
    const seconds = (list: readonly number[]) => [median(list), Math.max(...list)].map((ms) => (ms / 1000).toFixed(2))
    const sum = (list: readonly number[]) => list.reduce((total, value) => total + value, 0)
    return [
      ...[
        how.client,
        asks,
        ...seconds(moves.map(({routeMs}) => routeMs)),
        ...seconds(moves.map(({firstMs}) => firstMs)),
      ],
      `${sum(moves.map(({lost}) => lost))} of ${sum(moves.map(({asked}) => asked))}`,
      session.echoed === session.sent ? `lives, ${session.longestMs} ms` : `${session.echoed} of ${session.sent}`,
      loadavg()[0]!.toFixed(1),
    ]
  } catch (error) {
    process.exitCode = 1
    console.error(`${how.client}: ${(error as Error).message}`)
    return [how.client, asks, 'failed']
  }
}

async function migrations(how: Case, of: GuestImage) {
  const moves: Move[] = []
  let session: Awaited<ReturnType<ReturnType<typeof startEcho>['stop']>> | undefined
  await withTwoHypervisors(async (lab) => {
    await startPlainDnsmasq(lab, how.leaseS)
    const shims = await startShims(lab, how.pollS)
    await using vm = await startMigratedClient(lab, await dhcpGuestImage(of, lab.dir, EXIT_HOOK), how.client)
    const stream = startEcho(lab.beyond, VM_IP)
    await until(async () => stream.echoed() > 10, 30_000, 'the guest echoes')
    for (let round = 0; round < rounds; round++) {
      // At any time between two renewals.
      await sleep(1000 + Math.random() * 1000 * how.asksS)
      moves.push(await move(lab, vm, round % 2 === 0 ? 'y' : 'x', how))
    }
    session = await stream.stop()
    for (const shim of shims) await stop(shim)
  })
  return {moves, session: session!}
}

async function move(lab: TwoHypervisors, vm: MigratedClient, to: 'x' | 'y', how: Case): Promise<Move> {
  const taps = [await capture(lab, 'x'), await capture(lab, 'y')]
  const there = taps[to === 'x' ? 0 : 1]!
  const gateway = GATEWAYS[`r${to}`]
  const moved = await vm.migrate(to)
  // It is refused until the bridge has learned where the VM is.
  const {word} = how
  if (word) await until(async () => (await askShim(lab, to, {do: word, vm: 'web-07'})).ok, 30_000, `${word} is taken`)
  const routed = () => new RegExp(`^default via ${gateway.ip} `, 'm').test(moved.console())
  for (const endMs = performance.now() + how.asksS * 1000 + PATIENCE_MS; !routed(); await sleep(2))
    if (performance.now() > endMs) throw new Error(`no route through ${gateway.ip} in time`)
  const routeMs = Date.now() - moved.arrivedMs
  const first = () =>
    there.frames().find(({ethernet, kind}) => kind === 'tcp' && ethernet.destination === gateway.mac)?.atMs
  await until(async () => first() !== undefined, 30_000, `it sends to ${gateway.ip}`)
  const firstMs = first()! - moved.arrivedMs
  for (const tap of taps) await tap.stop()
  const dhcp = taps.flatMap((tap) => tap.frames()).flatMap((frame) => (frame.kind === 'udp' ? [frame.udp] : []))
  const ops = dhcp
    .filter(({destinationPort: port}) => port === DHCP_SERVER_PORT || port === DHCP_CLIENT_PORT)
    .map(({payload}) => parseDhcp(payload))
    .filter(({options}) => readOption(options, dhcpOptions.messageType) !== DHCPFORCERENEW)
    .map(({op}) => op)
  const asked = ops.filter((op) => op === BOOTREQUEST).length
  return {routeMs, firstMs, asked, lost: 2 * asked - ops.length}
}

/** What the guest says and hears of DHCP at a hypervisor, and all else that it says there. */
async function capture(lab: TwoHypervisors, site: 'x' | 'y') {
  const file = join(lab.dir, `${site}.pcap`)
  const namespace = site === 'x' ? lab.hx : lab.hy
  const filter = `ether src ${lab.client.mac} or udp port 68`
  const argv = ['tcpdump', '-U', '--time-stamp-precision=nano', '-i', TAP, '-w', file, filter]
  const env = {...process.env, ...labEnvironment(lab.hypervisor.split('-')[0]!)}
  const child = spawnIn(namespace, argv, {stdio: ['ignore', 'ignore', 'pipe'], env})
  await once(child.stderr!, 'data')
  const read = ({bytes, timestamp}: CapturedFrame) => ({...parseFrame(bytes), atMs: Number(timestamp / 1000n) / 1000})
  return {
    frames: () => parsePcap(readFileSync(file)).frames.map(read),
    async stop() {
      child.kill('SIGINT')
      await once(child, 'exit')
    },
  }
}
