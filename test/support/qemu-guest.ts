// A real guest: Debian's cloud kernel with busybox, ip(8) and QEMU's own guest agent in an initramfs of a few MB, run by
// QEMU without hardware help. Built once from Debian packages, and kept.
import type {ChildProcess} from 'node:child_process'
import {createHash} from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {basename, dirname, join} from 'node:path'
import {labEnvironment} from '../../src/lab/processes.ts'
import {runCommand, tryCommand} from '../../src/net/process/command.ts'
import {spawnIn} from '../../src/net/process/netns.ts'
import {openQmp} from './qmp.ts'
import {until} from './until.ts'

/** Where images are kept, by what they are made of. */
const CACHE = '/var/cache/gwswitch-tests'
/** Where tests that run apart find it (scripts/apart.sh). */
const MACHINE_NETWORK = '/run/machine-net'
const KERNEL = 'linux-image-cloud-amd64'
/** Raised whenever what is in the image changes. */
const RECIPE = 9
/** In the order in which they depend on each other. */
const MODULES = [
  'virtio_ring',
  'virtio',
  'virtio_pci_modern_dev',
  'virtio_pci_legacy_dev',
  'virtio_pci',
  'failover',
  'net_failover',
  'virtio_net',
  'virtio_console',
]
/** For a disk with an ext4 file system: there, and left to whoever has one. */
export const DISK_MODULES = ['virtio_blk', 'crc16', 'crc32c_generic', 'mbcache', 'jbd2', 'ext4']
/** What makes a hypervisor of it, as far as this machine's own kernel lacks it: bridges with VLANs, nft in bridges. */
export const BRIDGE_MODULES = [
  ...['veth', 'llc', 'stp', 'bridge', 'garp', 'mrp', '8021q'],
  ...['nfnetlink', 'libcrc32c', 'nf_tables', 'nft_meta_bridge', 'nft_limit', 'nft_log', 'nfnetlink_log'],
]
const PROGRAMS = ['qemu-system-x86_64', 'busybox', 'cpio', 'dpkg-deb', 'apt-get', 'ldd', 'ip', 'gzip']

export interface GuestImage {
  readonly kernel: string
  readonly initrd: string
  /** Images of disks, read only. */
  readonly disks?: readonly string[]
  /**
   * RAM in KiB; some 128 MiB without it. No multiple of 256: QEMU 7.2 without hardware help then loses pages that the guest
   * writes to while it migrates, and what runs in it breaks by and by.
   */
  readonly memoryKb?: number
}

/** The image, built if need be; or why there is none here, for a test to skip with. */
export async function guestImage(): Promise<GuestImage | string> {
  if (process.arch !== 'x64') return `the guest is built for amd64, this is ${process.arch}`
  if (process.geteuid?.() !== 0) return 'a guest on a tap interface needs root'
  if (!existsSync('/dev/net/tun')) return 'there is no /dev/net/tun'
  const {stdout} = await tryCommand('sh', [
    '-c',
    PROGRAMS.map((name) => `command -v ${name} >/dev/null || echo ${name}`).join(';'),
  ])
  if (stdout.trim() !== '')
    return `not installed: ${stdout.trim().split('\n').join(', ')} (Debian: qemu-system-x86 busybox-static cpio)`
  // With a cache of its own, which apt itself keeps up to date: some images configure that away, and it takes a second then.
  mkdirSync(CACHE, {recursive: true})
  const kept = [`Dir::Cache::pkgcache=${CACHE}/pkgcache.bin`, `Dir::Cache::srcpkgcache=${CACHE}/srcpkgcache.bin`]
  const question = [...kept.flatMap((each) => ['-o', each]), 'policy', KERNEL, 'qemu-guest-agent']
  const {stdout: policy} = await tryCommand('apt-cache', question)
  const versions = [...policy.matchAll(/Candidate: (\d\S*)/g)].map(([, version]) => version)
  if (versions.length < 2) return `apt does not know both ${KERNEL} and qemu-guest-agent`
  const key = createHash('sha256')
    .update(JSON.stringify([RECIPE, KERNEL, versions]))
    .digest('hex')
    .slice(0, 16)
  const home = join(CACHE, `guest-${key}`)
  if (!existsSync(home)) {
    try {
      await build(home, (await kernelPackage())!)
    } catch (error) {
      return `the guest cannot be built: ${(error as Error).message.split('\n')[0]}`
    }
  }
  return {kernel: join(home, 'vmlinuz'), initrd: join(home, 'initrd.img')}
}

/** The package of a version, which the other one stands for. */
async function kernelPackage(): Promise<string | undefined> {
  const {stdout} = await tryCommand('apt-cache', ['depends', KERNEL])
  return /Depends: (linux-image-\S+-cloud-amd64)/.exec(stdout)?.[1]
}

