// Runs gwswitch's own tasks on a machine that has nothing but Node, npm and (for namespaces) root.
// Plain JavaScript without dependencies, since it runs before any is installed, on whatever Node is there.
//
//   node scripts/bootstrap.mjs demo|test|check|check:static|build|bench|fuzz|mutate|manifest|run [arguments]
import {spawnSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {accessSync, constants, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {delimiter, dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const [task = 'run', ...args] = process.argv.slice(2)

/** What a task needs from Debian: the file that shows it is there, and the package that brings it. */
const LAB = [
  ['ip', 'iproute2'],
  ['nft', 'nftables'],
]
const PEERS = [
  ...LAB,
  ['arping', 'iputils-arping'],
  ['ping', 'iputils-ping'],
  ['traceroute', 'traceroute'],
  ['tcpdump', 'tcpdump'],
  ['tshark', 'tshark'],
  ['scamper', 'scamper'],
  ['ebtables', 'ebtables'],
  ['keepalived', 'keepalived'],
  ['dnsmasq', 'dnsmasq-base'],
  ['dhcpcd', 'dhcpcd-base'],
  ['busybox', 'busybox-static'],
  ['NetworkManager', 'network-manager'],
  ['dbus-daemon', 'dbus-daemon'],
  ['ps', 'procps'],
  ['dhclient', 'isc-dhcp-client'],
  ['dhcpd', 'isc-dhcp-server'],
  ['dhcrelay', 'isc-dhcp-relay'],
  ['kea-dhcp4', 'kea-dhcp4-server'],
  ['perfdhcp', 'kea-admin'],
  ['/lib/systemd/systemd-networkd', 'systemd'],
  ['qemu-system-x86_64', 'qemu-system-x86'],
  ['qemu-ga', 'qemu-guest-agent'],
  ['cpio', 'cpio'],
  ['mke2fs', 'e2fsprogs'],
  ['libvirtd', 'libvirt-daemon'],
  ['virsh', 'libvirt-clients'],
  ['/usr/lib/python3/dist-packages/scapy/__init__.py', 'python3-scapy'],
]
const TASKS = {
  demo: {debian: LAB, required: true, steps: () => [node('bin/run.js', 'lab', 'demo', ...args)]},
  test: {debian: PEERS, required: false, steps: () => [node('node_modules/vitest/vitest.mjs', 'run', ...args)]},
  check: {
    debian: PEERS,
    required: false,
    steps: () => [...still(), node('node_modules/vitest/vitest.mjs', 'run')],
  },
  'check:static': {debian: [], steps: () => still()},
  build: {debian: [], steps: () => []},
  bench: {debian: PEERS, required: true, steps: () => [node('bench/run.ts', ...args)]},
  fuzz: {debian: [], steps: () => [node('test/fuzz/run.ts', ...args)]},
  mutate: {debian: [], steps: () => [node('test/mutants/run.ts', ...args)]},
  manifest: {debian: [], steps: () => [node('scripts/manifest.mjs')]},
  run: {debian: [], steps: () => [node('bin/run.js', ...args)]},
}

/** The same condition as in bin/run.js and in package.json's engines. */
function suits(version) {
  const [major, minor, patch] = version.replace(/^v/, '').split('.').map(Number)
  if (major === 22) return minor > 22 || (minor === 22 && patch >= 2)
  if (major === 24) return minor >= 15
  return major >= 26
}

const say = (line) => process.stderr.write(`gwswitch: ${line}\n`)

function stop(line) {
  say(line)
  process.exit(1)
}

function found(what) {
  const places = what.startsWith('/')
    ? ['']
    : [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin']
  return places.some((place) => {
    try {
      accessSync(place === '' ? what : join(place, what), what.startsWith('/') ? constants.R_OK : constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function quietly(command, commandArgs, options = {}) {
  const done = spawnSync(command, commandArgs, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  })
  if (done.error || done.status !== 0) {
    stop(
      `${command} ${commandArgs.join(' ')} failed: ${(done.stderr || done.error?.message || '').trim().split('\n').slice(-5).join(' | ')}`,
    )
  }
}

/** The programs are wanted, not their services: no DHCP server may start on this machine because of a test. */
function withoutDaemons(missing, install) {
  const policy = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', {mode: 0o755})
  const remove = () => ours && rmSync(policy, {force: true})
  process.once('exit', remove)
  install()
  remove()
  if (existsSync('/run/systemd/system')) spawnSync('systemctl', ['disable', ...servicesOf(missing)], {stdio: 'ignore'})
}

/** The services that come enabled with some of the packages; not to start at the next boot either. */
function servicesOf(packages) {
  const services = {
    'isc-dhcp-server': 'isc-dhcp-server',
    'isc-dhcp-relay': 'isc-dhcp-relay',
    'kea-dhcp4-server': 'kea-dhcp4-server',
    keepalived: 'keepalived',
    'network-manager': 'NetworkManager',
    'qemu-guest-agent': 'qemu-guest-agent',
    'libvirt-daemon': 'libvirtd',
  }
  return packages.flatMap((name) => services[name] ?? [])
}

function debian(wanted, required) {
  const missing = [...new Set(wanted.filter(([what]) => !found(what)).map(([, name]) => name))]
  if (missing.length === 0) return
  const apt = `apt-get install --no-install-recommends ${missing.join(' ')}`
  if (process.getuid?.() === 0 && found('apt-get')) {
    say(`installing Debian packages: ${missing.join(' ')}`)
    const env = {...process.env, DEBIAN_FRONTEND: 'noninteractive'}
    quietly('apt-get', ['update', '-q'], {env})
    withoutDaemons(missing, () =>
      quietly('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], {env}),
    )
    return
  }
  const line = `missing: ${missing.join(', ')}; as root: ${apt}`
  if (required) stop(line)
  say(`${line} (tests that need them are skipped)`)
}

/** The Node to run on: this one, or the one of tools/node where this is too old. */
function runtime() {
  if (suits(process.versions.node)) return process.execPath
  const folder = join(root, 'tools/node')
  const binary = join(folder, 'node_modules/.bin/node')
  const wanted = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).optionalDependencies[
    `node-linux-${process.arch}`
  ]
  if (!wanted)
    stop(
      `this Node is ${process.versions.node} and there is no newer one for ${process.arch}: install Node 22.22.2, 24.15 or 26`,
    )
  const has = existsSync(binary) ? spawnSync(binary, ['--version'], {encoding: 'utf8'}).stdout.trim() : ''
  if (has !== `v${wanted}`) {
    say(`this Node is ${process.versions.node}; installing Node ${wanted} into tools/node`)
    quietly('npm', ['ci', '--ignore-scripts', '--loglevel=error'], {cwd: folder})
  }
  return binary
}

/** npm packages, exactly as locked; again only when the lock file has changed. */
function packages() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const mark = join(root, 'node_modules/.gwswitch-lock')
  if (existsSync(mark) && readFileSync(mark, 'utf8') === lock) return
  say('installing npm packages (npm ci)')
  // No install scripts: the only one, koffi's, would build what the package already brings.
  quietly('npm', ['ci', '--ignore-scripts', '--loglevel=error'])
  writeFileSync(mark, lock)
}

function newest(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
}

/** dist/, if it is older than what it is made of. The declarations are for plugins: only `build` makes them. */
function build() {
  const mark = join(root, 'dist/.built')
  const sources = ['src', 'tsconfig.json', 'package-lock.json', 'scripts/bundle.mjs'].map((name) =>
    newest(join(root, name)),
  )
  if (task !== 'build' && existsSync(mark) && statSync(mark).mtimeMs >= Math.max(...sources)) return
  rmSync(join(root, 'dist'), {recursive: true, force: true})
  if (task === 'build') run(node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--emitDeclarationOnly'))
  run(node('scripts/bundle.mjs'))
  writeFileSync(mark, '')
}

const node = (...command) => [nodeBinary, ['--disable-warning=ExperimentalWarning', ...command]]
const lint = () => node('node_modules/@biomejs/biome/bin/biome', 'check')
const types = () => node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json')
/** Whatever nobody imports, and whatever only tests do (`--production`), unless it is marked `@internal`. */
const unused = (...flags) => node('node_modules/knip/bin/knip.js', ...flags)
/** What is checked without running anything of ours. */
const still = () => [lint(), types(), unused(), unused('--production')]

function run([command, commandArgs]) {
  const env = {...process.env, PATH: [dirname(nodeBinary), process.env.PATH, '/usr/sbin', '/sbin'].join(delimiter)}
  // Ctrl-C reaches the child too; waiting for it here lets it clean up.
  const done = spawnSync(command, commandArgs, {cwd: task === 'run' ? process.cwd() : root, stdio: 'inherit', env})
  if (done.status !== 0) process.exit(done.status ?? 1)
}

if (!TASKS[task]) stop(`no task ${task}; there are ${Object.keys(TASKS).join(', ')}`)
if (process.platform !== 'linux') stop('gwswitch runs on Linux')
if (task === 'demo' && process.getuid?.() !== 0)
  stop('the demo builds network namespaces and needs root: sudo npm run demo')
process.on('SIGINT', () => {})
debian(TASKS[task].debian, TASKS[task].required)
const nodeBinary = runtime()
packages()
build()
for (const step of TASKS[task].steps()) run(step)
