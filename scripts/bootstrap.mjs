// Runs gwswitch's own tasks on a machine that has nothing but Node, npm and (for namespaces) root.
// Plain JavaScript without dependencies, since it runs before any is installed, on whatever Node is there.
//
//   node scripts/bootstrap.mjs demo|test|test:fast|test:watch|check|check:static|build|bench|fuzz|mutate|manifest|run
//     [arguments]
import {spawnSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {existsSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {cpus} from 'node:os'
import {delimiter, dirname, join} from 'node:path'
import {debian, found, libraries, nativeFiles, quietly, root, say, stop, systemPath} from './debian.mjs'
import {isBuilt, markBuilt} from './dist.mjs'

const [task = 'run', ...args] = process.argv.slice(2)

/** What a task needs from Debian: what shows that it is there, and the package that brings it. */
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
  // The program of the package ebtables wants a part that many kernels no longer have; this one does it by nft.
  [ebtablesWorks, 'iptables'],
  ['keepalived', 'keepalived'],
  ['radvd', 'radvd'],
  ['/usr/lib/frr/bgpd', 'frr'],
  ['dnsmasq', 'dnsmasq-base'],
  ['dhcpcd', 'dhcpcd-base'],
  ['busybox', 'busybox-static'],
  ['/etc/udhcpc/default.script', 'udhcpc'],
  ['NetworkManager', 'network-manager'],
  ['dbus-daemon', 'dbus-daemon'],
  ['ps', 'procps'],
  ['dhclient', 'isc-dhcp-client'],
  // By its path: an npm package has a program of the same name.
  ['/usr/sbin/dhcpd', 'isc-dhcp-server'],
  ['dhcrelay', 'isc-dhcp-relay'],
  ['kea-dhcp4', 'kea-dhcp4-server'],
  ['kea-ctrl-agent', 'kea-ctrl-agent'],
  ['openssl', 'openssl'],
  ['perfdhcp', 'kea-admin'],
  ['/lib/systemd/systemd-networkd', 'systemd'],
  ['qemu-system-x86_64', 'qemu-system-x86'],
  ['qemu-ga', 'qemu-guest-agent'],
  ['cpio', 'cpio'],
  ['mke2fs', 'e2fsprogs'],
  ['libvirtd', 'libvirt-daemon'],
  ['virsh', 'libvirt-clients'],
  ['socat', 'socat'],
  ['ncat', 'ncat'],
  ['nc.openbsd', 'netcat-openbsd'],
  ['/usr/lib/python3/dist-packages/scapy/__init__.py', 'python3-scapy'],
  ['tmux', 'tmux'],
  ['/usr/lib/rabbitmq/bin/rabbitmq-server', 'rabbitmq-server'],
  ['/usr/lib/python3/dist-packages/oslo_messaging/__init__.py', 'python3-oslo.messaging'],
  ['/usr/lib/python3/dist-packages/prometheus_client/parser.py', 'python3-prometheus-client'],
]
const TASKS = {
  demo: {debian: LAB, required: true, steps: () => [node('bin/run.js', 'lab', 'demo', ...args)]},
  test: {debian: PEERS, required: false, steps: () => [tests(...args)]},
  check: {
    debian: PEERS,
    required: false,
    steps: () => [...still(), tests()],
  },
  // What needs nothing but Node. It waits for nothing: more workers than cores would only get into each other's way.
  'test:fast': {debian: [], steps: () => [pure('run')]},
  'test:watch': {debian: [], steps: () => [pure('watch')]},
  'check:static': {debian: [], steps: () => still()},
  build: {debian: [], steps: () => []},
  bench: {debian: PEERS, required: true, steps: () => [node('bench/run.ts', ...args)]},
  fuzz: {debian: [], steps: () => [node('test/fuzz/run.ts', ...args)]},
  mutate: {debian: [], steps: () => [node('test/mutants/run.ts', ...args)]},
  manifest: {debian: [], steps: () => [node('scripts/manifest.mjs')]},
  run: {debian: [], steps: () => [node('bin/run.js', ...args)]},
}

/** Neither unshare(1) nor ip-netns(8) works where it is none (proc_pid_mountinfo(5), field 5). */
function rootIsMountPoint() {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  return mounts.some((line) => line.split(' ')[4] === '/')
}

/** Asked in a network namespace of its own, since looking at a table makes it. */
function ebtablesWorks() {
  if (process.getuid?.() !== 0) return found('ebtables')
  const env = {...process.env, PATH: systemPath().join(delimiter)}
  return spawnSync('unshare', ['--net', 'ebtables', '-t', 'nat', '-L'], {stdio: 'ignore', env}).status === 0
}

/** The same condition as in bin/run.js and in package.json's engines. */
function suits(version) {
  const [major, minor, patch] = version.replace(/^v/, '').split('.').map(Number)
  if (major === 22) return minor > 22 || (minor === 22 && patch >= 2)
  if (major === 24) return minor >= 15
  return major >= 26
}

/** The Node to run on: this one, or the one of tools/node where this is too old. */
function runtime() {
  if (suits(process.versions.node)) return process.execPath
  const folder = join(root, 'tools/node')
  const name = `node-linux-${process.arch}`
  const installed = join(folder, 'node_modules', name)
  // Not by node_modules/.bin: npm 10 removes that link together with the package for the other architecture.
  const binary = join(installed, 'bin/node')
  const wanted = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).optionalDependencies[name]
  if (!wanted)
    stop(
      `this Node is ${process.versions.node} and there is no newer one for ${process.arch}: install Node 22.22.2, 24.15 or 26`,
    )
  if (versionOf(binary) === `v${wanted}`) return binary
  const manifest = join(installed, 'package.json')
  const has = () => existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === wanted
  if (!has()) say(`this Node is ${process.versions.node}; installing Node ${wanted} into tools/node`)
  // npm passes over an optional package that it could not fetch, without a word.
  for (let attempt = 0; attempt < 3 && !has(); attempt++)
    quietly('npm', ['ci', '--ignore-scripts', '--loglevel=error'], {cwd: folder})
  if (!has()) stop(`npm did not get ${name} ${wanted}: is its registry reachable? Try again`)
  libraries([binary])
  if (versionOf(binary) !== `v${wanted}`) stop(`${binary} does not run here: install Node 22.22.2, 24.15 or 26`)
  return binary
}