async function build(home: string, kernelPackage: string): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'gwswitch-guest-'))
  try {
    // apt downloads as a user of its own.
    chmodSync(work, 0o777)
    const network = existsSync(MACHINE_NETWORK) ? `nsenter --net=${MACHINE_NETWORK}` : ''
    const script = `cd ${work} && ${network} apt-get download -q ${kernelPackage} qemu-guest-agent && for deb in *.deb; do dpkg-deb -x "$deb" packages; done`
    await runCommand('sh', ['-c', script])
    const packages = join(work, 'packages')
    const root = join(work, 'root')
    for (const folder of ['bin', 'sbin', 'modules', 'proc', 'sys', 'dev', 'run', 'etc', 'tmp'])
      mkdirSync(join(root, folder), {recursive: true})
    copyFileSync(await which('busybox'), join(root, 'bin/busybox'))
    await addProgram(root, await which('ip'), 'sbin/ip')
    await addProgram(root, join(packages, 'usr/sbin/qemu-ga'), 'sbin/qemu-ga')
    for (const name of [...MODULES, ...DISK_MODULES, ...BRIDGE_MODULES])
      copyModule(packages, name, join(root, 'modules'))
    writeFileSync(join(root, 'init'), INIT, {mode: 0o755})
    const made = join(work, 'made')
    mkdirSync(made)
    copyFileSync(globSync(join(packages, 'boot/vmlinuz-*'))[0]!, join(made, 'vmlinuz'))
    await packInitrd(root, join(made, 'initrd.img'))
    mkdirSync(dirname(home), {recursive: true})
    // Others may build it at the same time; the last one stays.
    const own = mkdtempSync(`${home}-`)
    await runCommand('cp', ['-r', made, join(own, 'made')])
    try {
      renameSync(join(own, 'made'), home)
    } catch (error) {
      if (!existsSync(home)) throw error
    } finally {
      rmSync(own, {recursive: true})
    }
  } finally {
    rmSync(work, {recursive: true, force: true})
  }
}

/** The kernel unpacks several of these one after the other, if they are in one file. */
export const packInitrd = async (root: string, to: string): Promise<unknown> =>
  runCommand('sh', ['-c', `cd ${root} && find . | cpio -o -H newc --quiet | gzip -1 > ${to}`])

export const which = async (name: string): Promise<string> =>
  realpathSync((await runCommand('sh', ['-c', `command -v ${name}`])).trim())

/** A module that is not there is built into the kernel. */
function copyModule(packages: string, name: string, folder: string): void {
  const [file] = globSync(join(packages, `lib/modules/*/kernel/**/${name}.ko`))
  if (file) copyFileSync(file, join(folder, `${name}.ko`))
}

/** A program of this machine with the libraries that it is linked to, at the same places. */
export async function addProgram(root: string, path: string, to: string): Promise<void> {
  copyFileSync(path, join(root, to))
  chmodSync(join(root, to), 0o755)
  await addLibraries(root, path)
}

