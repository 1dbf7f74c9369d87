// From a line on the control socket of `serve site` to the frames of the switch, by kernel timestamps at the VM: the first
// one, and the one that tells it. Beside it a hook that starts arping, from its start to its frame. Needs root.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {quantile} from '../src/domain/trace/statistics.ts'
import {realtimeNs} from '../src/net/libc.ts'
import {anyOf, etherType} from '../src/net/packet/bpf.ts'
import type {Link} from '../src/net/packet/link.ts'
import {tryCommand} from '../src/net/process/command.ts'
import {connectUnix} from '../src/net/stream/unix-socket.ts'
import {table} from '../src/render/table.ts'
import {ARP_REQUEST, parseArp} from '../src/wire/arp.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, parseEthernet} from '../src/wire/ethernet.ts'
import {linkIn} from '../test/peers/arp-link.ts'
import {type SegmentLab, withSegmentLab, X_MAC, Y_MAC} from '../test/support/segment-lab.ts'
import {type SiteService, startSiteService} from '../test/support/site-service.ts'
import {until} from '../test/support/until.ts'

const BUDGET = {p50: 1, p99: 5, memoryMb: 120}
const quick = process.argv.includes('--quick')
const ROUNDS = quick ? 20 : 200
const GATEWAY = '10.1.0.254'
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-bench-site-'))

/** ms from the line, or the start of the hook. */
interface Round {
  readonly first: number
  readonly tells: number
}

try {
  await withSegmentLab({vmKeys: 'strategies: [arp]'}, async (lab) => {
    const service = await startSiteService({
      ...{namespace: lab.ns('sw'), inventory: lab.inventoryFile, socket: join(scratch, 'site.sock')},
    })
    const link = await linkIn(lab.ns('vm'), 'eth0', {
      filter: anyOf([[etherType(ETHERTYPE_ARP)], [etherType(ETHERTYPE_IPV4)]]),
    })
    try {
      await service.ready()
      const asked = await rounds(
        lab,
        link,
        () => orderBy(service),
        () => settled(service),
      )
      const memoryMb = (await service.ask('status'))[0]!.memoryMb as number
      const arping = await rounds(
        lab,
        link,
        () => hook(lab),
        async () => {},
      )
      const row = (name: string, values: readonly number[]): string[] => [
        name,
        ...[0.5, 0.99, 1].map((at) => quantile(values, at).toFixed(2)),
      ]
      const first = asked.map((each) => each.first)
      const tells = asked.map((each) => each.tells)
      console.log(
        table(
          [
            [`of ${ROUNDS}`, 'p50 ms', 'p99 ms', 'worst ms'],
            row('line to the first frame', first),
            row('line to the frame that tells', tells),
            row(
              'hook that starts arping, to its frame',
              arping.map((each) => each.tells),
            ),
          ],
          {align: ['left', 'right', 'right', 'right']},
        ),
      )
      console.log(
        `resident memory ${memoryMb} MB; budget: p50 ${BUDGET.p50} ms, p99 ${BUDGET.p99} ms, ${BUDGET.memoryMb} MB`,
      )
      const isGood = quantile(first, 0.5) <= BUDGET.p50 && quantile(first, 0.99) <= BUDGET.p99
      process.exitCode = isGood && memoryMb <= BUDGET.memoryMb ? 0 : 1
    } finally {
      await link.close()
      await service.end()
    }
  })
} finally {
  rmSync(scratch, {recursive: true, force: true})
}

async function rounds(
  lab: SegmentLab,
  link: Link,
  begin: () => Promise<bigint>,
  end: () => Promise<void>,
): Promise<Round[]> {
  const found: Round[] = []
  for (let i = 0; i < ROUNDS; i++) {
    await lab.run('vm', `ip neigh replace ${GATEWAY} lladdr ${X_MAC} dev eth0 nud reachable`)
    let first: bigint | undefined
    let tells: bigint | undefined
    let sinceNs = 0n
    const off = link.onFrame(({bytes, timestampNs}) => {
      const kind = frameKind(bytes)
      if (kind === undefined || timestampNs < sinceNs) return
      first ??= timestampNs
      if (kind === 'tells') tells ??= timestampNs
    })
    // What is still on its way from the round before is over.
    await new Promise((resolve) => setTimeout(resolve, 50))
    sinceNs = realtimeNs()
    const beganNs = await begin()
    await until(async () => tells !== undefined, 10_000, 'the VM is told')
    off()
    await end()
    found.push({first: Number(first! - beganNs) / 1e6, tells: Number(tells! - beganNs) / 1e6})
  }
  return found
}

/** Frames of the switch: echoes from far away, and what tells the VM where the gateway is. */
function frameKind(bytes: Uint8Array): 'asks' | 'tells' | undefined {
  const {etherType: type, payload, source} = parseEthernet(bytes)
  if (type === ETHERTYPE_IPV4) return source === X_MAC || source === Y_MAC ? undefined : 'asks'
  const {operation, senderIp, senderMac} = parseArp(payload)
  if (senderIp !== GATEWAY || senderMac !== Y_MAC) return undefined
  return operation === ARP_REQUEST || source === Y_MAC ? 'tells' : undefined
}

/** A hook's line; the clock runs from before it is written. */
async function orderBy(service: SiteService): Promise<bigint> {
  await service.ask('left db-03')
  const socket = await connectUnix(service.socket, 'the service')
  const sentNs = realtimeNs()
  socket.end('arrived db-03\n')
  socket.resume()
  return sentNs
}

async function settled(service: SiteService): Promise<void> {
  await until(() => isIdle(service), 20_000, 'it has ended')
  const [last] = (await service.ask('history 1'))[0]!.switches as {end: string; atOnce: boolean}[]
  if (last?.end !== 'switched' || !last.atOnce) throw new Error(`${JSON.stringify(last)}\n${service.log()}`)
}

async function isIdle(service: SiteService): Promise<boolean> {
  return ((await service.ask('status'))[0]!.running as string[]).length === 0
}

/** What people have: a shell that starts a program, which sends a gratuitous ARP of the gateway. */
async function hook(lab: SegmentLab): Promise<bigint> {
  const beganNs = realtimeNs()
  void tryCommand('ip', ['netns', 'exec', lab.ns('gy'), 'sh', '-c', `arping -q -c 1 -w 1 -U -I eth0 ${GATEWAY}`])
  return beganNs
}
