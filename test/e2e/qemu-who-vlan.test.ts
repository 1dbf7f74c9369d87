// `who` on a bridge that keeps VLANs apart, which this machine's kernel may not have: in a guest with Debian's. Two tenants,
// with the same addresses, in VLANs of their own; tenant b at ports of the bridge, tenant c behind a trunk, tagged.
import {describe, expect, it} from 'vitest'
import type {WhoDocument, WhoGateway} from '../../src/domain/who.ts'
import {agentGuestBase, GUEST_ETC} from '../support/agent-guest.ts'
import {useHostInGuest} from '../support/host-in-guest.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {BRIDGE_MODULES, type GuestImage} from '../support/qemu-guest.ts'

const base = noNamespaces ?? (await agentGuestBase())

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
const SETUP = `
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
`

describe.skipIf(typeof base === 'string')(
  `who, on a bridge with VLANs${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
    const host = useHostInGuest(base as GuestImage, {
      ...{modules: BRIDGE_MODULES, programs: ['bridge'], setup: SETUP},
      files: {'gwswitch.yaml': INVENTORY},
    })
    const who = async (words: string) => {
      const flags = `--site y --listen 0 --timeout 8000 --json -f ${GUEST_ETC}/gwswitch.yaml`
      const {stdout, stderr} = await host.sh(`gwswitch who ${words} ${flags} || :`)
      try {
        return JSON.parse(stdout)
      } catch {
        throw new Error(stdout + stderr)
      }
    }
    const rows = ({rows}: WhoDocument) => rows.map(({vm, verdict, uses}) => [vm, verdict, uses?.mac])
    const gateways = (said: WhoDocument) => said.gateways.map(({evidence}: WhoGateway) => evidence)
    const apart = 'br0 keeps VLANs apart, and br0 itself is not in VLAN 200: -i gwc -i trunk are'
    // The gateway is asked through the bridge, where the tag is another than at the port, or cannot be.
    const lives = `nothing beyond by (${B}) could be asked for`

    it('reads through the bridge, which is in one VLAN, tagged, and names the ports of the other', async () => {
      const said = await who('-i br0')
      expect(rows(said)).toEqual([['db-b', 'as-expected', B]])
      expect(said.absent).toEqual([{segment: 'tenant-c', vms: 1, text: apart}])
      expect(said.strangers).toEqual([])
      expect(gateways(said)).toEqual([expect.stringContaining(lives)])
      const refused = await who('--segment tenant-c -i br0')
      expect(refused.error).toMatchObject({kind: 'usage', message: `segment tenant-c: ${apart}`})
    }, 240_000)

    it('reads at a trunk, and at a port that takes the tag off', async () => {
      const trunk = await who('--segment tenant-c -i trunk')
      expect(rows(trunk)).toEqual([['db-c', 'as-expected', C]])
      expect(gateways(trunk)).toEqual([`cy (${C}) could not be asked: br0 itself is not in VLAN 200`])
      const port = await who('db-b -i vmb')
      expect(rows(port)).toEqual([['db-b', 'as-expected', B]])
      expect(gateways(port)).toEqual([expect.stringContaining(lives)])
    }, 240_000)
  },
)
