// What a raw socket costs while it waits, and how fast it wakes: idle CPU and memory of a process with one link open,
// against the same Node doing nothing; and the time from the kernel's receive stamp to our listener.
import {execFileSync, spawnSync} from 'node:child_process'
import {setTimeout as delay} from 'node:timers/promises'
import {quantile} from '../src/domain/trace/statistics.ts'
import {realtimeNs} from '../src/net/libc.ts'
import {anyOf, etherType} from '../src/net/packet/bpf.ts'
import {openLink} from '../src/net/packet/link.ts'
import {table} from '../src/render/table.ts'
import {arpFrame} from '../src/wire/frames.ts'

if (process.env.GWSWITCH_BENCH !== 'inside') {
  const env = {...process.env, GWSWITCH_BENCH: 'inside'}
  const {status} = spawnSync('unshare', ['--net', process.execPath, '--expose-gc', ...process.argv.slice(1)], {
    stdio: 'inherit',
    env,
  })
  process.exit(status ?? 1)
}
const quick = process.argv.includes('--quick')
const idleMs = quick ? 3000 : 10_000
const frames = quick ? 300 : 2000
execFileSync('ip', ['-batch', '-'], {
  input: 'link add bench0 type veth peer name bench1\nlink set bench0 up\nlink set bench1 up\n',
})
await delay(200)

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)
const bare = Number(
  execFileSync(process.execPath, ['-e', 'setTimeout(()=>console.log(process.memoryUsage().rss),300)'], {
    encoding: 'utf8',
  }),
)
const link = await openLink('bench1', {filter: anyOf([[etherType(0x0806)]])})
const sender = await openLink('bench0', {filter: anyOf([])})

globalThis.gc?.()
const before = process.cpuUsage()
await delay(idleMs)
const used = process.cpuUsage(before)
const idlePercent = (used.user + used.system) / 10 / idleMs

const latenciesUs: number[] = []
link.onFrame(({timestampNs}) => latenciesUs.push(Number(realtimeNs() - timestampNs) / 1e3))
const mac = '02:00:00:00:00:01'
const frame = arpFrame(
  {destination: 'ff:ff:ff:ff:ff:ff', source: mac},
  {operation: 1, senderMac: mac, senderIp: '192.0.2.1', targetMac: '00:00:00:00:00:00', targetIp: '192.0.2.2'},
)
for (let i = 0; i < frames; i++) {
  sender.send(frame)
  await delay(1)
}
await delay(50)

console.log(
  table(
    [
      ['a receiver that waits', 'value', 'floor or aim'],
      ['CPU while idle', `${idlePercent.toFixed(3)} %`, '0'],
      ['resident memory', `${mib(process.memoryUsage().rss)} MiB`, `${mib(bare)} MiB (node doing nothing); 120 MiB`],
      ['wake-up p50', `${quantile(latenciesUs, 0.5).toFixed(0)} µs`, ''],
      ['wake-up p99', `${quantile(latenciesUs, 0.99).toFixed(0)} µs`, ''],
      ['frames received', `${latenciesUs.length}`, `${frames} sent`],
    ],
    {align: ['left', 'right', 'left']},
  ),
)
await link.close()
await sender.close()
process.exitCode = latenciesUs.length === frames && idlePercent < 0.5 ? 0 : 1
