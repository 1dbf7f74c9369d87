// What VLANs change, in a guest with Debian's kernel, since not every kernel has them; one guest for all, which takes long to
// start.
import {describe, expect, it} from 'vitest'
import type {WhoDocument, WhoGateway} from '../../src/domain/who.ts'
import {BRIDGE_MODULES, type GuestImage} from '../../src/lab/guest/image.ts'
import {agentGuestBase, GUEST_ETC} from '../../src/lab/guest/node-image.ts'
import {useHostInGuest} from '../support/host-in-guest.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'

const base = noNamespaces ?? ((await hasProgram('nft')) ? await agentGuestBase() : 'nft is not installed')

// A trunk between two sites that carries two tenants in a VLAN each, with the same gateway address: in a namespace of
// that guest.
//
//   va 10.1.0.10 -- (PVID 100)             (tagged)   trunk.100 10.1.0.254  far-a
//                              br0 == dci -----------
//   vb 10.1.0.10 -- (PVID 200)             (tagged)   trunk.200 10.1.0.254  far-b
const trunkSegment = (name: string, vlan: number, octet: string): string => `
  ${name}:
    prefix: 10.1.0.0/24
    vlan: ${vlan}
    ports: [dci]
    gateways:
      - { name: ${name}-x, site: x, ip: 10.1.0.254, mac: "02:00:00:00:${octet}:01", ownIp: 10.1.0.252 }
      - { name: ${name}-y, site: y, ip: 10.1.0.254, mac: "02:00:00:00:${octet}:02", ownIp: 10.1.0.253 }`
const TRUNK_INVENTORY = `version: 1
sites: { x: {}, y: {} }
segments:${trunkSegment('tenant-a', 100, '0a')}${trunkSegment('tenant-b', 200, '0b')}
`

const TRUNK_SETUP = `
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

// A bridge of that guest that keeps VLANs apart. Two tenants, with the same addresses, in VLANs of their own; tenant b at
// ports of the bridge, tenant c behind a trunk, tagged.
const B = '02:00:00:00:0b:02'
const C = '02:00:00:00:0c:02'
const segment = (name: string, vlan: number, mac: string, vm: string): string => `
  tenant-${name}:
    prefix: 10.1.0.0/24
    vlan: ${vlan}
    gateways:
      - { name: ${name}x, site: x, ip: 10.1.0.254, mac: "${vm}:0a" }
      - { name: ${name}y, site: y, ip: 10.1.0.254, mac: "${mac}" }`
const WHO_INVENTORY = `
version: 1
sites: {x: {}, y: {probes: [203.0.113.1]}}
segments:${segment('b', 100, B, '02:00:00:00:01')}${segment('c', 200, C, '02:00:00:00:02')}
vms:
  db-b: { segment: tenant-b, ip: 10.1.0.10, mac: "02:00:00:00:01:10" }
  db-c: { segment: tenant-c, ip: 10.1.0.10, mac: "02:00:00:00:02:10" }
