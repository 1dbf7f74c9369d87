// What `switch --before-resume` makes of a live migration: a real QEMU guest that is pinged every 5 ms, moved again and again.
// From QMP's RESUME to its first packet for the new gateway, and how many took the old one until then, as tcpdump sees them
// at the destination's tap; beside it the same without a switch before, by `switch` on RESUME. Needs root and QEMU.
import {once} from 'node:events'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {quantile} from '../src/domain/trace/statistics.ts'
import {type GuestImage, guestImage} from '../src/lab/guest/image.ts'
import {migrateGuest, startGuest} from '../src/lab/guest/machine.ts'
import {down, up} from '../src/lab/lab.ts'
import {labOptions} from '../src/lab/options.ts'
import {labEnvironment} from '../src/lab/processes.ts'
import {labFiles} from '../src/lab/state.ts'
import {namespaceOf} from '../src/lab/topology.ts'
import {moveVm} from '../src/lab/vms.ts'
import {runCommand, tryCommand} from '../src/net/process/command.ts'
import {inNamespace, namespaceCommand, spawnIn} from '../src/net/process/netns.ts'
import {table} from '../src/render/table.ts'
import {ETHERTYPE_IPV4, parseEthernetHeader} from '../src/wire/ethernet.ts'
import {parsePcap} from '../src/wire/pcap.ts'
import {until} from '../test/support/until.ts'

const BUDGET_MS = 65
const BUDGET_TROMBONE = 2
const VM_MAC = '02:00:00:00:01:10'
const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'
const rounds = process.argv.includes('--quick') ? 3 : 10
const bin = join(import.meta.dirname, '../bin/run.js')
const image = await guestImage()
if (typeof image === 'string') {
  console.error(image)
  process.exit(1)
}
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-resume-'))
const lab = labOptions({prefix: 'gwbench', dci: 'plain', dciDelayMs: 10, wanDelayMs: 10})
const hv = namespaceOf(lab.prefix, 'hv')
/** What bears the lab's mark ends with it, also where this fails halfway. */
const mark = labEnvironment(lab.prefix)
const env = {...process.env, ...mark}

/** Two frames wait in the tap, which is what it takes. */
let waiting = false

interface Move {
  /** From RESUME to the first packet for the new gateway, ms. */
  readonly firstMs: number
  readonly trombone: number
  readonly end: string
}

try {
  await up(lab)
  await inNamespace(namespaceOf(lab.prefix, 'db-03'), () => runCommand('ip', ['link', 'set', 'eth0', 'down']))
  const rows = []
  for (const [name, how] of [
    ['switch --before-resume', 'before'],
    ['switch on RESUME', 'after'],
  ] as const) {
    const moves = await migrations(image, how)
    const first = moves.map(({firstMs}) => firstMs)
    const trombone = moves.map(({trombone: packets}) => packets)
    const switched = moves.filter(({end}) => end === 'switched').length
    rows.push({how, first: quantile(first, 0.5), trombone: quantile(trombone, 0.5)})
    console.log(
      table(
        [
          [name, 'moves', 'verified', 'to the new gateway ms p50', 'worst', 'on the trombone p50', 'most'],
          [
            ...['', `${moves.length}`, `${switched}`, quantile(first, 0.5).toFixed(0), Math.max(...first).toFixed(0)],
            ...[`${quantile(trombone, 0.5)}`, `${Math.max(...trombone)}`],
          ],
        ],
        {align: ['left', 'right', 'right', 'right', 'right', 'right', 'right']},
      ),
    )
  }
  const [before] = rows
  console.log(`budget: ${BUDGET_MS} ms and ${BUDGET_TROMBONE} packets at the median`)
  process.exitCode = before!.first <= BUDGET_MS && before!.trombone <= BUDGET_TROMBONE ? 0 : 1
} finally {
  await down(lab.prefix)
  rmSync(scratch, {recursive: true, force: true})
}