/** The libraries that a program of this machine is linked to, at the same places. */
export async function addLibraries(root: string, path: string): Promise<void> {
  const listed = await runCommand('ldd', [path])
  if (/not found/.test(listed))
    throw new Error(`${basename(path)} lacks libraries here: ${/(\S+) => not found/.exec(listed)?.[1]}`)
  for (const [, file] of listed.matchAll(/(\/\S+) \(0x/g)) {
    const target = join(root, file!)
    if (existsSync(target)) continue
    mkdirSync(dirname(target), {recursive: true})
    copyFileSync(realpathSync(file!), target)
  }
  if (!existsSync(join(root, 'lib64'))) symlinkSync('usr/lib64', join(root, 'lib64'))
}

/** What it is told on the kernel's command line: gw.address, gw.gateway. What more there is to start, an archive behind this one
 * brings as /start. */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mkdir -p /var
ln -s /run /var/run
for name in ${MODULES.join(' ')}; do [ -e /modules/$name.ko ] && insmod /modules/$name.ko; done
for word in $(cat /proc/cmdline); do
  case $word in
    gw.address=*) address=\${word#*=} ;;
    gw.gateway=*) gateway=\${word#*=} ;;
  esac
done
ip link set lo up
ip link set eth0 up
ip address add $address dev eth0
ip route add default via $gateway dev eth0 proto static metric 100
mkfifo /run/echo
(while :; do nc -l -p 7777 < /run/echo | tee /run/echo > /dev/null; done) &
for port in /dev/vport*; do qemu-ga -m virtio-serial -p $port -t /run -d; done
[ -e /start ] && . /start
echo guest ready
while :; do sleep 3600; done
`

export interface GuestOptions {
  /** Namespace that QEMU runs in, and the tap there. */
  readonly namespace: string
  readonly tap: string
  readonly mac: string
  readonly mtu: number
  /** With its prefix length. */
  readonly address: string
  readonly gateway: string
  /** For its kernel. */
  readonly kernelWords?: string
  /** Folder of its sockets and its console. */
  readonly scratch: string
  readonly name: string
}

export interface RunningGuest {
  /** The host's end of the guest agent's channel. */
  readonly agentSocket: string
  readonly console: () => string
  /** One QMP command; resolves to its answer. */
  qmp(execute: string, parameters?: object): Promise<Record<string, unknown>>
  stop(): Promise<void>
}

/** Ten times what it takes on two quiet cores. */
const BOOT_MS = 180_000

/** Boots it; resolves when its init is through. Throws with the end of its console if it does not get there. */
export async function startGuest(image: GuestImage, options: GuestOptions): Promise<RunningGuest> {
  const guest = launch(image, options, [])
  try {
    await until(async () => guest.console().includes('guest ready'), BOOT_MS, 'the guest boots')
  } catch (error) {
    await guest.stop()
    throw new Error(`${(error as Error).message}: ${guest.complaints()} ${guest.console().slice(-500)}`)
  }
  return guest
}

export interface MigratedGuest extends RunningGuest {
  /** When it ran at its destination, ms since 1970. */
  readonly arrivedMs: number
}

/**
 * Live-migrates a running guest into a QEMU of its own with other options; resolves to that one as soon as the guest runs
 * there, with the old one stopped for good.
 */
export async function migrateGuest(
  from: RunningGuest,
  image: GuestImage,
  options: GuestOptions,
  /** What is done once the destination waits for it. */
  whenAwaited: () => Promise<void> = async () => {},
): Promise<MigratedGuest> {
  const to = launch(image, options, ['-incoming', 'defer'])
  try {
    const file = (suffix: string): string => join(options.scratch, `${options.name}.${suffix}`)
    await until(async () => existsSync(file('qmp')), 60_000, 'the destination is there')
    await using monitor = await openQmp(file('qmp'))
    // The destination's own word: only then does the guest run there.
    const arrived = monitor.event('RESUME', 120_000)
    await monitor.ask('migrate-incoming', {uri: `unix:${file('migration')}`})
    await whenAwaited()
    await from.qmp('migrate', {uri: `unix:${file('migration')}`})
    const arrivedMs = await arrived
    await from.stop()
    return {...to, arrivedMs}
  } catch (error) {
    await to.stop()
    throw new Error(`${(error as Error).message}: ${to.complaints()}`)
  }
}

/** A guest keeps a clock of its own, and its neighbours here mostly wait: it is served first, where that is allowed. */
const SERVED_FIRST = ['nice', '-n', '-10']

/** QEMU's way to reach its parts, and to look at them. */
function launch(
  {kernel, initrd, disks = [], memoryKb = 131_080}: GuestImage,
  options: GuestOptions,
  more: readonly string[],
) {
  const file = (suffix: string): string => join(options.scratch, `${options.name}.${suffix}`)
  const words = [
    'console=ttyS0 quiet panic=-1 no_timer_check cryptomgr.notests mitigations=off edd=off net.ifnames=0',
    `gw.address=${options.address} gw.gateway=${options.gateway}`,
    options.kernelWords ?? '',
  ]
  const argv = [
    ...SERVED_FIRST,
    ...['qemu-system-x86_64', '-nodefaults', '-no-user-config', '-nographic', '-no-reboot', '-accel', 'tcg'],
    ...['-machine', 'pc-i440fx-7.2', '-m', `${memoryKb}k`, '-kernel', kernel, '-initrd', initrd],
    ...['-append', words.join(' ')],
    ...['-serial', `file:${file('console')}`, '-qmp', `unix:${file('qmp')},server=on,wait=off`],
    ...['-netdev', `tap,id=n0,ifname=${options.tap},script=no,downscript=no`],
    ...['-device', `virtio-net-pci,netdev=n0,mac=${options.mac},romfile=,host_mtu=${options.mtu}`],
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=ga0,path=${file('qga')},server=on,wait=off`],
    ...['-device', 'virtserialport,chardev=ga0,name=org.qemu.guest_agent.0'],
    // Read only, so that both ends of a migration may open them.
    ...disks.flatMap((disk, i) => [
      ...['-drive', `file=${disk},format=raw,if=none,id=d${i},readonly=on`],
      ...['-device', `virtio-blk-pci,drive=d${i}`],
    ]),
    ...more,
  ]
  // Marked as the lab's own: it is ended with the lab, also when this process is killed.
  const env = {...process.env, ...labEnvironment(options.namespace.split('-')[0]!)}
  const child = spawnIn(options.namespace, argv, {stdio: ['ignore', 'ignore', 'pipe'], env})
  const stderr: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  return {
    agentSocket: file('qga'),
    console: () => (existsSync(file('console')) ? readFileSync(file('console'), 'latin1') : ''),
    complaints: () => Buffer.concat(stderr).toString(),
    qmp: (execute: string, parameters?: object) => askQmp(file('qmp'), execute, parameters),
    stop: () => ended(child),
  }
}

/** One QMP command over a connection of its own. */
async function askQmp(path: string, execute: string, parameters?: object): Promise<Record<string, unknown>> {
  await using monitor = await openQmp(path)
  // Awaited here: the connection is closed on the way out.
  return await monitor.ask(execute, parameters)
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const {promise, resolve} = Promise.withResolvers<void>()
  child.once('exit', () => resolve())
  child.kill('SIGKILL')
  await promise
}
