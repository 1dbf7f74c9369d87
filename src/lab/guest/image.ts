// The image of a real guest: Debian's cloud kernel with busybox, ip(8) and QEMU's own guest agent in an initramfs of a few MB.
// Built once from Debian packages, and kept.
import {createHash} from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {basename, dirname, join} from 'node:path'
import {runCommand, tryCommand} from '../../net/process/command.ts'

/** Where images are kept, by what they are made of. */
export const CACHE = '/var/cache/gwswitch'
/** Where tests that run apart find it (scripts/apart.sh). */
const MACHINE_NETWORK = '/run/machine-net'
const KERNEL = 'linux-image-cloud-amd64'
/** Raised whenever what is in the image changes. */
const RECIPE = 10
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
/** What makes a hypervisor of it, as far as this machine's own kernel lacks it: bridges with VLANs, nft in bridges. @internal */
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
  const missing = await missingPrograms(PROGRAMS)
  if (missing.length > 0) return `not installed: ${missing.join(', ')} (Debian: qemu-system-x86 busybox-static cpio)`
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

/** Those of the programs that are not installed here. */
export async function missingPrograms(names: readonly string[]): Promise<string[]> {
  const script = names.map((name) => `command -v ${name} >/dev/null || echo ${name}`).join(';')
  const {stdout} = await tryCommand('sh', ['-c', script])
  return stdout.split('\n').filter((name) => name !== '')
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

/**
 * What it is told on the kernel's command line: gw.address, gw.gateway; gw.count=IP:PORT,..., to whom it counts on by TCP, a
 * line each 10 ms, and again from 0 by a new session when one ends. What more there is to start, an archive behind this one
 * brings as /start.
 */
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
    gw.count=*) count=\${word#*=} ;;
  esac
done
ip link set lo up
ip link set eth0 up
ip address add $address dev eth0
ip route add default via $gateway dev eth0 proto static metric 100
mkfifo /run/echo
(while :; do nc -l -p 7777 < /run/echo | tee /run/echo > /dev/null; done) &
mkfifo /run/silence
exec 9<>/run/silence
counted() { n=0; while echo $n; do n=$((n + 1)); read -t 0.01 never <&9; done; }
for to in $(echo $count | tr , ' '); do
  (while :; do counted 2>/dev/null | nc \${to%:*} \${to#*:} >/dev/null 2>&1; read -t 0.1 never <&9; done) &
done
for port in /dev/vport*; do qemu-ga -m virtio-serial -p $port -t /run -d; done
[ -e /start ] && . /start
echo guest ready
while :; do sleep 3600; done
`