async function migrations(guestOf: GuestImage, how: 'before' | 'after'): Promise<Move[]> {
  const options = (n: number) => ({
    ...{namespace: hv, tap: `tap-${how}-${n}`, mac: VM_MAC, mtu: 1400, address: '10.1.0.10/24', gateway: '10.1.0.254'},
    ...{scratch, name: `${how}-${n}`},
  })
  const plug = async (n: number): Promise<void> => {
    await runCommand('ip', ['-n', hv, 'tuntap', 'add', options(n).tap, 'mode', 'tap'])
    await runCommand('ip', ['-n', hv, 'link', 'set', options(n).tap, 'up', 'master', 'br-db-03'])
  }
  await moveVm(lab.prefix, 'db-03', 'x')
  await plug(0)
  let guest = await startGuest(guestOf, options(0))
  const moves: Move[] = []
  try {
    for (let n = 1; n <= rounds; n++) {
      await plug(n)
      const pinging = spawnIn(namespaceOf(lab.prefix, 'user-y'), ['ping', '-q', '-i', '0.005', '10.1.0.10'], {
        ...{stdio: 'ignore', env},
      })
      const file = join(scratch, `${how}-${n}.pcap`)
      const filter = `ether src ${VM_MAC}`
      const tcpdump = spawnIn(
        hv,
        ['tcpdump', '-U', '--time-stamp-precision=nano', '-i', options(n).tap, '-w', file, filter],
        {stdio: ['ignore', 'ignore', 'pipe'], env},
      )
      await once(tcpdump.stderr!, 'data')
      let switching: Promise<string> | undefined
      const arrived = await migrateGuest(guest, guestOf, options(n), {
        whenAwaited: async () => {
          if (how === 'before') switching = switched(options(n).tap, 'y', '--before-resume', '60')
          await until(async () => how === 'after' || waiting, 60_000, 'frames wait in the tap')
        },
      })
      switching ??= switched(options(n).tap, 'y')
      guest = arrived
      const end = await switching
      await until(async () => packets(file, arrived.arrivedMs).firstMs !== undefined, 30_000, 'it uses the new gateway')
      const {firstMs, trombone} = packets(file, arrived.arrivedMs)
      moves.push({firstMs: firstMs!, trombone, end})
      pinging.kill('SIGKILL')
      tcpdump.kill('SIGINT')
      await once(tcpdump, 'exit')
      await switched(options(n).tap, 'x', '--accept-unverified')
      await runCommand('ip', ['-n', hv, 'link', 'del', options(n - 1).tap])
    }
  } finally {
    await guest.stop()
  }
  return moves
}

/** How it ended. */
async function switched(tap: string, to: string, ...args: readonly string[]): Promise<string> {
  waiting = false
  const pcap = join(scratch, 'switch.pcap')
  rmSync(pcap, {force: true})
  const words = ['switch', 'db-03', '--to', to, '-i', tap, '--strategy', 'arp', ...args, '--pcap', pcap, '--json']
  const [program = '', ...rest] = namespaceCommand(hv, [
    process.execPath,
    bin,
    ...words,
    '-f',
    labFiles(lab.prefix).inventory,
  ])
  const running = tryCommand(program, rest, {env: mark})
  const watch = setInterval(() => {
    try {
      waiting ||= parsePcap(readFileSync(pcap)).frames.length >= 2
    } catch {
      // Not there yet.
    }
  }, 20)
  const {stdout, stderr} = await running
  clearInterval(watch)
  return (JSON.parse(stdout || '{}') as {end?: string}).end ?? stderr
}

function packets(file: string, sinceMs: number): {firstMs: number | undefined; trombone: number} {
  let firstMs: number | undefined
  let trombone = 0
  for (const {bytes, timestamp} of parsePcap(readFileSync(file)).frames) {
    const {destination, etherType} = parseEthernetHeader(bytes)
    if (etherType !== ETHERTYPE_IPV4) continue
    const atMs = Number(timestamp / 1000n) / 1000 - sinceMs
    if (destination === BY) firstMs ??= atMs
    if (destination === BX) trombone++
  }
  return {firstMs, trombone}
}
