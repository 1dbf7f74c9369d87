// `filter apply`, `check`, `keep add` and `remove` for 50 segments, each in a VLAN of its own, with 200 VMs kept: on this
// kernel, in a network namespace, by the program as it is installed (npm run build). Budget: all of it at once costs no more
// than 30 times what a bare `node -e 0` does (1 s where that takes 32 ms). Then all of them on two ports, taken away one by
// one while pings flow through the bridge: none may be lost. Needs root.
import {once} from 'node:events'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {median} from '../src/domain/trace/statistics.ts'
import {runCommand} from '../src/net/process/command.ts'
import {namespaceCommand, spawnIn} from '../src/net/process/netns.ts'
import {table} from '../src/render/table.ts'
import {type TestBridge, withBridge} from '../test/support/bridge.ts'

const ROUNDS = process.argv.includes('--quick') ? 3 : 9
const SEGMENTS = 50
const VMS_EACH = 4
const BUDGET = 30
const bin = join(import.meta.dirname, '../bin/run.js')

const names = Array.from({length: SEGMENTS * VMS_EACH}, (_, i) => `vm-${i}`)
const byte = (n: number): string => n.toString(16).padStart(2, '0')
const INVENTORY = [
  'version: 1\nsites: {x: {}, y: {}}\nsegments:',
  ...Array.from(
    {length: SEGMENTS},
    (_, n) => `  s${n}:
    prefix: 10.${n}.0.0/24
    vlan: ${100 + n}
    gateways:
      - { name: x${n}, site: x, ip: 10.${n}.0.254, mac: "02:00:00:01:${byte(n)}:01" }
      - { name: y${n}, site: y, ip: 10.${n}.0.254, mac: "02:00:00:02:${byte(n)}:01" }`,
  ),
  'vms:',
  ...names.map((name, i) => {
    const [segment, host] = [Math.floor(i / VMS_EACH), i % VMS_EACH]
    return `  ${name}: { segment: s${segment}, ip: 10.${segment}.0.${10 + host}, mac: "02:00:01:00:${byte(segment)}:${byte(host)}" }`
  }),
].join('\n')

async function timed(argv: readonly string[]): Promise<number> {
  const [program = '', ...args] = argv
  const began = performance.now()
  await runCommand(program, args)
  return performance.now() - began
}

const directory = mkdtempSync(join(tmpdir(), 'gwswitch-bench-'))
const file = join(directory, 'gwswitch.yaml')
writeFileSync(file, INVENTORY)
const rows = new Map<string, number[]>()
const note = (what: string, ms: number): void => void rows.set(what, [...(rows.get(what) ?? []), ms])
let pings = ''
try {
  const ends = {local: {addresses: ['192.0.2.1/24']}, far: {addresses: ['192.0.2.2/24']}}
  await withBridge(ends, async (bridge) => {
    const {namespace} = bridge
    const filter = (...args: readonly string[]): Promise<number> =>
      timed(namespaceCommand(namespace, [process.execPath, bin, 'filter', ...args]))
    const all = ['-i', 'vx0', '-f', file]
    for (let round = 0; round < ROUNDS; round++) {
      note('node -e 0', await timed([process.execPath, '-e', '0']))
      note('filter apply', await filter('apply', ...all, ...names.flatMap((name) => ['--keep-inbound', name])))
      note('filter apply, again', await filter('apply', ...all))
      note('filter check', await filter('check'))
      note('filter keep remove', await filter('keep', 'remove', 'vm-0'))
      note('filter keep add', await filter('keep', 'add', 'vm-0', '-f', file))
      note('filter remove, one segment', await filter('remove', '--segment', 's0'))
      note('filter remove, all', await filter('remove'))
    }
    pings = await whilePingsFlow(bridge, async () => {
      await bridge.run(['ip', 'link', 'add', 'vx1', 'type', 'veth', 'peer', 'name', 'vx1-end'])
      await bridge.run(['ip', 'link', 'set', 'vx1', 'master', 'br0', 'up'])
      await filter('apply', ...all, '-i', 'vx1', '--inbound-moves')
      await filter('check')
      for (let n = 0; n < SEGMENTS; n++) await filter('remove', '--segment', `s${n}`)
    })
  })
} finally {
  rmSync(directory, {recursive: true})
}

/** What ping(8) says of itself at the end. */
async function whilePingsFlow({local}: TestBridge, fn: () => Promise<void>): Promise<string> {
  const ping = spawnIn(local.namespace, ['ping', '-q', '-i', '0.02', '192.0.2.2'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  ping.stdout!.on('data', (chunk: Buffer) => {
    said += chunk
  })
  try {
    await fn()
  } finally {
    ping.kill('SIGINT')
    await once(ping, 'close')
  }
  return /.*packet loss/.exec(said)?.[0] ?? said
}

const bare = median(rows.get('node -e 0')!)
const lines = [...rows].map(([what, ms]) => [what, `${median(ms).toFixed(0)} ms`, (median(ms) / bare).toFixed(1)])
console.log(
  table([[`${SEGMENTS} segments, ${names.length} VMs kept`, 'p50', 'over node -e 0'], ...lines], {
    align: ['left', 'right', 'right'],
  }),
)
const ratio = median(rows.get('filter apply')!) / bare
console.log(`filter apply over node -e 0: ${ratio.toFixed(1)} (budget ${BUDGET})`)
console.log(`while ${SEGMENTS} filters on two ports come and go one by one: ${pings}`)
if (ratio > BUDGET || !/ 0% packet loss/.test(pings)) process.exitCode = 1
