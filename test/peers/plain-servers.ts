// Servers that know one router, site x's, and nothing of nonces, as most do.
import {chmodSync, existsSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {PairEnd} from '../support/namespaces.ts'
import {type DhcpLab, GATEWAYS, textOf, until, VM_IP} from './dhcp-lab.ts'

const LEASE_S = 3600
const ROUTER = GATEWAYS.rx.ip

export async function startPlainDnsmasq(lab: DhcpLab, leaseS = LEASE_S): Promise<void> {
  const config = `port=0
interface=${lab.server.interface}
bind-interfaces
dhcp-authoritative
dhcp-range=10.9.0.0,static,255.255.255.0,${leaseS}
dhcp-host=${lab.client.mac},${VM_IP}
dhcp-option=option:router,${ROUTER}
pid-file=${lab.dir}/dnsmasq.pid
dhcp-leasefile=${lab.dir}/dnsmasq.leases
user=root
`
  writeFileSync(join(lab.dir, 'dnsmasq.conf'), config)
  lab.start(lab.server, 'dnsmasq', 'dnsmasq', '--keep-in-foreground', '-C', join(lab.dir, 'dnsmasq.conf'))
  await until(
    () => existsSync(join(lab.dir, 'dnsmasq.pid')),
    () => textOf(join(lab.dir, 'dnsmasq.log')),
  )
}

/** `more`: of its `Dhcp4`. Its log is `<dir>/<name>.log`. */
export async function startPlainKea(
  lab: DhcpLab,
  server: Pick<PairEnd, 'namespace' | 'interface'> = lab.server,
  name = 'kea',
  more: object = {},
) {
  const routers = [{name: 'routers', data: ROUTER}]
  const reservations = [{'hw-address': lab.client.mac, 'ip-address': VM_IP}]
  const config = {
    'interfaces-config': {interfaces: [server.interface], 'dhcp-socket-type': 'raw'},
    'lease-database': {type: 'memfile', name: join(lab.dir, `${name}.leases`)},
    'valid-lifetime': LEASE_S,
    subnet4: [{id: 1, subnet: '10.9.0.0/24', 'option-data': routers, reservations}],
    loggers: [{name: 'kea-dhcp4', severity: 'INFO', output_options: [{output: 'stdout', flush: true}]}],
    ...more,
  }
  const file = join(lab.dir, `${name}.conf`)
  writeFileSync(file, JSON.stringify({Dhcp4: config}))
  const places = [`KEA_PIDFILE_DIR=${lab.dir}`, `KEA_LOCKFILE_DIR=${lab.dir}`]
  const child = lab.start({...lab.server, ...server}, name, 'env', ...places, 'kea-dhcp4', '-c', file)
  const said = () => textOf(join(lab.dir, `${name}.log`))
  await until(() => said().includes('DHCP4_STARTED'), said)
  return {process: child, said}
}

export async function startPlainDhcpd(lab: DhcpLab): Promise<void> {
  const {dir, server, client} = lab
  const config = `authoritative;
default-lease-time ${LEASE_S};
subnet 10.9.0.0 netmask 255.255.255.0 { option routers ${ROUTER}; }
host web-07 { hardware ethernet ${client.mac}; fixed-address ${VM_IP}; }
`
  writeFileSync(join(dir, 'dhcpd.conf'), config)
  writeFileSync(join(dir, 'dhcpd.leases'), '')
  chmodSync(dir, 0o755)
  const files = ['-cf', join(dir, 'dhcpd.conf'), '-lf', join(dir, 'dhcpd.leases')]
  // By its path: an npm package has a program of the same name.
  lab.start(server, 'dhcpd', '/usr/sbin/dhcpd', '-4', '-d', '--no-pid', ...files, server.interface)
  const said = () => textOf(join(dir, 'dhcpd.log'))
  await until(() => said().includes('Server starting service'), said)
}
