// How long a hook waits for gwswitch to start: `garp --dry-run` beside an empty Node, in turn, as whole processes.
import {execFileSync, spawnSync} from 'node:child_process'
import {join} from 'node:path'
import {quantile} from '../src/domain/trace/statistics.ts'
import {table} from '../src/render/table.ts'

// In a network namespace of its own, which goes with the process: the interface it looks at is its own too.
if (process.env.GWSWITCH_BENCH !== 'inside') {
  const env = {...process.env, GWSWITCH_BENCH: 'inside'}
  const {status} = spawnSync('unshare', ['--net', process.execPath, ...process.argv.slice(1)], {stdio: 'inherit', env})
  process.exit(status ?? 1)
}
execFileSync('ip', ['link', 'add', 'bench0', 'type', 'veth', 'peer', 'name', 'bench1'])

const BUDGET = 3.2
const rounds = process.argv.includes('--quick') ? 10 : 40
const run = join(import.meta.dirname, '../bin/run.js')
const commands = {
  'node -e 0': ['-e', '0'],
  'gwswitch --help': [run, '--help'],
  'gwswitch garp --dry-run': [run, 'garp', '192.0.2.1', '-i', 'bench0', '--mac', '02:00:00:00:00:01', '--dry-run'],
}

const timeMs = (args: readonly string[]): number => {
  const began = process.hrtime.bigint()
  const {status, stderr} = spawnSync(process.execPath, args, {stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8'})
  const ms = Number(process.hrtime.bigint() - began) / 1e6
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`)
  return ms
}

const times = new Map(Object.keys(commands).map((name) => [name, [] as number[]]))
for (let round = -1; round < rounds; round++) {
  for (const [name, args] of Object.entries(commands)) {
    const ms = timeMs(args)
    // The first round fills the compile cache.
    if (round >= 0) times.get(name)!.push(ms)
  }
}

const floor = quantile(times.get('node -e 0')!, 0.5)
const rows = [...times].map(([name, ms]) => {
  const [low, median] = [quantile(ms, 0.1), quantile(ms, 0.5)]
  return [name, low.toFixed(0), median.toFixed(0), (median / floor).toFixed(2)]
})
console.log(
  table([['whole process', 'p10 ms', 'p50 ms', 'of node'], ...rows], {align: ['left', 'right', 'right', 'right']}),
)
const ratio = quantile(times.get('gwswitch garp --dry-run')!, 0.5) / floor
console.log(`budget ${BUDGET}, this run ${ratio.toFixed(2)}`)
process.exitCode = ratio <= BUDGET ? 0 : 1
