// 4-way exchanges a second and delays of our DHCP server, with leases on disk before the ACK leaves, beside dnsmasq, ISC
// dhcpd and Kea (memfile), by perfdhcp from a second namespace. Every server starts with no leases and gets the same offered
// rates; the servers take turns, since a shared machine is faster in one minute than in the next, and the best of a
// server's medians counts. Exits 1 if ours is not ahead, or too big.
//
// Equal durability: what Kea (memfile) and dnsmasq write before an ACK survives their being killed, as ours with sync
// normal; dhcpd syncs, as ours with sync full, and survives a power cut. Each is compared with ours of its kind.
import {type ChildProcess, spawnSync} from 'node:child_process'
import {chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {quantile} from '../src/domain/trace/statistics.ts'
import {runCommand, tryCommand} from '../src/net/process/command.ts'
import {spawnIn} from '../src/net/process/netns.ts'
import {table} from '../src/render/table.ts'

const MEMORY_MIB = 120
const quick = process.argv.includes('--quick')
const asked = process.argv
  .find((arg) => arg.startsWith('--rates='))
  ?.slice(8)
  .split(',')
  .map(Number)
const RATES = asked ?? (quick ? [9000] : [1000, 9000, 13_000, 15_000, 17_000])
const SECONDS = quick ? 3 : 5
const WARM_RATE = 5000
const WARM_SECONDS = quick ? 2 : 3
const ROUNDS = quick ? 1 : 3
/** Who completes less than this share of what was offered gets no more. */
const HOPELESS = 0.4
/** Of DISCOVERs and REQUESTs: more without an answer, and clients notice. */
const LOSSLESS = 0.01
const CLIENTS = 40_000
const [SERVER, CLIENT] = [`gwb${process.pid}-s`, `gwb${process.pid}-c`]
const RANGE = ['10.9.1.0', '10.9.255.254']
const dir = mkdtempSync(join(tmpdir(), 'gwswitch-bench-'))
chmodSync(dir, 0o755)

interface Contender {
  readonly name: string
  /** What a lease survives once its ACK has left. */
  readonly survives: 'a kill' | 'a power cut'
  readonly program: string
  /** The command line; `own` is a fresh directory. */
  argv(own: string): string[]
}

const root = join(import.meta.dirname, '..')
const manifest = join(root, 'oclif.manifest.json')
const built =
  existsSync(join(root, 'dist/commands/serve/dhcp.js')) && readFileSync(manifest, 'utf8').includes('"serve:dhcp"')
const ours = (sync: string): Contender => ({
  name: `gwswitch, sync ${sync}`,
  survives: sync === 'full' ? 'a power cut' : 'a kill',
  program: process.execPath,
  argv: (own) => [
    ...[
      process.execPath,
      join(root, built ? 'bin/run.js' : 'bin/dev.js'),
      'serve',
      'dhcp',
      '-i',
      'eth0',
      '--quiet',
      '--probe-wait',
      '0',
    ],
    ...[
      '--pool',
      RANGE.join('-'),
      '--gateway',
      'x=10.9.0.1',
      '--store',
      `${own}/store/leases.db`,
      '--control',
      `${own}/control`,
      '--sync',
      sync,
    ],
  ],
})

const OURS = (quick ? ['normal'] : ['full', 'normal']).map(ours)

const file = (path: string, text: string): string => {
  writeFileSync(path, text)
  return path
}

const PEERS: readonly Contender[] = [
  {
    name: 'Kea, memfile',
    survives: 'a kill',
    program: 'kea-dhcp4',
    argv: (own) => [
      ...['env', `KEA_PIDFILE_DIR=${own}`, `KEA_LOCKFILE_DIR=${own}`, 'kea-dhcp4', '-c'],
      file(
        `${own}/kea.conf`,
        `{"Dhcp4": {"interfaces-config": {"interfaces": ["eth0"], "dhcp-socket-type": "udp"},
        "lease-database": {"type": "memfile", "name": "${own}/leases", "lfc-interval": 0}, "valid-lifetime": 3600,
        "loggers": [{"name": "kea-dhcp4", "severity": "ERROR", "output_options": [{"output": "${own}/log"}]}],
        "subnet4": [{"id": 1, "subnet": "10.9.0.0/16", "pools": [{"pool": "${RANGE.join(' - ')}"}],
        "option-data": [{"name": "routers", "data": "10.9.0.1"}]}]}}`,
      ),
    ],
  },
  {
    name: 'ISC dhcpd',
    survives: 'a power cut',
    program: '/usr/sbin/dhcpd',
    argv: (own) => [
      ...['/usr/sbin/dhcpd', '-4', '-f', '-q', '--no-pid', '-lf', file(`${own}/leases`, ''), '-cf'],
      file(
        `${own}/conf`,
        `authoritative; ping-check off; default-lease-time 3600;\nsubnet 10.9.0.0 netmask 255.255.0.0 { range ${RANGE.join(' ')}; option routers 10.9.0.1; }\n`,
      ),
      'eth0',
    ],
  },
  {
    name: 'dnsmasq',
    survives: 'a kill',
    program: 'dnsmasq',
    argv: (own) => [
      ...[
        'dnsmasq',
        '-k',
        '-C',
        '/dev/null',
        '-p',
        '0',
        '-i',
        'eth0',
        '--bind-interfaces',
        '--no-ping',
        '--quiet-dhcp',
        '--user=root',
      ],
      ...[
        `--dhcp-leasefile=${own}/leases`,
        '--dhcp-lease-max=70000',
        `--dhcp-range=${RANGE.join(',')},255.255.0.0,1h`,
        '--dhcp-authoritative',
      ],
    ],
  },
]

interface Measured {
  /** Exchanges completed a second. */
  readonly rate: number
  /** Of DISCOVERs and REQUESTs that were not answered in time. */
  readonly dropped: number
  /** Resident, MiB. */
  readonly memory: number
  /** CPU time of the server for a completed exchange, µs: of all its threads, and the kernel's for it. */
  readonly cpuUs: number
}

const perfdhcp = (...args: string[]): Promise<{stdout: string}> =>
  tryCommand('ip', [
    'netns',
    'exec',
    CLIENT,
    'perfdhcp',
    '-4',
    '-g',
    'single',
    '-R',
    `${CLIENTS}`,
    ...args,
    '-l',
    'eth0',
    '10.9.0.1',
  ])

/** Runs `fn` with the server up and empty; it is asked until it answers. */
async function withServer<T>(contender: Contender, fn: (pid: number) => Promise<T>): Promise<T> {
  const own = join(dir, 'own')
  mkdirSync(own)
  chmodSync(own, 0o777)
  const child = spawnIn(SERVER, contender.argv(own), {
    stdio: ['ignore', 'ignore', process.env.DEBUG ? 'inherit' : 'ignore'],
  })
  try {
    for (let i = 0; i < 40; i++) {
      await delay(250)
      const {stdout} = await perfdhcp('-r', '20', '-n', '1', '-W', '1000000')
      if (counts(stdout, 'received packets')[0] === 1) return await fn(child.pid!)
    }
    throw new Error(`${contender.name} does not answer`)
  } finally {
    await end(child)
    rmSync(own, {recursive: true, force: true})
  }
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM')
  for (let i = 0; i < 50 && child.exitCode === null && child.signalCode === null; i++) await delay(50)
  if (child.exitCode === null) child.kill('SIGKILL')
  await delay(100)
}

const counts = (text: string, what: string): number[] =>
  [...text.matchAll(new RegExp(`${what}: (\\d+)`, 'g'))].map(([, value]) => Number(value))
/** User and system time of a process and its threads, ticks of 10 ms (proc(5)). */
const ticks = (pid: number): number =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .split(' ')
    .slice(13, 15)
    .reduce((sum, field) => sum + Number(field), 0)
const resident = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024

async function throughput(contender: Contender, rate: number): Promise<Measured> {
  return withServer(contender, async (pid) => {
    // A service that has run for a while, on both sides of the comparison: ours is not fully compiled before.
    await perfdhcp('-r', `${WARM_RATE}`, '-p', `${WARM_SECONDS}`)
    const before = ticks(pid)
    const {stdout} = await perfdhcp('-r', `${rate}`, '-p', `${SECONDS}`)
    const cpuUs = ((ticks(pid) - before) * 10_000) / Math.max(1, counts(stdout, 'received packets')[1] ?? 0)
    const [sent, received] = ['sent packets', 'received packets'].map((what) =>
      counts(stdout, what).reduce((a, b) => a + b, 0),
    ) as [number, number]
    return {
      rate: Number(/Rate: ([0-9.]+)/.exec(stdout)?.[1] ?? 0),
      dropped: 1 - received / sent,
      memory: resident(pid),
      cpuUs,
    }
  })
}

/** Delays of both halves of an exchange at a rate that everybody can follow, ms. */
async function delays(contender: Contender): Promise<number[]> {
  return withServer(contender, async () => {
    await perfdhcp('-r', `${WARM_RATE}`, '-p', `${WARM_SECONDS}`)
    const {stdout} = await perfdhcp('-r', '200', '-n', quick ? '200' : '1000', '-W', '1000000', '-x', 't')
    return [...stdout.matchAll(/^sent \/ received: ([\d.]+) \/ ([\d.]+)$/gm)].map(
      ([, sent, received]) => (Number(received) - Number(sent)) * 1000,
    )
  })
}

/** Every contender at every rate, round by round. */
async function sweep(contenders: readonly Contender[]): Promise<Map<Contender, Measured[]>> {
  const runs = new Map(contenders.map((each) => [each, RATES.map(() => [] as Measured[])]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, rate] of RATES.entries()) {
      for (const [contender, byRate] of runs) {
        if (i > 0 && (byRate[i - 1]!.at(-1)?.rate ?? 0) < RATES[i - 1]! * HOPELESS) continue
        if (process.stderr.isTTY)
          process.stderr.write(`\r\x1b[Kround ${round + 1} of ${ROUNDS}, ${rate} a second, ${contender.name}`)
        byRate[i]!.push(await throughput(contender, rate))
      }
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  return new Map([...runs].map(([each, byRate]) => [each, byRate.filter((runs) => runs.length > 0).map(medians)]))
}

function medians(runs: readonly Measured[]): Measured {
  const of = (key: keyof Measured): number =>
    quantile(
      runs.map((run) => run[key]),
      0.5,
    )
  return {rate: of('rate'), dropped: of('dropped'), memory: of('memory'), cpuUs: of('cpuUs')}
}

const best = (all: readonly Measured[]): Measured => all.toSorted((a, b) => b.rate - a.rate)[0]!

async function main(): Promise<number> {
  const missing = ['perfdhcp'].filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0)
  if (missing.length > 0 || process.geteuid?.() !== 0) {
    console.log(`skipped: needs root and ${missing.join(', ') || 'perfdhcp'} (Debian: kea-admin)`)
    return 0
  }
  const present = PEERS.filter(({program}) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0)
  const peers = quick ? present.slice(0, 1) : present
  for (const line of [
    `netns add ${SERVER}`,
    `netns add ${CLIENT}`,
    `link add name eth0 netns ${SERVER} type veth peer name eth0 netns ${CLIENT}`,
    ...[SERVER, CLIENT].flatMap((name, i) => [
      `-n ${name} address add 10.9.0.${i + 1}/16 dev eth0`,
      `-n ${name} link set eth0 up`,
    ]),
  ]) {
    await runCommand('ip', line.split(' '))
  }
  const measured = await sweep([...OURS, ...peers])
  const rows: string[][] = []
  const like = ({survives}: Contender): Measured =>
    best(measured.get(OURS.find((each) => each.survives === survives) ?? OURS[0]!)!)
  for (const [contender, all] of measured) {
    const {rate, dropped, cpuUs} = best(all)
    const lossless = all.filter((each) => each.dropped <= LOSSLESS)
    const late = quick ? undefined : await delays(contender)
    rows.push([
      contender.name,
      contender.survives,
      rate.toFixed(0),
      `${(dropped * 100).toFixed(1)} %`,
      lossless.length === 0 ? '-' : best(lossless).rate.toFixed(0),
      (like(contender).rate / rate).toFixed(2),
      cpuUs.toFixed(0),
      ...[0.5, 0.99].map((q) => (late ? quantile(late, q).toFixed(2) : '')),
      Math.max(...all.map(({memory}) => memory)).toFixed(0),
    ])
  }
  const head = [
    'server',
    'a lease survives',
    'exchanges/s',
    'unanswered',
    'with 1 % at most',
    'ours is x',
    'CPU µs',
    'p50 ms',
    'p99 ms',
    'MiB',
  ]
  console.log(table([head, ...rows], {align: ['left', 'left', ...Array<'right'>(8).fill('right')]}))
  console.log(
    `offered ${RATES.join(', ')} a second for ${SECONDS} s each, ${CLIENTS} clients, medians of ${ROUNDS}; delays at 200/s; each warmed up for ${WARM_SECONDS} s at ${WARM_RATE}/s; ours from ${built ? 'dist' : 'src'}`,
  )
  const ahead = peers.every((peer) => like(peer).rate > best(measured.get(peer)!).rate)
  const memory = Math.max(...OURS.flatMap((each) => measured.get(each)!.map((run) => run.memory)))
  return ahead && memory <= MEMORY_MIB ? 0 : 1
}

function clean(): void {
  for (const name of [SERVER, CLIENT]) {
    const {stdout} = spawnSync('ip', ['netns', 'pids', name], {encoding: 'utf8'})
    for (const pid of stdout.split('\n').filter((line) => line !== '')) spawnSync('kill', ['-9', pid])
    spawnSync('ip', ['netns', 'del', name], {stdio: 'ignore'})
  }
  rmSync(dir, {recursive: true, force: true})
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    clean()
    process.exit(1)
  })
}

try {
  process.exitCode = await main()
} finally {
  clean()
}
