// The shim at a bridge that keeps VLANs apart: servers beyond a trunk, a VM at an access port and one that tags itself. In
// a guest with Debian's kernel, since not every kernel has VLANs.
//
//   va  eth0      -- (PVID 100)             (tagged)   trunk.100  dnsmasq  far-a
//                               br0 == dci -----------
//   vb  eth0.200  -- (tagged)               (tagged)   trunk.200  dnsmasq  far-b
import {describe, expect, it} from 'vitest'
import {BRIDGE_MODULES, type GuestImage} from '../../src/lab/guest/image.ts'
import {agentGuestBase, GUEST_ETC} from '../../src/lab/guest/node-image.ts'
import {useHostInGuest} from '../support/host-in-guest.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {eventually} from '../support/until.ts'

const needed = ['nft', 'dnsmasq']
const present = await Promise.all(needed.map(hasProgram))
const absent = needed.find((_, i) => !present[i])
const base = noNamespaces ?? (absent === undefined ? await agentGuestBase() : `${absent} is not installed`)

const segment = (name: string, net: string): string => `
  ${name}:
    prefix: ${net}.0/24
    gateways:
      - { name: ${name}-x, site: x, ip: ${net}.2, mac: "02:00:00:00:0a:01" }
      - { name: ${name}-y, site: y, ip: ${net}.3, mac: "02:00:00:00:0b:01" }`
const INVENTORY = `version: 1
sites: { x: {}, y: {} }
segments:${segment('tenant-a', '10.1.0')}${segment('tenant-b', '10.2.0')}
vms:
  va: { segment: tenant-a, ip: 10.1.0.10, mac: "02:00:00:00:01:10" }
  vb: { segment: tenant-b, ip: 10.2.0.10, mac: "02:00:00:00:02:10" }
`

const SETUP = `
echo 'root:x:0:0::/:/bin/sh' >/etc/passwd
echo 'root:x:0:' >/etc/group
for ns in sw far far-a far-b va vb; do ip netns add $ns; ip -n $ns link set lo up; done
ip -n sw link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 stp_state 0 mcast_snooping 0
ip -n sw link set br0 up
plug() { ip -n sw link add $3 type veth peer name $2 netns $1; ip -n sw link set $3 master br0 up; ip -n $1 link set $2 up; }
plug far trunk dci
plug va eth0 va
plug vb eth0 vb
for vid in 100 200; do bridge -n sw vlan add dev dci vid $vid; done
bridge -n sw vlan add dev va vid 100 pvid untagged
bridge -n sw vlan add dev vb vid 200
ip -n va link set eth0 address 02:00:00:00:01:10
ip -n vb link set eth0 address 02:00:00:00:02:10
ip -n vb link add link eth0 name eth0.200 type vlan id 200
ip -n vb link set eth0.200 up
serve() {
  ip -n far link add link trunk name trunk.$2 type vlan id $2
  ip -n far link set trunk.$2 netns far-$1
  ip -n far-$1 link set trunk.$2 up
  ip -n far-$1 address add $3.1/24 dev trunk.$2
  ip netns exec far-$1 dnsmasq -C /dev/null --port=0 -u root -g root -i trunk.$2 -x /tmp/$1.pid -l /tmp/$1.leases \\
    --dhcp-authoritative --no-ping -F $3.0,static,255.255.255.0,3600 -G 02:00:00:00:0$4:10,$3.10 -O option:router,$3.2
}
serve a 100 10.1.0 1
serve b 200 10.2.0 2
printf '#!/bin/sh\\n[ "$1" != bound ] || echo "$router"\\n' >/tmp/told
chmod +x /tmp/told
`
const CLIENT = 'lease() { ip netns exec $1 busybox udhcpc -i $2 -n -q -f -t 4 -T 3 -s /tmp/told 2>/dev/null; }'
const LEASE = `${CLIENT}
lease va eth0; lease vb eth0.200`
// Where the guest gets too little of a CPU for two seconds, the shim's rule lapses, and a reply passes as it is.
const LEASE_BY_SHIM = `${CLIENT}
shimmed() { for i in 1 2 3; do told=$(lease $1 $2); [ "$told" = $3 ] && break; done; echo "$told"; }
shimmed va eth0 10.1.0.3; shimmed vb eth0.200 10.2.0.3`
const SHIM = `ip netns exec sw gwswitch serve dhcp-shim y -i dci --poll 30 -f ${GUEST_ETC}/gwswitch.yaml >/dev/null 2>/tmp/shim &
echo $! >/tmp/shim.pid
for i in $(seq 300); do grep -q event=ready /tmp/shim && exit; sleep 0.2; done; cat /tmp/shim; exit 1`

