// How long a hook waits for gwswitch to start: `garp --dry-run` beside an empty Node, in turn, as whole processes; and how
// long it takes from the start of `switch` to the first frame that it sends.
import {execFileSync, spawnSync} from 'node:child_process'
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {quantile} from '../src/domain/trace/statistics.ts'
import {table} from '../src/render/table.ts'

// In a network namespace of its own, which goes with the process: the interface it looks at is its own too.
if (process.env.GWSWITCH_BENCH !== 'inside') {
  const env = {...process.env, GWSWITCH_BENCH: 'inside'}
  const {status} = spawnSync('unshare', ['--net', process.execPath, ...process.argv.slice(1)], {stdio: 'inherit', env})
  process.exit(status ?? 1)
}
const MAC = '02:00:00:00:0b:02'
execFileSync('ip', ['link', 'add', 'bench0', 'address', MAC, 'type', 'veth', 'peer', 'name', 'bench1'])
for (const link of ['bench0', 'bench1']) execFileSync('ip', ['link', 'set', link, 'up'])
execFileSync('ip', ['address', 'add', '10.1.0.254/24', 'dev', 'bench0'])
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-bench-'))
process.once('exit', () => rmSync(scratch, {recursive: true, force: true}))
const inventory = join(scratch, 'gwswitch.yaml')
const pcap = join(scratch, 'switch.pcap')
writeFileSync(
  inventory,
  `version: 1
sites: { x: { prefixes: [198.51.100.0/24] }, y: { prefixes: [203.0.113.0/24] } }
segments:
  tenant:
    prefix: 10.1.0.0/24
    gateways:
      - { name: bx, site: x, ip: 10.1.0.254, mac: "02:00:00:00:0a:02" }
      - { name: by, site: y, ip: 10.1.0.254, mac: "${MAC}" }
vms: { db-03: { segment: tenant, ip: 10.1.0.10, mac: "02:00:00:00:01:10", strategies: [arp] } }
`,
)

const rounds = process.argv.includes('--quick') ? 10 : 40
const run = join(import.meta.dirname, '../bin/run.js')
const garp = ['garp', '10.1.0.254', '-i', 'bench0', '--dry-run']
/** The program of the .deb, where `npm run package` has made it. */
const executable = join(import.meta.dirname, '../out/package/root/usr/lib/gwswitch/gwswitch')
const commands: Record<string, readonly [string, ...string[]]> = {
  'node -e 0': [process.execPath, '-e', '0'],
  'gwswitch --version': [process.execPath, run, '--version'],
  'gwswitch --help': [process.execPath, run, '--help'],
  'gwswitch garp --dry-run': [process.execPath, run, ...garp],
  ...(existsSync(executable) && {
    'executable --version': [executable, '--version'],
    'executable --help': [executable, '--help'],
    'executable garp --dry-run': [executable, ...garp],
  }),
}

/** Of an empty Node's time; the first frame: 200 ms where that takes 30. */
const BUDGETS = {
  'gwswitch --version': 2,
  'gwswitch garp --dry-run': 4.6,
  ...(existsSync(executable) && {'executable --version': 2, 'executable garp --dry-run': 2.6}),
  'gwswitch switch, to its first frame': 6.7,
}

const timeMs = ([program, ...args]: readonly [string, ...string[]]): number => {
  const began = process.hrtime.bigint()
  const {status, stderr} = spawnSync(program, args, {stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8'})
  const ms = Number(process.hrtime.bigint() - began) / 1e6
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`)
  return ms
}

/** From before the process starts to the first frame that the kernel took, by its own clock. Nobody answers, and so nothing is begun. */
function firstFrameMs(): number {
  const began = performance.timeOrigin + performance.now()
  const {status, stderr} = spawnSync(
    process.execPath,
    [run, 'switch', 'db-03', '--to', 'y', '-f', inventory, '--pcap', pcap, '--json'],
    {stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8'},
  )
  if (status !== 3 && status !== 5) throw new Error(`switch ended with ${status}: ${stderr}`)
  const bytes = readFileSync(pcap)
  // The first record's header, after the file's: seconds and nanoseconds (pcap-savefile(5)).
  return bytes.readUInt32LE(24) * 1000 + bytes.readUInt32LE(28) / 1e6 - began
}

const FIRST_FRAME = 'gwswitch switch, to its first frame'
const times = new Map([...Object.keys(commands), FIRST_FRAME].map((name) => [name, [] as number[]]))
for (let round = -1; round < rounds; round++) {
  for (const [name, args] of Object.entries(commands)) {
    const ms = timeMs(args)
    // The first round fills the compile cache.
    if (round >= 0) times.get(name)!.push(ms)
  }
  // Each takes seconds, since nobody answers.
  if (round >= rounds / 4) continue
  const ms = firstFrameMs()
  if (round >= 0) times.get(FIRST_FRAME)!.push(ms)
}

const floor = quantile(times.get('node -e 0')!, 0.5)
const rows = [...times].map(([name, ms]) => {
  const [low, median] = [quantile(ms, 0.1), quantile(ms, 0.5)]
  return [name, low.toFixed(0), median.toFixed(0), (median / floor).toFixed(2)]
})
console.log(
  table([['whole process', 'p10 ms', 'p50 ms', 'of node'], ...rows], {align: ['left', 'right', 'right', 'right']}),
)
const isWithin = Object.entries(BUDGETS).map(([name, budget]) => {
  const ratio = quantile(times.get(name)!, 0.5) / floor
  console.log(`${name}: budget ${budget}, this run ${ratio.toFixed(2)}`)
  return ratio <= budget
})
process.exitCode = isWithin.every(Boolean) ? 0 : 1
