// The guest of image.ts with this machine's DHCP clients in it, and no address but the one that a client gets.
import {cpSync, existsSync, mkdirSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {runCommand} from '../../net/process/command.ts'
import {addProgram, type GuestImage, packInitrd, which} from './image.ts'

/** Whom it starts, told by `gw.client=` on its kernel's command line. `dhclient-hook`: with the exit hook of docs/dhcp.md. @internal */
export type GuestClient = keyof typeof CLIENTS

/** What they log is in /run/client.log. */
const CLIENTS = {
  dhcpcd: 'dhcpcd -B --nodev -4 eth0',
  udhcpc: 'busybox udhcpc -f -i eth0 -s /etc/udhcpc/default.script',
  dhclient: 'rm -f /etc/dhcp/dhclient-exit-hooks.d/gateway; dhclient -4 -d eth0',
  'dhclient-hook': 'dhclient -4 -d eth0',
  // Without udev: it waits for that where /sys is writable.
  networkd: 'mount -o remount,ro /sys; /lib/systemd/systemd-networkd',
  NetworkManager:
    'mount -o remount,ro /sys; dbus-daemon --system --fork --nopidfile; NetworkManager --no-daemon --config /etc/nm.conf --config-dir /run/none',
} as const

/** By their paths where they are found by them. */
const PROGRAMS = {
  dash: '/sbin/dash',
  // Busybox's own lists nothing.
  'run-parts': '/sbin/run-parts',
  dhcpcd: '/sbin/dhcpcd',
  dhclient: '/sbin/dhclient',
  '/lib/systemd/systemd-networkd': '/lib/systemd/systemd-networkd',
  'dbus-daemon': '/bin/dbus-daemon',
  NetworkManager: '/sbin/NetworkManager',
} as const

/** What they read. One that is not there belongs to a client that is not installed. */
const FILES = [
  ...['/etc/passwd', '/etc/group', '/etc/dhcpcd.conf', '/usr/lib/dhcpcd', '/etc/udhcpc', '/sbin/dhclient-script'],
  ...['/etc/dhcp/dhclient.conf', '/usr/share/dbus-1/system.conf', '/usr/share/dbus-1/system.d'],
]

const NETWORKD = '[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n'
const NM = '[main]\nplugins=keyfile\ndhcp=internal\ndns=none\nrc-manager=unmanaged\nno-auto-default=*\n'
const NM_PROFILE = `[connection]
id=lan
uuid=11111111-2222-3333-4444-555555555555
type=ethernet
interface-name=eth0
[ipv4]
method=auto
[ipv6]
method=disabled
`

/** Busybox's shell would take its own `ip` before Debian's. Its clients' routes are on the console as they change. */
const START = `
for word in $(cat /proc/cmdline); do case $word in gw.client=*) client=\${word#*=} ;; esac; done
ln -sf /sbin/dash /bin/sh
/sbin/ip address flush dev eth0
mkdir -p /run/dhcpcd /var/lib/dhcpcd /var/lib/dhcp /var/lib/NetworkManager /run/dbus /run/NetworkManager
mkdir -p /run/systemd/network /run/systemd/netif/leases /run/systemd/netif/links /run/systemd/netif/lldp
cp /etc/1.network /run/systemd/network/
chown -R systemd-network /run/systemd/netif
/sbin/ip -4 monitor route >/dev/ttyS0 &
case $client in
${Object.entries(CLIENTS)
  .map(([name, line]) => `${name}) line='${line}' ;;`)
  .join('\n')}
esac
sh -c "$line" >/run/client.log 2>&1 </dev/null &
`

/** Made in the folder `scratch`. `exitHook`: of dhclient. `programs`: those that are needed; all of them must be installed here. */
export async function dhcpGuestImage(
  base: GuestImage,
  scratch: string,
  exitHook: string,
  programs: readonly (keyof typeof PROGRAMS)[] = Object.keys(PROGRAMS) as (keyof typeof PROGRAMS)[],
): Promise<GuestImage> {
  const added = join(scratch, 'clients')
  const put = (path: string, text: string, mode = 0o644): void => {
    mkdirSync(join(added, dirname(path)), {recursive: true})
    writeFileSync(join(added, path), text, {mode})
  }
  for (const name of programs) {
    mkdirSync(join(added, dirname(PROGRAMS[name])), {recursive: true})
    await addProgram(added, await which(name), PROGRAMS[name])
  }
  for (const path of FILES.filter((each) => existsSync(each))) {
    mkdirSync(join(added, dirname(path)), {recursive: true})
    cpSync(path, join(added, path), {recursive: true})
  }
  put('/etc/fstab', '')
  put('/etc/machine-id', '0123456789abcdef0123456789abcdef\n')
  put('/etc/1.network', NETWORKD)
  put('/etc/nm.conf', NM)
  put('/etc/NetworkManager/system-connections/lan.nmconnection', NM_PROFILE, 0o600)
  put('/etc/dhcp/dhclient-exit-hooks.d/gateway', exitHook)
  put('/start', START)
  const initrd = join(scratch, 'clients.img')
  await packInitrd(added, `${initrd}.added`)
  await runCommand('sh', ['-c', `cat ${base.initrd} ${initrd}.added > ${initrd}`])
  return {...base, initrd, memoryKb: 196_616}
}
