// `who` on a bridge that keeps VLANs apart, which this machine's kernel may not have: in a guest with Debian's. Two tenants,
// with the same addresses, in VLANs of their own; tenant b at ports of the bridge, tenant c behind a trunk, tagged.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, it} from 'vitest'
import type {WhoDocument, WhoGateway} from '../../src/domain/who.ts'
import {agentGuestBase, agentGuestImage, GUEST_ETC} from '../support/agent-guest.ts'
import {noNamespaces, withPair} from '../support/namespaces.ts'
import {BRIDGE_MODULES, type GuestImage, startGuest} from '../support/qemu-guest.ts'
import {until} from '../support/until.ts'

const base = noNamespaces ?? (await agentGuestBase())
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-vlan-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

const B = '02:00:00:00:0b:02'
const C = '02:00:00:00:0c:02'
const segment = (name: string, vlan: number, mac: string, vm: string): string => `
  tenant-${name}:
    prefix: 10.1.0.0/24
    vlan: ${vlan}
    gateways:
      - { name: ${name}x, site: x, ip: 10.1.0.254, mac: "${vm}:0a" }
      - { name: ${name}y, site: y, ip: 10.1.0.254, mac: "${mac}" }`
const INVENTORY = `
version: 1
sites: {x: {}, y: {}}
segments:${segment('b', 100, B, '02:00:00:00:01')}${segment('c', 200, C, '02:00:00:00:02')}
vms:
  db-b: { segment: tenant-b, ip: 10.1.0.10, mac: "02:00:00:00:01:10" }
  db-c: { segment: tenant-c, ip: 10.1.0.10, mac: "02:00:00:00:02:10" }
`
/** A host behind a port: its own namespace, its address, its way out. */
const host = (name: string, mac: string, ip: string): string => `
ip netns add ${name}
ip link add ${name} type veth peer name eth0 netns ${name} address ${mac}
ip link set ${name} master br0 up
ip -n ${name} link set eth0 up
ip -n ${name} address add ${ip}/24 dev eth0
ip -n ${name} route add default via 10.1.0.254 dev eth0`
const access = (name: string, vlan: number): string => `
bridge vlan del vid 1 dev ${name}
bridge vlan add vid ${vlan} pvid untagged dev ${name}`
const ASKS: Readonly<Record<string, string>> = {
  bridge: '-i br0',
  refused: '--segment tenant-c -i br0',
  trunk: '--segment tenant-c -i trunk',
  port: 'db-b -i vmb',
}
/** busybox's own ip knows nothing of VLAN filtering, and its shell takes that one first. */
const SCRIPT = `
ip() { /sbin/ip "$@"; }
for name in ${BRIDGE_MODULES.join(' ')}; do [ -e /modules/$name.ko ] && insmod /modules/$name.ko; done
ip link add br0 type bridge vlan_filtering 1 forward_delay 0
ip link set br0 up
${host('vmb', '02:00:00:00:01:10', '10.1.0.10')}
${host('gwb', B, '10.1.0.254')}
${host('gwc', C, '10.1.0.254')}
${access('vmb', 100)}
${access('gwb', 100)}
${access('gwc', 200)}
ip netns add vmc
ip link add trunk type veth peer name eth0 netns vmc address 02:00:00:00:02:10
ip link set trunk master br0 up
bridge vlan add vid 100 dev trunk
bridge vlan add vid 200 dev trunk
ip -n vmc link set eth0 up
ip -n vmc link add link eth0 name eth0.200 type vlan id 200
ip -n vmc link set eth0.200 up
ip -n vmc address add 10.1.0.10/24 dev eth0.200
ip -n vmc route add default via 10.1.0.254 dev eth0.200
bridge vlan del vid 1 dev br0 self
bridge vlan add vid 100 dev br0 self
${Object.entries(ASKS)
  .map(
    ([name, words]) =>
      `echo "${name}: $(gwswitch who ${words} --site y --listen 0 --timeout 8000 --json -f ${GUEST_ETC}/gwswitch.yaml | tr -d '\\n')"`,
  )
  .join('\n')}
bridge -j vlan show
echo who is done
`

it.skipIf(typeof base === 'string')(
  `reads through a bridge with VLANs, and names the right ports where it cannot${typeof base === 'string' ? ` (${base})` : ''}`,
  () =>
    withPair(async ({namespace, run}) => {
      await run('ip', 'tuntap', 'add', 'guest', 'mode', 'tap')
      await run('ip', 'link', 'set', 'guest', 'up')
      const files = {'gwswitch.yaml': INVENTORY, 'bridge.sh': SCRIPT}
      const image = await agentGuestImage(base as GuestImage, scratch, files, {
        programs: ['bridge'],
        start: `sh ${GUEST_ETC}/bridge.sh &`,
      })
      const guest = await startGuest(image, {
        ...{namespace, tap: 'guest', mac: '02:00:00:00:09:01', mtu: 1500, address: '10.9.0.3/24', gateway: '10.9.0.1'},
        ...{scratch, name: 'bridge'},
      })
      try {
        await until(async () => guest.console().includes('who is done'), 240_000, 'all is asked')
      } catch (error) {
        throw new Error(`${(error as Error).message}: ${guest.console().slice(-2000)}`)
      } finally {
        await guest.stop()
      }
      const said = (name: string) => JSON.parse(new RegExp(`^${name}: (.*)$`, 'm').exec(guest.console())?.[1] ?? '{}')
      const rows = ({rows}: WhoDocument) => rows.map(({vm, verdict, uses}) => [vm, verdict, uses?.mac])

      // Tagged on the bridge itself, which is in VLAN 100, and not in 200.
      expect(rows(said('bridge'))).toEqual([['db-b', 'as-expected', B]])
      const apart = 'br0 keeps VLANs apart, and br0 itself is not in VLAN 200: -i gwc -i trunk are'
      expect(said('bridge').absent).toEqual([{segment: 'tenant-c', vms: 1, text: apart}])
      expect(said('bridge').strangers).toEqual([])
      expect(said('refused').error).toMatchObject({kind: 'usage', message: `segment tenant-c: ${apart}`})
      expect(rows(said('trunk'))).toEqual([['db-c', 'as-expected', C]])
      expect(rows(said('port'))).toEqual([['db-b', 'as-expected', B]])
      // The gateway is asked through the bridge, where the tag is another than at the port, or cannot be.
      const gateways = (name: string) => said(name).gateways.map(({evidence}: WhoGateway) => evidence)
      const lives = `nothing beyond by (${B}) could be asked for`
      for (const name of ['bridge', 'port']) expect(gateways(name)).toEqual([expect.stringContaining(lives)])
      expect(gateways('trunk')).toEqual([`cy (${C}) could not be asked: br0 itself is not in VLAN 200`])
    }),
  480_000,
)
