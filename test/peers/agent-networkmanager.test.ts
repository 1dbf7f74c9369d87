// NetworkManager with two uplinks and its connectivity check: an overlay does not keep a VM on the one that leads nowhere.
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {FAR4, NEW4, OLD4, type Site, withSite} from '../services/agent/site.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

const missing = !(await hasProgram('NetworkManager')) || !(await hasProgram('dbus-daemon'))
const SECOND = '192.168.77.2'
/** What the check asks for. */
const WEB = `require('node:http').createServer((_, answer) => answer.end('ok\\n')).listen(80, '${FAR4}')`

const BUS = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/>
<allow receive_type="signal"/></policy></busconfig>
`

const connection = (name: string, address: string, gateway: string, metric: number): string =>
  [
    ...['[connection]', `id=${name}`, 'type=ethernet', `interface-name=${name}`, 'autoconnect=true'],
    ...['[ipv4]', 'method=manual', `address1=${address},${gateway}`, `route-metric=${metric}`],
    ...['[ipv6]', 'method=ignore', ''],
  ].join('\n')

/** All of its own: files that it may write to, a bus, and nothing of this machine. */
function startScript(folder: string): string {
  return [
    'set -e; mount -o remount,ro /sys; mount -t tmpfs none /run; mkdir -p /run/dbus /var/lib/NetworkManager',
    'mount -t tmpfs none /var/lib/NetworkManager; mount -t tmpfs none /etc/NetworkManager',
    'mkdir -p /etc/NetworkManager/system-connections',
    `cp ${folder}/NetworkManager.conf /etc/NetworkManager/`,
    `install -m 600 ${folder}/*.nmconnection /etc/NetworkManager/system-connections/`,
    `dbus-daemon --config-file=${folder}/bus.conf --nofork --nopidfile &`,
    'while [ ! -S /run/dbus/system_bus_socket ]; do sleep 0.05; done',
    'export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket',
    'exec NetworkManager --no-daemon',
  ].join('\n')
}

async function startNetworkManager(site: Site) {
  const file = (name: string, text: string): void => writeFileSync(join(site.directory, name), text)
  file('bus.conf', BUS)
  file('eth0.nmconnection', connection('eth0', '10.0.0.10/24', OLD4, 100))
  file('eth1.nmconnection', connection('eth1', '192.168.77.10/24', SECOND, 200))
  file(
    'NetworkManager.conf',
    '[main]\nplugins=keyfile\ndns=none\nno-auto-default=*\n' +
      `[connectivity]\nenabled=true\nuri=http://${FAR4}/ok\nresponse=ok\ninterval=2\n`,
  )
  await site.run('vm', 'ip', 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'vm', 'netns', site.ns('far'))
  await site.run('far', 'ip', 'address', 'add', `${SECOND}/24`, 'dev', 'vm')
  await site.run('far', 'ip', 'link', 'set', 'vm', 'up')
  return site.spawn('vm', 'unshare', '-m', 'sh', '-c', startScript(site.directory))
}

describe.skipIf(noNamespaces || missing)('NetworkManager', () => {
  it('prefers another uplink: the overlay is withdrawn, and comes back with it', {timeout: 120_000}, async () => {
    await withSite({plain: false, config: {probes: [FAR4], windows: {guardS: 0}}}, async (site) => {
      site.spawn('far', process.execPath, '-e', WEB)
      const manager = await startNetworkManager(site)
      const uses = (gateway: string): Promise<void> =>
        until(async () => (await site.gateway()) === gateway, 60_000, `${gateway}\n${manager.log().slice(-2000)}`)
      await uses(OLD4)
      const agent = await site.start({inside: manager.child.pid!})
      expect(await site.ask({gw4: NEW4})).toMatchObject({state: 'confirmed', mode: 'rule'})
      expect(await site.gateway()).toBe(NEW4)
      const forwards = (does: '0' | '1'): void => {
        for (const router of ['r1', 'r2'])
          site.inside(router, () => writeFileSync('/proc/sys/net/ipv4/ip_forward', does))
      }
      forwards('0')
      await uses(SECOND)
      await site.run('vm', 'ping', '-c1', '-W2', FAR4)
      expect(agent.log()).toMatch(/is withdrawn: the default route is that of eth1 now/)
      forwards('1')
      await uses(NEW4)
    })
  })
})