`
/** A host behind a port: its own namespace, its address, its way out. */
const behindPort = (name: string, mac: string, ip: string): string => `
ip netns add ${name}
ip link add ${name} type veth peer name eth0 netns ${name} address ${mac}
ip link set ${name} master br0 up
ip -n ${name} link set eth0 up
ip -n ${name} address add ${ip}/24 dev eth0
ip -n ${name} route add default via 10.1.0.254 dev eth0`
const access = (name: string, vlan: number): string => `
bridge vlan del vid 1 dev ${name}
bridge vlan add vid ${vlan} pvid untagged dev ${name}`
const WHO_SETUP = `
ip link add br0 type bridge vlan_filtering 1 forward_delay 0
ip link set br0 up
${behindPort('vmb', '02:00:00:00:01:10', '10.1.0.10')}
${behindPort('gwb', B, '10.1.0.254')}
${behindPort('gwc', C, '10.1.0.254')}
ip netns add beyond
ip -n gwb link add up0 type veth peer name eth0 netns beyond
ip -n gwb link set up0 up; ip -n gwb address add 172.16.2.1/30 dev up0
ip -n beyond link set lo up; ip -n beyond link set eth0 up
ip -n beyond address add 172.16.2.2/30 dev eth0; ip -n beyond address add 203.0.113.1/32 dev lo
ip -n beyond route add 10.1.0.0/24 via 172.16.2.1
ip -n gwb route replace default via 172.16.2.2
ip netns exec gwb sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
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
# Another bridge, which has that MAC in another VLAN: a router may have one in all of them.
ip link add br1 type bridge vlan_filtering 1
ip link set br1 up
ip link add p1 type veth peer name p1-end
ip link set p1 master br1 up
bridge vlan add vid 200 dev p1
bridge fdb add ${B} dev p1 master static vlan 200
`

describe.skipIf(typeof base === 'string')(
  `a hypervisor with VLANs${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
    const host = useHostInGuest(base as GuestImage, {
      ...{modules: BRIDGE_MODULES, programs: ['nft', 'bridge', 'unshare', 'nc'], setup: TRUNK_SETUP + WHO_SETUP},
      files: {'trunk.yaml': TRUNK_INVENTORY, 'who.yaml': WHO_INVENTORY},
    })
    describe('that filters a trunk of two tenants with one gateway address', () => {
      /** Which tenants' VMs reach the gateway of the other site by ARP. */
      const reaches = async (): Promise<string[]> => {
        const ask = 'ip netns exec v$t arping -q -f -w 2 -I eth0 10.1.0.254 && echo $t || :'
        return (await host.sh(`for t in a b; do ${ask}; done`)).stdout.split('\n').filter(Boolean)
      }
      const filter = async (words: string): Promise<void> => {
        const {code, stderr} = await host.sh(`ip netns exec sw gwswitch filter ${words} -f ${GUEST_ETC}/trunk.yaml`)
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
      }, 300_000)

      it('is about one VLAN alone at the port itself, too', async () => {
        await filter('apply --segment tenant-b --hook netdev')
        expect((await host.sh('ip netns exec sw nft list tables')).stdout).toMatch(
          /^table netdev gwswitch.tenant-b.dci$/m,
        )
        expect(await reaches()).toEqual(['a'])
      }, 300_000)
    })

    describe('asked by who', () => {
      const who = async (words: string) => {
        const flags = `--site y --listen 0 --timeout 8000 --json -f ${GUEST_ETC}/who.yaml`
        const {stdout, stderr} = await host.sh(`gwswitch who ${words} ${flags} || :`)
        try {
          return JSON.parse(stdout)
        } catch {
          throw new Error(stdout + stderr)
        }
      }
      const rows = ({rows}: WhoDocument) => rows.map(({vm, verdict, uses}) => [vm.name, verdict, uses?.mac])
      const gateways = (said: WhoDocument) => said.gateways.map(({evidence}: WhoGateway) => evidence)
      const apart = 'br0 keeps VLANs apart, and br0 itself is not in VLAN 200: -i gwc -i trunk are'
      // The gateway is asked through the bridge, where the tag is another than at the port, or cannot be.
      const lives = `by (${B}) takes packets on`

      it('reads through the bridge, which is in one VLAN, tagged, and names the ports of the other', async () => {
        const said = await who('-i br0')
        expect(rows(said)).toEqual([['db-b', 'as-expected', B]])
        expect(said.absent).toEqual([{segment: 'tenant-c', vms: 1, text: apart}])
        expect(said.strangers).toEqual([])
        expect(gateways(said)).toEqual([expect.stringContaining(lives)])
      }, 240_000)

      it('reads at a trunk, and at a port that takes the tag off', async () => {
        const trunk = await who('--segment tenant-c -i trunk')
        expect(rows(trunk)).toEqual([['db-c', 'as-expected', C]])
        expect(gateways(trunk)).toEqual([`cy (${C}) could not be asked: br0 itself is not in VLAN 200`])
        const port = await who('db-b -i vmb')
        expect(rows(port)).toEqual([['db-b', 'as-expected', B]])
        expect(gateways(port)).toEqual([expect.stringContaining(lives)])
      }, 240_000)
    })

    describe('that switches a VM', () => {
      const OLD = '02:00:00:00:01:0a'
      const uses = async (): Promise<string | undefined> =>
        (await host.sh('ip -n vmb neigh show 10.1.0.254 dev eth0')).stdout.split(' ')[2]
      const usesOld = () => host.sh(`ip -n vmb neigh replace 10.1.0.254 lladdr ${OLD} dev eth0 nud reachable`)
      const flags = `-f ${GUEST_ETC}/who.yaml`

      it('by its port without a tag, and asks the gateway through the bridge with one', async () => {
        await usesOld()
        // Nothing is begun where nobody was heard in time: everything takes long in there.
        const tried = `gwswitch switch db-b --to y -i vmb --json ${flags} >/run/said`
        const {stdout, stderr} = await host.sh(`for i in 1 2 3; do ${tried} && break; done; cat /run/said`)
        const said = JSON.parse(stdout || stderr)
        expect(said.evidence).toEqual([
          expect.stringContaining('leaves through'),
          expect.stringContaining('takes packets on'),
        ])
        expect(said, stderr).toMatchObject({
          end: 'switched',
          code: 'served',
          plan: {vlan: null, scene: {ask: {vlan: 100}}},
        })
        expect(await uses()).toBe(B)
      }, 240_000)

      it('refuses where the bridge itself is not in the VLAN of the gateway that is asked through it', async () => {
        const {code, stderr} = await host.sh(`gwswitch switch db-c --to y -i trunk ${flags}`)
        expect(stderr).toContain('bridge vlan add vid 200 dev br0 self')
        expect(code).toBe(2)
      }, 240_000)

      it('that has arrived, by the bridge that has its gateway in its VLAN, with the tag of that', async () => {
        await usesOld()
        // In one script: whoever asks the guest often while Node starts in it is not answered.
        const {stdout} = await host.sh(`
gwswitch serve site y --control /run/site.sock --no-journal ${flags} > /run/site.log 2>&1 &
ask() { echo "$1" | /sbin/nc -N -U /run/site.sock 2>/dev/null || :; }
for i in $(seq 120); do ask status | grep -q '"plans":[1-9]' && break; sleep 1; done
ask 'switch db-b'; kill $!; cat /run/site.log >&2`)
        expect(JSON.parse(stdout), stdout).toMatchObject({said: 'switched', code: 'served', vm: 'db-b'})
        expect(await uses()).toBe(B)
      }, 400_000)
    })
  },
)
