// A trunk between two sites that carries two tenants in a VLAN each, with the same gateway address: in a guest with Debian's
// kernel, since not every kernel has VLANs.
//
//   va 10.1.0.10 -- (PVID 100)             (tagged)   trunk.100 10.1.0.254  far-a
//                              br0 == dci -----------
//   vb 10.1.0.10 -- (PVID 200)             (tagged)   trunk.200 10.1.0.254  far-b
import {describe, expect, it} from 'vitest'
import {agentGuestBase, GUEST_ETC} from '../support/agent-guest.ts'
import {useHostInGuest} from '../support/host-in-guest.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {BRIDGE_MODULES, type GuestImage} from '../support/qemu-guest.ts'

const base = noNamespaces ?? ((await hasProgram('nft')) ? await agentGuestBase() : 'nft is not installed')

const segment = (name: string, vlan: number, octet: string): string => `
  ${name}:
    prefix: 10.1.0.0/24
    vlan: ${vlan}
    ports: [dci]
    gateways:
      - { name: ${name}-x, site: x, ip: 10.1.0.254, mac: "02:00:00:00:${octet}:01", ownIp: 10.1.0.252 }
      - { name: ${name}-y, site: y, ip: 10.1.0.254, mac: "02:00:00:00:${octet}:02", ownIp: 10.1.0.253 }`
const INVENTORY = `version: 1
sites: { x: {}, y: {} }
segments:${segment('tenant-a', 100, '0a')}${segment('tenant-b', 200, '0b')}
`

const SETUP = `
for ns in sw far far-a far-b va vb; do ip netns add $ns; ip -n $ns link set lo up; done
ip -n sw link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 stp_state 0 mcast_snooping 0
ip -n sw link set br0 up
plug() { ip -n sw link add $3 type veth peer name $2 netns $1; ip -n sw link set $3 master br0 up; ip -n $1 link set $2 up; }
plug far trunk dci
plug va eth0 va
plug vb eth0 vb
for vid in 100 200; do bridge -n sw vlan add dev dci vid $vid; done
bridge -n sw vlan add dev va vid 100 pvid untagged
bridge -n sw vlan add dev vb vid 200 pvid untagged
tenant() {
  ip -n far link add link trunk name trunk.$2 type vlan id $2
  ip -n far link set trunk.$2 netns far-$1
  ip -n far-$1 link set trunk.$2 address 02:00:00:00:0$1:01 up
  ip -n far-$1 address add 10.1.0.252/24 dev trunk.$2
  ip -n far-$1 address add 10.1.0.254/32 dev trunk.$2
  ip -n v$1 address add 10.1.0.10/24 dev eth0
}
tenant a 100
tenant b 200
`

describe.skipIf(typeof base === 'string')(
  `a filter on a trunk of two tenants with one gateway address${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
    const host = useHostInGuest(base as GuestImage, {
      ...{modules: BRIDGE_MODULES, programs: ['nft', 'bridge', 'unshare'], setup: SETUP},
      files: {'gwswitch.yaml': INVENTORY},
    })
    /** Which tenants' VMs reach the gateway of the other site by ARP. */
    const reaches = async (): Promise<string[]> => {
      const ask = 'ip netns exec v$t arping -q -f -w 2 -I eth0 10.1.0.254 && echo $t || :'
      return (await host.sh(`for t in a b; do ${ask}; done`)).stdout.split('\n').filter(Boolean)
    }
    const filter = async (words: string): Promise<void> => {
      const {code, stderr} = await host.sh(`ip netns exec sw gwswitch filter ${words} -f ${GUEST_ETC}/gwswitch.yaml`)
      expect(code, stderr).toBe(0)
    }

    it('is needed: without one both reach it', async () => {
      expect(await reaches()).toEqual(['a', 'b'])
    }, 60_000)

    it('is about one VLAN alone, and a second stands beside it', async () => {
      await filter('apply --segment tenant-a')
      expect(await reaches()).toEqual(['b'])
      await filter('apply --segment tenant-b')
      expect(await reaches()).toEqual([])
      await filter('remove --segment tenant-a')
      expect(await reaches()).toEqual(['a'])
      await filter('remove')
      expect(await reaches()).toEqual(['a', 'b'])
    }, 300_000)

    it('is about one VLAN alone at the port itself, too', async () => {
      await filter('apply --segment tenant-a --hook netdev')
      expect(await reaches()).toEqual(['b'])
      await filter('remove')
      expect(await reaches()).toEqual(['a', 'b'])
    }, 300_000)
  },
)
