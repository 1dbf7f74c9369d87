// A libvirtd of a test's own, in a namespace of the lab and with folders of its own: the machine's is not touched.
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {type GuestImage, guestImage} from '../../src/lab/guest/image.ts'
import {type CommandResult, runCommand, tryCommand} from '../../src/net/process/command.ts'
import {spawnIn} from '../../src/net/process/netns.ts'
import {hasProgram, noNamespaces} from './namespaces.ts'
import {until} from './until.ts'

export interface TestLibvirt {
  /** Connection URI. */
  readonly uri: string
  virsh(...args: readonly string[]): Promise<string>
  /** A program in its folder `bin` goes before the machine's, for the daemon and its hooks. */
  readonly home: string
  /** Runs a program where the daemon's files are at the places that it takes for its own. */
  inside(...argv: readonly string[]): Promise<CommandResult>
  /** Tells it to reload (SIGHUP). */
  reload(): void
  stop(): Promise<void>
}

/** The guest for a domain; or why there is no libvirt here, for a test to skip with. */
export async function libvirtGuest(): Promise<GuestImage | string> {
  const image = noNamespaces ?? (await guestImage())
  if (typeof image === 'string') return image
  const installed = (await hasProgram('libvirtd')) && (await hasProgram('virsh'))
  return installed ? image : 'libvirtd and virsh are not installed (Debian: libvirt-daemon libvirt-clients)'
}

const FOLDERS = {
  etc: '/etc/libvirt',
  run: '/run/libvirt',
  lib: '/var/lib/libvirt',
  log: '/var/log/libvirt',
  cache: '/var/cache/libvirt',
}

/** Debian's libvirtd looks up a user that a package makes which we do not need. */
const start = (home: string, uuid: string): string => `
mount --make-rprivate /
hostname host-${uuid.slice(0, 8)}
mount -t tmpfs none /run
(cat /etc/passwd; echo libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin) > ${home}/passwd
(cat /etc/group; echo libvirt-qemu:x:64055:) > ${home}/group
${Object.entries(FOLDERS)
  .map(([name, at]) => `mkdir -p ${at}; mount --bind ${home}/${name} ${at}`)
  .join('\n')}
mount --bind ${home}/passwd /etc/passwd
mount --bind ${home}/group /etc/group
PATH=${home}/bin:$PATH
exec libvirtd -f /etc/libvirt/libvirtd.conf -p /run/libvirtd.pid
`

/** `uuid`: of the host; libvirt migrates nothing to the host that it is on. */
export async function startLibvirt(
  namespace: string,
  home: string,
  uuid = '11111111-2222-4333-8444-555555555555',
): Promise<TestLibvirt> {
  for (const name of [...Object.keys(FOLDERS), 'bin']) mkdirSync(join(home, name), {recursive: true})
  const daemon = [
    `unix_sock_dir = "${home}/run"`,
    'auth_unix_rw = "none"',
    'auth_unix_ro = "none"',
    `host_uuid = "${uuid}"`,
  ]
  const qemu = [
    'user = "root"',
    'group = "root"',
    'security_driver = "none"',
    'cgroup_controllers = []',
    'namespaces = []',
    'stdio_handler = "file"',
  ]
  writeFileSync(join(home, 'etc/libvirtd.conf'), `${daemon.join('\n')}\n`)
  writeFileSync(join(home, 'etc/qemu.conf'), `${qemu.join('\n')}\n`)
  writeFileSync(join(home, 'start.sh'), start(home, uuid))
  const child = spawnIn(namespace, ['unshare', '-m', '-u', 'sh', join(home, 'start.sh')], {stdio: 'ignore'})
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const uri = `qemu+unix:///system?socket=${home}/run/libvirt-sock`
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  try {
    await until(
      async () => (await tryCommand('virsh', ['-q', '-c', uri, 'list'])).code === 0,
      30_000,
      'libvirtd answers',
    )
  } catch (error) {
    await stop()
    throw error
  }
  return {
    ...{uri, home, stop},
    virsh: (...args) => runCommand('virsh', ['-q', '-c', uri, ...args]),
    inside: (...argv) => tryCommand('nsenter', ['-t', String(child.pid), '-m', '-n', '-u', ...argv]),
    reload: () => void child.kill('SIGHUP'),
  }
}

/** A domain that boots the test guest on a bridge; its console goes to `console`. */
export const domainXml = (
  {kernel, initrd}: GuestImage,
  domain: {
    readonly name: string
    readonly bridge: string
    readonly mac: string
    readonly address: string
    readonly gateway: string
    readonly console: string
  },
): string => `<domain type='qemu'>
  <name>${domain.name}</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type><kernel>${kernel}</kernel><initrd>${initrd}</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 no_timer_check cryptomgr.notests mitigations=off edd=off net.ifnames=0 gw.address=${domain.address} gw.gateway=${domain.gateway}</cmdline>
  </os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type='bridge'><source bridge='${domain.bridge}'/><mac address='${domain.mac}'/><model type='virtio'/><rom enabled='no'/></interface>
    <serial type='file'><source path='${domain.console}'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <memballoon model='none'/>
  </devices>
</domain>
`

export const hasBooted = (console: string): boolean => {
  try {
    return readFileSync(console, 'latin1').includes('guest ready')
  } catch {
    return false
  }
}
