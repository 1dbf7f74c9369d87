// From the frame that announces a VM at a port to the frames of its switch, by the kernel's timestamps at that port: the first
// one, and the one that tells the VM where its gateway is. Beside it a hook that starts arping, from its start to its frame:
// that somebody calls it in the moment in which the VM is heard is given to it. Needs root.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {cpus, loadavg, tmpdir} from 'node:os'
import {join} from 'node:path'
import {quantile} from '../src/domain/trace/statistics.ts'
import {realtimeNs} from '../src/net/libc.ts'
import type {Link, ReceivedFrame} from '../src/net/packet/link.ts'
import {tryCommand} from '../src/net/process/command.ts'
import {readJournal} from '../src/orders/journal/journal-file.ts'
import {table} from '../src/render/table.ts'
import {BROADCAST} from '../src/wire/address.ts'
import {parseArp} from '../src/wire/arp.ts'
import {ETHERTYPE_ARP, ETHERTYPE_RARP, parseEthernet} from '../src/wire/ethernet.ts'
import {linkIn} from '../test/peers/arp-link.ts'
import {rarp} from '../test/peers/arrivals-lab.ts'
import {BY, type ManySegment, withManySegment} from '../test/support/many-segment.ts'
import {startSiteService} from '../test/support/site-service.ts'
import {until} from '../test/support/until.ts'

const BUDGET = {p50: 1, p99: 5}
const quick = process.argv.includes('--quick')
/** Each arrival is that of another VM: who is here does not arrive. */
const VMS = quick ? 20 : 200
const MAC = /mac: "(02:00:00:01:[0-9a-f:]+)"/g
/** The address of both gateways of the segment. */
const SHARED = '10.19.255.254'
const folder = mkdtempSync(join(tmpdir(), 'gwswitch-bench-arrival-'))

/** ms since the frame that announces, or the start of the hook. */
interface Round {
  readonly first: number
  readonly tells: number
}

/** The next frames to a VM, or `to` everybody, after the frame that announces it, or what begins by another clock. */
async function roundOf(link: Link, mac: string, begin: () => bigint | undefined, to = mac): Promise<Round> {
  let began: bigint | undefined
  let first: bigint | undefined
  let tells: bigint | undefined
  const off = link.onFrame(({bytes, timestampNs}: ReceivedFrame) => {
    const {etherType, source, destination, payload} = parseEthernet(bytes)
    if (etherType === ETHERTYPE_RARP && source === mac) began ??= timestampNs
    if (began === undefined || destination !== to) return
    first ??= timestampNs
    if (etherType !== ETHERTYPE_ARP) return
    const {senderIp, senderMac} = parseArp(payload)
    if (senderIp === SHARED && senderMac === BY) tells ??= timestampNs
  })
  began = begin()
  await until(async () => tells !== undefined, 20_000, `${mac} is told`)
  off()
  return {first: Number(first! - began!) / 1e6, tells: Number(tells! - began!) / 1e6}
}

async function arrivals(segment: ManySegment, macs: readonly string[], link: Link): Promise<Round[]> {
  const [inventory, journal] = [join(folder, 'gwswitch.yaml'), join(folder, 'journal.db')]
  writeFileSync(inventory, segment.inventory.replaceAll('site: x }', 'site: x, strategies: [arp] }'))
  // They have spoken when they were made.
  await segment.run('gw', 'ip link set loc type bridge_slave fdb_flush')
  const service = await startSiteService({
    ...{namespace: segment.namespace, inventory, socket: join(folder, 'site.sock')},
    args: ['--watch', 'loc', '--journal', journal],
  })
  await using vms = await linkIn(segment.namespace.replace(/-gw$/, '-here'), 'eth0', {})
  try {
    // Plans are made with a tenth of the time.
    for (const end = performance.now() + 600_000; performance.now() < end; ) {
      const [status] = await service.ask('status')
      if ((status!.plans as number) >= macs.length) break
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
    await service.ready(macs.length)
    const found: Round[] = []
    for (const mac of macs) {
      found.push(
        await roundOf(link, mac, () => {
          vms.send(rarp(mac))
          return undefined
        }),
      )
      await until(
        async () => ((await service.ask('status'))[0]!.running as string[]).length === 0,
        20_000,
        'it has ended',
      )
    }
    const ends = await readJournal(journal, (read) => read.entries({}, macs.length).map(({document}) => document?.end))
    const proved = ends.filter((end) => end === 'switched').length
    if (proved !== macs.length)
      throw new Error(`${proved} of ${macs.length} were proved: ${service.log().slice(-2000)}`)
    return found
  } catch (error) {
    throw new Error(service.log().slice(-4000), {cause: error})
  } finally {
    await service.end()
  }
}

try {
  await withManySegment(
    VMS,
    () => 'good',
    async (segment) => {
      const macs = [...segment.inventory.matchAll(MAC)].map(([, mac]) => mac!)
      await using link = await linkIn(segment.namespace, 'loc', {promiscuous: true, outgoing: true})
      const heard = await arrivals(segment, macs, link)
      const hooks: Round[] = []
      for (const mac of macs) {
        const round = await roundOf(
          link,
          mac,
          () => {
            const beganNs = realtimeNs()
            const hook = `arping -q -c 1 -w 1 -U -I br0 ${SHARED}`
            void tryCommand('ip', ['netns', 'exec', segment.namespace, 'sh', '-c', hook])
            return beganNs
          },
          BROADCAST,
        )
        hooks.push(round)
      }
      const row = (name: string, values: readonly number[]): string[] => [
        name,
        ...[0.5, 0.99, 1].map((at) => quantile(values, at).toFixed(2)),
      ]
      const first = heard.map((each) => each.first)
      console.log(`${cpus()[0]?.model}, ${cpus().length} CPUs, load ${loadavg()[0]!.toFixed(1)}; ${VMS} VMs`)
      console.log(
        table(
          [
            [`of ${VMS}`, 'p50 ms', 'p99 ms', 'worst ms'],
            row('arrival at the port to the first frame', first),
            row(
              'arrival at the port to the frame that tells',
              heard.map((each) => each.tells),
            ),
            row(
              'hook that starts arping, to its frame',
              hooks.map((each) => each.tells),
            ),
          ],
          {align: ['left', 'right', 'right', 'right']},
        ),
      )
      const isGood = quantile(first, 0.5) <= BUDGET.p50 && quantile(first, 0.99) <= BUDGET.p99
      console.log(`budget to the first frame: p50 ${BUDGET.p50} ms, p99 ${BUDGET.p99} ms: ${isGood ? 'met' : 'missed'}`)
      process.exitCode = isGood ? 0 : 1
    },
  )
} finally {
  rmSync(folder, {recursive: true, force: true})
}
