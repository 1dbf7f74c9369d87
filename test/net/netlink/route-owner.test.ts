import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {afterAll, expect, it} from 'vitest'
import {routeOwner} from '../../../src/net/netlink/route-owner.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-owner-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))
let count = 0

it.each<[string | undefined, string, number, Record<string, string>]>([
  [
    'networkd',
    'configures the link',
    4,
    {'run/systemd/netif/links/2': 'ADMIN_STATE=configured\nOPER_STATE=routable\n'},
  ],
  ['networkd', 'is at it', 4, {'run/systemd/netif/links/2': 'ADMIN_STATE=configuring\n'}],
  [undefined, 'networkd does not manage the link', 4, {'run/systemd/netif/links/2': 'ADMIN_STATE=unmanaged\n'}],
  [undefined, 'networkd manages another link', 4, {'run/systemd/netif/links/3': 'ADMIN_STATE=configured\n'}],
  ['NetworkManager', 'manages the device', 4, {'run/NetworkManager/devices/2': '[device]\nmanaged=true\n'}],
  [undefined, 'NetworkManager does not', 4, {'run/NetworkManager/devices/2': '[device]\nmanaged=false\n'}],
  ['dhcpcd', 'runs for the link', 16, {'run/dhcpcd/eth0.pid': '71\n', 'proc/71/comm': 'dhcpcd\n'}],
  ['dhcpcd', 'runs for all', 16, {'run/dhcpcd/pid': '71\n', 'proc/71/comm': 'dhcpcd\n'}],
  [
    undefined,
    'dhcpcd ran once, and its pid is another now',
    3,
    {'run/dhcpcd/eth0.pid': '71\n', 'proc/71/comm': 'bash\n'},
  ],
  ['dhclient', 'runs for the link', 3, {'run/dhclient.eth0.pid': '72\n', 'proc/72/comm': 'dhclient\n'}],
  [undefined, 'dhclient runs for another link', 3, {'run/dhclient.eth1.pid': '72\n', 'proc/72/comm': 'dhclient\n'}],
  ['dhcp', 'nobody is known, but the route came by DHCP', 16, {}],
  ['ra', 'it came by router advertisement', 9, {}],
  [undefined, 'a script made it', 3, {}],
])('the owner is %s: %s', (owner, _why, protocol, files) => {
  const root = join(scratch, String(count++))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), {recursive: true})
    writeFileSync(join(root, path), text)
  }
  expect(routeOwner({index: 2, name: 'eth0'}, protocol, {run: join(root, 'run'), proc: join(root, 'proc')})).toBe(owner)
})
