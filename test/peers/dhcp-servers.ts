// Debian's DHCP servers, set up with nothing but the lines that `--print-config` prints and what any set-up has anyway.
import {chmodSync, existsSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {type PrintableServer, printConfig} from '../../src/orders/print-config/print-config.ts'
import type {SwitchDocument} from '../../src/orders/switch/run-switch.ts'
import {parseNonceFile} from '../../src/strategies/dhcp/nonce-file.ts'
import {type DhcpLab, GATEWAYS, inventoryOf, NONCE, textOf, until} from './dhcp-lab.ts'

const LEASE_S = 3600

/** What every client gets of whom nothing is said alone. */
const ROUTER = GATEWAYS.rx.ip

/** The printed text for a file whose name contains `part`. */
function printed(lab: DhcpLab, server: PrintableServer, part: string): string {
  const {segments, vms} = inventoryOf(lab)
  const nonces = parseNonceFile(NONCE, 'test')
  const blocks = printConfig({server, segment: segments[0]!, vms, nonces, drawNonce: () => new Uint8Array(16)})
  const found = blocks.find(({file}) => file.includes(part))
  if (!found) throw new Error(`no block for ${part}: ${blocks.map(({file}) => file).join(', ')}`)
  return found.text
}

async function startDnsmasq(lab: DhcpLab): Promise<void> {
  const {dir, server} = lab
  const config = `port=0
interface=${server.interface}
bind-interfaces
dhcp-authoritative
dhcp-range=10.9.0.0,static,255.255.255.0,${LEASE_S}
dhcp-option=option:router,${ROUTER}
pid-file=${dir}/dnsmasq.pid
dhcp-leasefile=${dir}/dnsmasq.leases
user=root
${printed(lab, 'dnsmasq', '/etc/dnsmasq.d/gwswitch.conf')}
`
  writeFileSync(join(dir, 'dnsmasq.conf'), config)
  writeFileSync(join(dir, 'opts'), `# kept\n${printed(lab, 'dnsmasq', '/opts')}\ntag:other,option:router,10.9.0.99\n`)
  lab.start(server, 'dnsmasq', 'dnsmasq', '--keep-in-foreground', '-C', join(dir, 'dnsmasq.conf'))
  await until(
    () => existsSync(join(dir, 'dnsmasq.pid')),
    () => textOf(join(dir, 'dnsmasq.log')),
  )
}

async function startKea(lab: DhcpLab): Promise<void> {
  const {dir, server} = lab
  const config = `{"Dhcp4": {
  "interfaces-config": {"interfaces": ["${server.interface}"], "dhcp-socket-type": "raw"},
  "lease-database": {"type": "memfile", "name": "${dir}/kea.leases"},
  "valid-lifetime": ${LEASE_S},
  ${printed(lab, 'kea', 'inside "Dhcp4"')},
  "subnet4": [{"id": 1, "subnet": "10.9.0.0/24", "option-data": [{"name": "routers", "data": "${ROUTER}"}], ${printed(lab, 'kea', 'inside the subnet')}}]
}}`
  writeFileSync(join(dir, 'kea.conf'), config)
  lab.start(
    server,
    'kea',
    'env',
    `KEA_PIDFILE_DIR=${dir}`,
    `KEA_LOCKFILE_DIR=${dir}`,
    'kea-dhcp4',
    '-c',
    join(dir, 'kea.conf'),
  )
  await until(
    () => textOf(join(dir, 'server.log')).includes('DHCP4_STARTED'),
    () => textOf(join(dir, 'kea.log')) + textOf(join(dir, 'server.log')),
  )
}

/** `more`: statements of the subnet, and what is above it. */
export async function startIsc(lab: DhcpLab, more = '', above = ''): Promise<void> {
  const {dir, server} = lab
  const secret = Buffer.from('a secret of the test').toString('base64')
  writeFileSync(join(dir, 'omapi.key'), `gwswitch-key ${secret}\n`)
  const config = `authoritative;
key gwswitch-key { algorithm hmac-md5; secret "${secret}"; };
omapi-key gwswitch-key;
default-lease-time ${LEASE_S};
${above}
${printed(lab, 'isc', 'at the top')}
subnet 10.9.0.0 netmask 255.255.255.0 {
option routers ${ROUTER};
${more}
${printed(lab, 'isc', 'inside the subnet')}
}
`
  writeFileSync(join(dir, 'dhcpd.conf'), config)
  writeFileSync(join(dir, 'dhcpd.leases'), '')
  chmodSync(dir, 0o755)
  lab.start(
    server,
    'server',
    '/usr/sbin/dhcpd',
    '-4',
    '-d',
    '--no-pid',
    '-cf',
    join(dir, 'dhcpd.conf'),
    '-lf',
    join(dir, 'dhcpd.leases'),
    server.interface,
  )
  const log = join(dir, 'server.log')
  await until(
    () => textOf(log).includes('Server starting service'),
    () => textOf(log),
  )
  const script = join(dir, 'omshell')
  writeFileSync(script, `${printed(lab, 'isc', 'omshell').replace('connect', `key gwswitch-key ${secret}\nconnect`)}\n`)
  await server.run('sh', '-c', `omshell <${script} >${dir}/omshell.log 2>&1`)
}

export const SERVERS: Readonly<
  Record<PrintableServer, {readonly program: string; start(lab: DhcpLab): Promise<void>}>
> = {
  dnsmasq: {program: 'dnsmasq', start: startDnsmasq},
  kea: {program: 'kea-dhcp4', start: startKea},
  // By its path: an npm package has a program of the same name.
  isc: {program: '/usr/sbin/dhcpd', start: startIsc},
}

/** Stock dhcpcd, as Debian configures it, with files of its own; resolves when it has its lease. */
export async function startDhcpcd(lab: DhcpLab): Promise<void> {
  const {client} = lab
  // Its hook writes the resolver's file, which is not the test's to change.
  const resolver = `touch ${lab.dir}/resolv.conf && mount --bind ${lab.dir}/resolv.conf /etc/resolv.conf`
  const own = `${resolver} && mount -t tmpfs none /run && mkdir -p /run/dhcpcd && mount -t tmpfs none /var/lib/dhcpcd && exec dhcpcd -B --nodev -4 "$1"`
  lab.start(client, 'dhcpcd', 'unshare', '-m', 'sh', '-c', own, 'sh', client.interface)
  await until(
    async () => (await lab.router()) !== undefined,
    () => textOf(join(lab.dir, 'dhcpcd.log')),
  )
}

/** `switch web-07` where its server is; what it printed. */
export async function switchTo(lab: DhcpLab, site: string, ...flags: string[]): Promise<SwitchDocument> {
  const here = ['-i', lab.server.interface, '--json', ...flags]
  const {stdout, stderr} = await lab.gwswitch('switch', 'web-07', '--to', site, ...here)
  try {
    return JSON.parse(stdout) as SwitchDocument
  } catch {
    throw new Error(`${stdout}${stderr}\n${textOf(join(lab.dir, 'server.log'))}`)
  }
}
