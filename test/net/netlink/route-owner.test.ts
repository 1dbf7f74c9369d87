import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {afterAll, expect, it} from 'vitest'
import {makeRouteOwner} from '../../../src/net/netlink/route-owner.ts'

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
  ['udhcpc', 'runs for the link', 3, {'proc/73/comm': 'udhcpc\n', 'proc/73/cmdline': 'udhcpc\0-f\0-i\0eth0\0'}],
  ['udhcpc', 'runs as its usual link', 3, {'proc/73/comm': 'udhcpc\n', 'proc/73/cmdline': 'udhcpc\0-f\0'}],
  ['udhcpc', 'is busybox', 3, {'proc/73/comm': 'busybox\n', 'proc/73/cmdline': 'busybox\0udhcpc\0-ieth0\0'}],
  [undefined, 'udhcpc runs for another', 3, {'proc/73/comm': 'udhcpc\n', 'proc/73/cmdline': 'udhcpc\0-i\0eth1\0'}],
  [undefined, 'busybox is a shell', 3, {'proc/73/comm': 'busybox\n', 'proc/73/cmdline': 'busybox\0sh\0'}],
  [
    undefined,
    'udhcpc runs in another namespace',
    3,
    {
      ...{'proc/73/comm': 'udhcpc\n', 'proc/73/cmdline': 'udhcpc\0-i\0eth0\0'},
      ...{'proc/73/net/dev': '', 'proc/self/net/dev': ''},
    },
  ],
  ['dhclient', 'keeps its pid elsewhere', 3, {'proc/74/comm': 'dhclient\n', 'proc/74/cmdline': 'dhclient\0eth0\0'}],
  ['dhcp', 'nobody is known, but the route came by DHCP', 16, {}],
  ['ra', 'it came by router advertisement', 9, {}],
  [undefined, 'a script made it', 3, {}],
])('the owner is %s: %s', (owner, _why, protocol, files) => {
  const root = join(scratch, String(count++))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), {recursive: true})
    writeFileSync(join(root, path), text)
  }
  const ownerOf = makeRouteOwner({run: join(root, 'run'), proc: join(root, 'proc')})
  for (let i = 0; i < 2; i++) expect(ownerOf({index: 2, name: 'eth0'}, protocol)).toBe(owner)
})

it('a client that begins to run, or ends, is noticed', () => {
  const root = join(scratch, String(count++))
  const ownerOf = makeRouteOwner({run: join(root, 'run'), proc: join(root, 'proc')})
  const nic = {index: 2, name: 'eth0'}
  expect(ownerOf(nic, 3)).toBeUndefined()
  mkdirSync(join(root, 'proc/75'), {recursive: true})
  writeFileSync(join(root, 'proc/75/comm'), 'udhcpc\n')
  writeFileSync(join(root, 'proc/75/cmdline'), 'udhcpc\0-i\0eth0\0')
  expect(ownerOf(nic, 3)).toBe('udhcpc')
  rmSync(join(root, 'proc/75'), {recursive: true})
  expect(ownerOf(nic, 3)).toBeUndefined()
})
