// Arrivals: from the frame that announces a VM to the movement that is told, and what frames of others cost meanwhile.
//
// `gwswitch watch` at a bridge with many ports, 1,000 VMs in its inventory: how long after the kernel's time stamp of the frame
// it knows. Then 1,000,000 frames of others at one of the ports, of several kinds.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {cpus, tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {setTimeout as delay} from 'node:timers/promises'
import type {WatchEvent} from '../src/domain/movement/watch-event.ts'
import {quantile} from '../src/domain/trace/statistics.ts'
import {namespaceCommand} from '../src/net/process/netns.ts'
import {table} from '../src/render/table.ts'
import {writeMac} from '../src/wire/address.ts'
import {
  type ArrivalsLab,
  DCI,
  data,
  gratuitousArp,
  INVENTORY_YAML,
  rarp,
  withArrivalsLab,
} from '../test/peers/arrivals-lab.ts'

const built = join(import.meta.dirname, '../dist/commands/watch.js')
const cli = join(import.meta.dirname, '..', existsSync(built) ? 'bin/run.js' : 'bin/dev.js')
const quick = process.argv.includes('--quick')
const FRAMES = quick ? 100_000 : 1_000_000
/** Of those that are made one by one, or go to every port. */
const FEWER = FRAMES / 50
const ARRIVALS = 100
const VMS = 1000
const PORTS = quick ? 20 : 300
const STATION = '02:00:00:00:00:55'
const BUDGET = {p50Ms: 1, rssMb: 120, cpuS: 1}

const mac = (group: number, i: number): string =>
  `02:00:${[group, (i >> 16) & 255, (i >> 8) & 255, i & 255].map((each) => each.toString(16).padStart(2, '0')).join(':')}`

const inventoryText = (): string =>
  INVENTORY_YAML +
  Array.from(
    {length: VMS},
    (_, i) =>
      `  vm-${i}: {segment: tenant-b, ip: 10.1.${64 + (i >> 8)}.${i & 255}, mac: ${mac(0x77, i)}, site: x, strategies: [arp]}\n`,
  ).join('')

/** `gwswitch watch --json`: what it says of arrivals, and what it takes. */
function startWatch({switch: namespace}: ArrivalsLab, inventoryFile: string) {
  const argv = namespaceCommand(namespace, [process.execPath, cli, 'watch', 'y', '-i', 'vnet*', '-f', inventoryFile])
  const child = spawn(argv[0]!, [...argv.slice(1), '--json'], {stdio: ['ignore', 'pipe', 'inherit']})
  const events: WatchEvent[] = []
  createInterface({input: child.stdout}).on('line', (line) => events.push(JSON.parse(line)))
  return {
    events,
    usage: () => ({cpuS: cpuS(child.pid!), rssMb: memory(child.pid!)}),
    async end() {
      child.kill('SIGTERM')
      await once(child, 'close')
    },
  }
}

/** proc_pid_stat(5), fields 14 and 15, in ticks of 10 ms. */
function cpuS(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

const memory = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024

await bench()

async function bench(): Promise<void> {
  const names = ['vnet1', 'vnet2', DCI]
  await withArrivalsLab(names, async (lab) => {
    for (let i = 3; i <= PORTS; i++) await lab.addPort(`vnet${i}`)
    const folder = mkdtempSync(join(tmpdir(), 'gwswitch-bench-'))
    const inventoryFile = join(folder, 'gwswitch.yaml')
    writeFileSync(inventoryFile, inventoryText())
    const watcher = startWatch(lab, inventoryFile)
    // It listens once it tells of one.
    for (let i = 0; watcher.events.length === 0; i++) {
      lab.behind('vnet1').send(rarp(mac(0x78, i)))
      await delay(100)
    }
    await delay(500)
    const idle = watcher.usage()
    watcher.events.length = 0
    for (let i = 0; i < ARRIVALS; i++) {
      lab.behind('vnet1').send(rarp(mac(0x77, i)))
      // What would be done is looked at for each: none waits for that of the one before.
      await delay(100)
    }
    for (let i = 0; i < 100 && watcher.events.length < ARRIVALS; i++) await delay(100)
    const times = watcher.events.map(({afterMs}) => afterMs)
    const flood = async (name: string, frame: (i: number) => Uint8Array, count = FRAMES) => {
      const before = watcher.usage()
      const socket = lab.behind('vnet2')
      const start = performance.now()
      for (let sent = 0; sent < count; ) {
        const frames = Array.from({length: Math.min(256, count - sent)}, (_, i) => frame(sent + i))
        const taken = socket.sendMany(frames)
        sent += taken
        if (taken < frames.length) await delay(1)
      }
      const seconds = (performance.now() - start) / 1000
      await delay(500)
      const after = watcher.usage()
      return {
        name,
        frames: count,
        rate: count / seconds,
        cpuS: after.cpuS - before.cpuS,
        rssMb: after.rssMb,
        more: after.rssMb - before.rssMb,
      }
    }
    // To one station: the bridge need not copy them to every port.
    lab.behind('vnet1').send(data(STATION))
    const unicast = (source: string): Uint8Array => {
      const frame = data(source)
      writeMac(STATION, frame, 0)
      return frame
    }
    const one = unicast(mac(0x66, 0))
    const many = Array.from({length: 1000}, (_, i) => unicast(mac(0x66, i)))
    const announced = gratuitousArp(mac(0x66, 0), '10.1.0.9')
    const rows = [
      await flood('one stranger', () => one),
      await flood('a thousand strangers', (i) => many[i % 1000]!),
      await flood('the same again', (i) => many[i % 1000]!),
      await flood("a stranger's announcements", () => announced, FEWER),
      await flood('another MAC each', (i) => unicast(mac(0x65, i)), FEWER),
      await flood("another MAC's announcement each", (i) => gratuitousArp(mac(0x64, i), '10.1.0.9'), FEWER),
    ]
    await watcher.end()
    rmSync(folder, {recursive: true})

    console.log(
      `${cpus()[0]?.model}, ${cpus().length} CPUs; ${PORTS} ports, ${VMS} VMs; at rest ${idle.rssMb.toFixed(0)} MB`,
    )
    const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)]
    console.log(
      `frame to movement: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${times.length} of ${ARRIVALS} told`,
    )
    console.log(
      table(
        [
          ['frames of', 'frames', 'a second', 'CPU', 'memory after', 'more'],
          ...rows.map(({name, frames, rate, cpuS, rssMb, more}) => [
            ...[
              name,
              `${frames}`,
              rate.toFixed(0),
              `${cpuS.toFixed(2)} s`,
              `${rssMb.toFixed(0)} MB`,
              `${more.toFixed(1)} MB`,
            ],
          ]),
        ],
        {align: ['left', 'right', 'right', 'right', 'right', 'right']},
      ),
    )
    const quiet = rows.slice(0, 3)
    const isBad = p50 > BUDGET.p50Ms || times.length !== ARRIVALS || rows.some(({rssMb}) => rssMb > BUDGET.rssMb)
    if (isBad || quiet.some(({cpuS}) => cpuS > BUDGET.cpuS)) process.exitCode = 1
  })
}