// A hypervisor of site x in between, where the VMs are first:  va, vb -- sw2 -- dci; sw -- isl == isl -- sw2
const SECOND = `
ip netns add sw2; ip -n sw2 link set lo up
ip -n sw2 link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0 stp_state 0 mcast_snooping 0
ip -n sw2 link set br0 up
ip -n sw link add isl type veth peer name isl netns sw2
ip -n sw link set dci netns sw2
move() { ip -n $1 link set $3 netns $2; join $2 $3 "$4"; }
join() { ip -n $1 link set $2 master br0 up; for vid in $3; do bridge -n $1 vlan add dev $2 vid $vid; done; }
join sw isl '100 200'; join sw2 isl '100 200'; join sw2 dci '100 200'
to() { move $2 $1 va ''; bridge -n $1 vlan add dev va vid 100 pvid untagged; move $2 $1 vb 200; }
to sw2 sw
(umask 077; echo 'a secret that the shims of both sites have' >/tmp/key)
shim() {
  ip netns exec $1 gwswitch serve dhcp-shim $2 $3 --key /tmp/key -f ${GUEST_ETC}/gwswitch.yaml >/dev/null 2>/tmp/shim-$2 &
  echo $! >>/tmp/shims
  for i in $(seq 300); do grep -q event=ready /tmp/shim-$2 && return; sleep 0.2; done; cat /tmp/shim-$2; exit 1
}
shim sw2 x '-i dci -i isl --control /tmp/x.sock'
shim sw y '-i isl'
${LEASE}
to sw sw2
ip -n va address add 10.1.0.10/24 dev eth0; ip netns exec va ping -c 1 -W 5 10.1.0.1 >/dev/null
ip -n vb address add 10.2.0.10/24 dev eth0.200; ip netns exec vb ping -c 1 -W 5 10.2.0.1 >/dev/null
`
/** Refused, by what the shim here says of the client: the inventory names no server. */
const KNOWN = (vm: string): string =>
  `ip netns exec sw gwswitch send-reconfigure ${vm} -i ${vm} --dry-run --state /tmp/state.db -f ${GUEST_ETC}/gwswitch.yaml`

describe.skipIf(typeof base === 'string')(
  `the shim at a bridge with VLANs${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
    const host = useHostInGuest(base as GuestImage, {
      ...{modules: BRIDGE_MODULES, programs: ['nft', 'bridge', 'dnsmasq'], setup: SETUP},
      files: {'gwswitch.yaml': INVENTORY},
    })

    it('gives a VM at an access port and one that tags itself this site’s gateway, each in its own form', async () => {
      expect((await host.sh(LEASE)).stdout.split('\n')).toEqual(['10.1.0.2', '10.2.0.2', ''])
      const started = await host.sh(SHIM)
      expect(started.code, started.stdout + started.stderr).toBe(0)
      const told = await host.sh(LEASE_BY_SHIM)
      const log = (await host.sh('cat /tmp/shim')).stdout
      expect(told.stdout.split('\n'), log).toEqual(['10.1.0.3', '10.2.0.3', ''])
      expect(log).toMatch(/type=DHCPACK vm=va ip=10\.1\.0\.10 router=10\.1\.0\.2>10\.1\.0\.3 .*port=va\b/)
      expect(log).toMatch(/type=DHCPACK vm=vb ip=10\.2\.0\.10 router=10\.2\.0\.2>10\.2\.0\.3 .*port=vb\b/)
      const after = 'kill $(cat /tmp/shim.pid); while kill -0 $(cat /tmp/shim.pid) 2>/dev/null; do sleep 0.1; done'
      expect(await host.sh(`${after}; ip netns exec sw nft list ruleset`)).toMatchObject({code: 0, stdout: ''})
      expect((await host.sh(LEASE)).stdout.split('\n')).toEqual(['10.1.0.2', '10.2.0.2', ''])
    }, 300_000)

    it('asks the shim of the other hypervisor in each VM’s own VLAN', async () => {
      const built = await host.sh(SECOND)
      expect(built, built.stderr).toMatchObject({code: 0, stdout: '10.1.0.2\n10.2.0.2\n'})
      for (const vm of ['va', 'vb']) {
        // The other shim has 0.3 s to answer, of a guest that may have to wait for its turn as long.
        await eventually(async () => {
          const asked = await host.sh(KNOWN(vm))
          expect(asked.stderr, asked.stdout).toContain(`${vm} runs udhcpc`)
        }, 60_000)
      }
      await host.sh('kill $(cat /tmp/shims)')
    }, 300_000)
  },
)