/** What it says of itself; undefined where it does not run. */
const versionOf = (binary) => spawnSync(binary, ['--version'], {encoding: 'utf8'}).stdout?.trim() || undefined

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
  libraries(nativeFiles(join(root, 'node_modules')))
  writeFileSync(mark, lock)
}

/** dist/, if it is older than what it is made of. The declarations are for plugins: only `build` makes them. */
function build() {
  if (task !== 'build' && isBuilt()) return
  rmSync(join(root, 'dist'), {recursive: true, force: true})
  if (task === 'build') run(node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--emitDeclarationOnly'))
  run(node('scripts/bundle.mjs'))
  markBuilt()
}

const node = (...command) => [nodeBinary, ['--disable-warning=ExperimentalWarning', ...command]]
const pure = (mode) =>
  node('node_modules/vitest/vitest.mjs', mode, '--project', 'pure', `--maxWorkers=${cpus().length}`, ...args)
const lint = () => node('node_modules/@biomejs/biome/bin/biome', 'check')
const types = () => node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json')
/** Whatever nobody imports, and whatever only tests do (`--production`), unless it is marked `@internal`. */
const unused = (...flags) => node('node_modules/knip/bin/knip.js', ...flags)
/** What is checked without running anything of ours. */
const still = () => [lint(), types(), unused(), unused('--production')]

/** vitest, apart from the machine where that may be: what it does then cannot reach it, and what others do there not it. */
function tests(...given) {
  const [program, programArgs] = node('node_modules/vitest/vitest.mjs', 'run', ...given)
  const apart = join(root, 'scripts/apart.sh')
  const may = process.getuid?.() === 0 && spawnSync(apart, ['true'], {stdio: 'ignore'}).status === 0
  return may ? [apart, [program, ...programArgs]] : [program, programArgs]
}

function run([command, commandArgs]) {
  const env = {...process.env, PATH: [dirname(nodeBinary), ...systemPath()].join(delimiter)}
  // Ctrl-C reaches the child too; waiting for it here lets it clean up.
  const done = spawnSync(command, commandArgs, {cwd: task === 'run' ? process.cwd() : root, stdio: 'inherit', env})
  if (done.status !== 0) process.exit(done.status ?? 1)
}

if (!TASKS[task]) stop(`no task ${task}; there are ${Object.keys(TASKS).join(', ')}`)
if (process.platform !== 'linux') stop('gwswitch runs on Linux')
if (task === 'demo' && process.getuid?.() !== 0)
  stop('the demo builds network namespaces and needs root: sudo npm run demo')
if (TASKS[task].debian.length > 0 && !rootIsMountPoint())
  stop('in this chroot "/" is no mount point, as namespaces need it: before chroot(8), mount --bind DIR DIR')
process.on('SIGINT', () => {})
debian(TASKS[task].debian, TASKS[task].required)
const nodeBinary = runtime()
packages()
build()
for (const step of TASKS[task].steps()) run(step)
