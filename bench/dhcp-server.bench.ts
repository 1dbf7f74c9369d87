// 4-way exchanges a second and delays of our DHCP server, with leases on disk before the ACK leaves, beside dnsmasq, ISC
// dhcpd and Kea (memfile), by perfdhcp from a second namespace. Every server starts with no leases, gets the same offered
// rates in turn, and the best rate that it completed counts. Exits 1 if ours is not ahead, or too big.
//
// Equal durability would be `sync: normal`: what Kea, dnsmasq and dhcpd write before an ACK survives their being killed
// (dhcpd syncs, the others do not). Ours is shown with both, and is judged by the one that also survives a power cut.
import {type ChildProcess, spawnSync} from 'node:child_process'
import {chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {quantile} from '../src/domain/statistics.ts'
import {runCommand, tryCommand} from '../src/net/command.ts'
import {spawnIn} from '../src/net/netns.ts'
import {table} from '../src/render/table.ts'

const MEMORY_MIB = 120
const quick = process.argv.includes('--quick')
const asked = process.argv
  .find((arg) => arg.startsWith('--rates='))
  ?.slice(8)
  .split(',')
  .map(Number)
const RATES = asked ?? (quick ? [9000] : [1000, 3000, 6000, 9000, 12_000])
const SECONDS = quick ? 3 : 6
const CLIENTS = 40_000
const [SERVER, CLIENT] = [`gwb${process.pid}-s`, `gwb${process.pid}-c`]
const RANGE = ['10.9.1.0', '10.9.255.254']
const dir = mkdtempSync(join(tmpdir(), 'gwswitch-bench-'))
chmodSync(dir, 0o755)

interface Contender {
  readonly name: string
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

const file = (path: string, text: string): string => {
  writeFileSync(path, text)
  return path
}

const PEERS: readonly Contender[] = [
  {
    name: 'Kea, memfile',
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
    // A service that has run for a while, on both sides of the comparison.
    await perfdhcp('-r', '1500', '-p', '2')
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
    const {stdout} = await perfdhcp('-r', '200', '-n', quick ? '200' : '1000', '-W', '1000000', '-x', 't')
    return [...stdout.matchAll(/^sent \/ received: ([\d.]+) \/ ([\d.]+)$/gm)].map(
      ([, sent, received]) => (Number(received) - Number(sent)) * 1000,
    )
  })
}

async function measure(contender: Contender): Promise<{best: Measured; memory: number; delaysMs: number[]}> {
  const all: Measured[] = []
  for (const rate of RATES) all.push(await throughput(contender, rate))
  const best = all.toSorted((a, b) => b.rate - a.rate)[0]!
  return {best, memory: Math.max(...all.map(({memory}) => memory)), delaysMs: quick ? [] : await delays(contender)}
}

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
  const rows: string[][] = []
  let first: {rate: number; memory: number} | undefined
  let ahead = true
  for (const contender of [...(quick ? ['full'] : ['full', 'normal']).map(ours), ...peers]) {
    const {best, memory, delaysMs} = await measure(contender)
    first ??= {rate: best.rate, memory}
    if (!contender.name.startsWith('gwswitch')) ahead &&= first.rate > best.rate
    const late = delaysMs.length === 0 ? ['', ''] : [0.5, 0.99].map((q) => quantile(delaysMs, q).toFixed(2))
    rows.push([
      contender.name,
      best.rate.toFixed(0),
      `${(best.dropped * 100).toFixed(1)} %`,
      (first.rate / best.rate).toFixed(2),
      best.cpuUs.toFixed(0),
      ...late,
      memory.toFixed(0),
    ])
  }
  const head = ['server', 'exchanges/s', 'unanswered', 'ours is x', 'CPU µs', 'p50 ms', 'p99 ms', 'MiB']
  console.log(table([head, ...rows], {align: ['left', ...Array<'right'>(7).fill('right')]}))
  console.log(
    `offered ${RATES.join(', ')} a second for ${SECONDS} s each, ${CLIENTS} clients; delays at 200/s; each warmed up for 2 s at 1500/s; ours from ${built ? 'dist' : 'src'}`,
  )
  return ahead && first!.memory <= MEMORY_MIB ? 0 : 1
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
