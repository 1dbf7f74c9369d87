// Arrivals: from the frame that announces a VM to the movement that is told, and what frames of others cost meanwhile.
//
// A bridge with many ports and 10,000 VMs in the inventory; who watches is a process of its own, which says how long after
// the kernel's time stamp it told. Then 1,000,000 frames of others at one of the ports, of several kinds.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {cpus} from 'node:os'
import {createInterface} from 'node:readline'
import {setTimeout as delay} from 'node:timers/promises'
import {parseInventory} from '../src/domain/inventory/inventory.ts'
import type {Inventory} from '../src/domain/inventory/site.ts'
import {quantile} from '../src/domain/trace/statistics.ts'
import {namespaceCommand} from '../src/net/process/netns.ts'
import {systemWorld} from '../src/net/system-world.ts'
import {table} from '../src/render/table.ts'
import {watchArrivals} from '../src/services/site/arrivals.ts'
import {
  type ArrivalsLab,
  DCI,
  data,
  gratuitousArp,
  INVENTORY_YAML,
  rarp,
  withArrivalsLab,
} from '../test/peers/arrivals-lab.ts'

const quick = process.argv.includes('--quick')
const FRAMES = quick ? 100_000 : 1_000_000
const ARRIVALS = 200
const PORTS = quick ? 20 : 300
const BUDGET = {p50Ms: 1, rssMb: 120, cpuS: 1}

const mac = (group: number, i: number): string =>
  `02:00:${[group, (i >> 16) & 255, (i >> 8) & 255, i & 255].map((each) => each.toString(16).padStart(2, '0')).join(':')}`

function inventory(): Inventory {
  const small = parseInventory(INVENTORY_YAML, 'gwswitch.yaml')
  const vms = Array.from({length: 10_000}, (_, i) => ({
    ...small.vms[0]!,
    ...{name: `vm-${i}`, mac: mac(0x77, i), ip: `10.1.${i >> 8}.${i & 255}`},
  }))
  return {...small, vms}
}

/** Who watches: a line for each movement, and one with its resources for each line on standard input. */
async function watch(): Promise<void> {
  const world = systemWorld(() => {})
  await using _ = await watchArrivals(
    {ports: ['vnet*'], site: 'y', inventory: inventory()},
    {world, log: () => {}},
    ({atMs, source}) => console.log(JSON.stringify({ms: Number(world.now()) / 1e6 - atMs!, source})),
  )
  console.log(JSON.stringify({ready: true}))
  for await (const _line of createInterface({input: process.stdin})) {
    globalThis.gc?.()
    const {user, system} = process.cpuUsage()
    console.log(JSON.stringify({cpuS: (user + system) / 1e6, rssMb: process.memoryUsage.rss() / 2 ** 20}))
  }
}

function startWatch({switch: namespace}: ArrivalsLab) {
  const argv = namespaceCommand(namespace, [process.execPath, '--expose-gc', import.meta.filename, '--watch'])
  const child = spawn(argv[0]!, argv.slice(1), {stdio: ['pipe', 'pipe', 'inherit']})
  const lines = createInterface({input: child.stdout})
  const times: number[] = []
  let other: (value: {cpuS: number; rssMb: number}) => void = () => {}
  lines.on('line', (line) => {
    const said = JSON.parse(line)
    if (said.ms === undefined) other(said)
    else times.push(said.ms)
  })
  const next = (): Promise<{cpuS: number; rssMb: number}> =>
    new Promise((resolve) => {
      other = resolve
    })
  return {
    times,
    ready: next(),
    usage() {
      const answer = next()
      child.stdin.write('\n')
      return answer
    },
    async end() {
      child.stdin.end()
      child.kill('SIGTERM')
      await once(child, 'close')
    },
  }
}

if (process.argv.includes('--watch')) await watch()
else await bench()

async function bench(): Promise<void> {
  const names = ['vnet1', 'vnet2', DCI]
  await withArrivalsLab(names, async (lab) => {
    for (let i = 3; i <= PORTS; i++) await lab.addPort(`vnet${i}`)
    const watcher = startWatch(lab)
    await watcher.ready
    const idle = await watcher.usage()
    for (let i = 0; i < ARRIVALS; i++) {
      lab.behind('vnet1').send(rarp(mac(0x77, i)))
      await delay(5)
    }
    await delay(200)
    const times = watcher.times.slice()
    const flood = async (name: string, frame: (i: number) => Uint8Array) => {
      const before = await watcher.usage()
      const socket = lab.behind('vnet2')
      const start = performance.now()
      for (let sent = 0; sent < FRAMES; ) {
        const frames = Array.from({length: Math.min(256, FRAMES - sent)}, (_, i) => frame(sent + i))
        const taken = socket.sendMany(frames)
        sent += taken
        if (taken < frames.length) await delay(1)
      }
      const seconds = (performance.now() - start) / 1000
      await delay(500)
      const after = await watcher.usage()
      return {
        name,
        rate: FRAMES / seconds,
        cpuS: after.cpuS - before.cpuS,
        rssMb: after.rssMb,
        more: after.rssMb - before.rssMb,
      }
    }
    const one = data(mac(0x66, 0))
    const many = Array.from({length: 1000}, (_, i) => data(mac(0x66, i)))
    const announced = gratuitousArp(mac(0x66, 0), '10.1.0.9')
    const rows = [
      await flood('one stranger', () => one),
      await flood('a thousand strangers', (i) => many[i % 1000]!),
      await flood('the same again', (i) => many[i % 1000]!),
      await flood("a stranger's announcements", () => announced),
      await flood('another MAC each', (i) => data(mac(0x65, i))),
      await flood("another MAC's announcement each", (i) => gratuitousArp(mac(0x64, i), '10.1.0.9')),
    ]
    await watcher.end()

    console.log(
      `${cpus()[0]?.model}, ${cpus().length} CPUs; ${PORTS} ports, 10,000 VMs; at rest ${idle.rssMb.toFixed(0)} MB`,
    )
    const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)]
    console.log(
      `frame to movement: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${times.length} of ${ARRIVALS} told`,
    )
    console.log(
      table(
        [
          [`${FRAMES} frames`, 'a second', 'CPU', 'memory after', 'more'],
          ...rows.map(({name, rate, cpuS, rssMb, more}) => [
            ...[name, rate.toFixed(0), `${cpuS.toFixed(2)} s`, `${rssMb.toFixed(0)} MB`, `${more.toFixed(1)} MB`],
          ]),
        ],
        {align: ['left', 'right', 'right', 'right', 'right']},
      ),
    )
    const quiet = rows.slice(0, 3)
    const isBad = p50 > BUDGET.p50Ms || times.length !== ARRIVALS || rows.some(({rssMb}) => rssMb > BUDGET.rssMb)
    if (isBad || quiet.some(({cpuS}) => cpuS > BUDGET.cpuS)) process.exitCode = 1
  })
}
