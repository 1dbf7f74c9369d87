#!/bin/sh
# Records every capture of this folder anew, from the real programs, in network namespaces that this script makes and
# removes. Needs root and, on Debian, the packages
#   iproute2 iputils-arping iputils-ping traceroute tcpdump dnsmasq-base dhcpcd-base udhcpc ethtool
#   busybox python3-scapy
# What recorded what is told in README.md.
#
#   sh record.sh [FOLDER]      writes to FOLDER, by default the folder of this script
set -eu

folder=$(CDPATH= cd -- "${1:-$(dirname -- "$0")}" && pwd)
work=$(mktemp -d)
prefix="gwcap$$"
host="$prefix-host" vm="$prefix-vm" rx="$prefix-rx" ry="$prefix-ry" user="$prefix-user" sw="$prefix-sw"

clean() {
  trap '' INT TERM
  for file in "$work"/*.pid; do
    [ -e "$file" ] && kill "$(cat "$file")" 2>/dev/null || true
  done
  for ns in "$host" "$vm" "$rx" "$ry" "$user" "$sw"; do ip netns delete "$ns" 2>/dev/null || true; done
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

# In the background, call ip itself: then $! is the program.
in_ns() { ns=$1; shift; ip netns exec "$ns" "$@"; }

# wire NAMESPACE INTERFACE MAC: a cable from an interface of NAMESPACE to the switch. Checksums are computed before the
# frame leaves, as a cable needs them: between virtual interfaces the kernel would leave them out.
wire() {
  port="to-${1##*-}"
  ip link add "$2" netns "$1" address "$3" type veth peer name "$port" netns "$sw"
  in_ns "$sw" ip link set "$port" master br0 up
  in_ns "$1" ethtool -K "$2" tx off gso off tso off >/dev/null
  in_ns "$1" ip link set "$2" up
}

for ns in "$host" "$vm" "$rx" "$ry" "$user" "$sw"; do
  ip netns add "$ns"
  in_ns "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
  in_ns "$ns" ip link set lo up
done

# One segment, 10.0.0.0/24, two gateways on it; ry leads on to a user, over a link that takes only 1280 bytes.
in_ns "$sw" ip link add br0 type bridge stp_state 0 mcast_snooping 0
in_ns "$sw" ip link set br0 up
wire "$host" eth0 02:00:00:00:00:01
wire "$vm" eth0 02:00:00:00:00:10
wire "$rx" eth0 02:00:00:00:0a:01
wire "$ry" eth0 02:00:00:00:0b:01
ip link add eth1 netns "$ry" address 02:00:00:00:0b:02 type veth peer name eth0 netns "$user" address 02:00:00:00:0c:01
in_ns "$ry" ip link set eth1 mtu 1280 up
in_ns "$user" ip link set eth0 mtu 1280 up

in_ns "$vm" ip address add 10.0.0.10/24 dev eth0
in_ns "$rx" ip address add 10.0.0.1/24 dev eth0
in_ns "$ry" ip address add 10.0.0.2/24 dev eth0
in_ns "$ry" ip address add 203.0.113.1/24 dev eth1
in_ns "$user" ip address add 203.0.113.10/24 dev eth0
in_ns "$user" ip route add default via 203.0.113.1
in_ns "$vm" ip route add default via 10.0.0.2
in_ns "$rx" ip route add 203.0.113.0/24 via 10.0.0.2
in_ns "$ry" ip route add prohibit 198.51.100.13/32
in_ns "$ry" ip route add unreachable 198.51.100.1/32
for ns in "$rx" "$ry" "$user"; do
  # Every error, not one a second: the captures shall not depend on the pace.
  in_ns "$ns" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0
done
in_ns "$vm" sysctl -qw net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.eth0.accept_redirects=0
# Routers that know RFC 5837 name the interface a packet came in by. Kernels that do not have no such setting.
in_ns "$ry" sysctl -qw net.ipv4.icmp_errors_extension_mask=1 2>/dev/null || true

# until_says TEXT FILE: waits, 30 s at most, until a program has logged that it is ready.
until_says() {
  tries=0
  until grep -q "$1" "$2" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat "$2" >&2; exit 1; }
    sleep 0.1
  done
}

# record NAME NAMESPACE INTERFACE FILTER [TCPDUMP OPTIONS]: starts a capture; `stop` ends it.
record() {
  name=$1 ns=$2 interface=$3 filter=$4
  shift 4
  rm -f "$work/tcpdump.log"
  ip netns exec "$ns" tcpdump -i "$interface" -Z root -U --immediate-mode -w "$work/$name.pcap" "$@" "$filter" 2>"$work/tcpdump.log" &
  echo $! >"$work/tcpdump.pid"
  until_says 'listening on' "$work/tcpdump.log"
}
stop() {
  sleep 0.5
  kill "$(cat "$work/tcpdump.pid")"
  wait "$(cat "$work/tcpdump.pid")" || true
  rm "$work/tcpdump.pid"
  mv "$work/$name.pcap" "$folder/$name.pcap"
  echo "$name.pcap: $(tcpdump -r "$folder/$name.pcap" 2>/dev/null | wc -l) frames"
}
forget() { for ns in "$vm" "$rx" "$ry" "$user"; do in_ns "$ns" ip neigh flush all 2>/dev/null || true; done; }
# The programs below fail on purpose now and then: nobody answers, or the answer is an error.
try() { in_ns "$@" >/dev/null 2>&1 || true; }

record arping "$rx" eth0 arp
try "$rx" arping -q -U -c 2 -I eth0 10.0.0.1
try "$rx" arping -q -A -c 2 -I eth0 10.0.0.1
try "$rx" arping -q -c 2 -I eth0 10.0.0.10
try "$rx" arping -q -D -c 1 -w 1 -I eth0 10.0.0.77
stop

forget
record ping "$vm" eth0 'arp or icmp or (ip[6:2] & 0x3fff != 0)'
try "$vm" ping -c 2 -i 0.3 203.0.113.10
try "$vm" ping -c 1 -W 1 -t 1 203.0.113.10
try "$vm" ping -c 1 -W 1 -M 'do' -s 1400 203.0.113.10
try "$vm" ping -c 1 -W 1 -M dont -s 3000 10.0.0.2
try "$vm" ping -c 2 -i 1.1 -W 1 198.51.100.1
try "$vm" ping -c 1 -W 1 198.51.100.13
try "$vm" ping -c 1 -W 4 203.0.113.99
try "$vm" ping -c 1 -W 1 -T tsonly 10.0.0.2
try "$vm" ping -c 1 -W 1 -R 203.0.113.10
try "$vm" ping -c 1 -W 1 -Q 0xb9 10.0.0.2
stop

forget
record traceroute "$vm" eth0 ip
try "$vm" traceroute -n -q 2 -N 1 -m 4 203.0.113.10
try "$vm" traceroute -n -q 1 -N 1 -m 4 -I 203.0.113.10
try "$vm" traceroute -n -q 1 -N 1 -m 4 -T -p 9 203.0.113.10
try "$vm" traceroute -n -q 1 -N 1 -m 1 203.0.113.10 1400
ip netns exec "$user" busybox nc -l -p 80 </dev/null >/dev/null 2>&1 & echo $! >"$work/nc.pid"
sleep 0.3
try "$vm" traceroute -n -q 1 -N 1 -m 4 -T -p 80 203.0.113.10
kill "$(cat "$work/nc.pid")" 2>/dev/null || true
rm "$work/nc.pid"
stop

forget
in_ns "$vm" ip route replace default via 10.0.0.1
record redirect "$vm" eth0 'arp or icmp'
try "$vm" ping -c 2 -i 0.3 203.0.113.10
stop
in_ns "$vm" ip route replace default via 10.0.0.2

# Between virtual interfaces the kernel leaves UDP and TCP checksums to hardware that is not there.
in_ns "$vm" ethtool -K eth0 tx on >/dev/null
forget
record offload "$vm" eth0 'udp or tcp'
try "$vm" traceroute -n -q 1 -N 1 -m 1 -U -p 33434 10.0.0.2
in_ns "$vm" busybox nc -w 1 10.0.0.2 9 </dev/null >/dev/null 2>&1 || true
stop
in_ns "$vm" ethtool -K eth0 tx off >/dev/null

# VLAN 10: ry behind two switches that speak 802.1Q with each other. They are made with scapy, so that a kernel without
# VLANs can record this too; what travels between them comes from ping and from the kernel at either end.
cat >"$work/switch.py" <<'PYTHON'
import sys
from scapy.all import Dot1Q, Ether, bridge_and_sniff

access, trunk, priority = sys.argv[1], sys.argv[2], int(sys.argv[3])


def tag(frame):
    tagged = Ether(dst=frame.dst, src=frame.src) / Dot1Q(vlan=10, prio=priority, type=frame.type) / frame.payload
    return bytes(tagged)


def untag(frame):
    return bytes(Ether(dst=frame.dst, src=frame.src, type=frame[Dot1Q].type) / frame[Dot1Q].payload)


bridge_and_sniff(access, trunk, xfrm12=tag, xfrm21=lambda frame: untag(frame) if Dot1Q in frame else False,
                 store=False, timeout=int(sys.argv[4]))
PYTHON
for ns in "$vm" "$ry"; do
  ip link add eth2 netns "$ns" type veth peer name "vlan-${ns##*-}" netns "$sw"
  in_ns "$ns" ethtool -K eth2 tx off >/dev/null
  in_ns "$sw" ip link set "vlan-${ns##*-}" up
done
in_ns "$vm" ip link set eth2 address 02:00:00:00:01:10
in_ns "$ry" ip link set eth2 address 02:00:00:00:0b:03
ip link add trunk0 netns "$sw" type veth peer name trunk1 netns "$sw"
in_ns "$sw" ip link set trunk0 up
in_ns "$sw" ip link set trunk1 up
in_ns "$vm" ip address add 10.1.0.10/24 dev eth2
in_ns "$ry" ip address add 10.1.0.2/24 dev eth2
for ns in "$vm" "$ry"; do in_ns "$ns" ip link set eth2 up; done
record vlan "$sw" trunk0 'vlan 10' --time-stamp-precision=nano
ip netns exec "$sw" /usr/bin/python3 "$work/switch.py" vlan-vm trunk0 5 14 >"$work/switch.log" 2>&1 &
one=$!
ip netns exec "$sw" /usr/bin/python3 "$work/switch.py" vlan-ry trunk1 0 14 >>"$work/switch.log" 2>&1 &
two=$!
sleep 7
try "$vm" ping -c 1 10.1.0.2
try "$vm" arping -q -A -c 1 -I eth2 10.1.0.10
wait "$one" "$two" || { cat "$work/switch.log" >&2; exit 1; }
stop

# DHCP: dnsmasq at rx, dhcpcd as Debian configures it, with a renewal and a release; then udhcpc, which takes 576 bytes
# only, from a dnsmasq that has more to say than that.
dnsmasq() {
  rm -f "$work/dnsmasq.log"
  ip netns exec "$rx" dnsmasq --keep-in-foreground --log-facility=- --conf-file="$1" --user=root --pid-file= --port=0 --interface=eth0 \
    --bind-interfaces --dhcp-authoritative --no-ping --dhcp-leasefile="$work/leases" >"$work/dnsmasq.log" 2>&1 &
  echo $! >"$work/dnsmasq.pid"
  until_says 'DHCP, IP range' "$work/dnsmasq.log"
}
no_dnsmasq() {
  rm -f "$work/dnsmasq.log"
  kill "$(cat "$work/dnsmasq.pid")"
  wait "$(cat "$work/dnsmasq.pid")" || true
  rm "$work/dnsmasq.pid" "$work/leases"
}
cat >"$work/plain.conf" <<'CONF'
dhcp-range=10.0.0.100,10.0.0.110,255.255.255.0,2m
dhcp-option=option:router,10.0.0.1
dhcp-option=option:dns-server,10.0.0.53,10.0.0.54
dhcp-option=option:domain-name,site-x.example
dhcp-option=option:domain-search,site-x.example,example
dhcp-option=option:classless-static-route,0.0.0.0/0,10.0.0.1,203.0.113.0/24,10.0.0.2
dhcp-option=option:mtu,1450
dhcp-option=option:T1,6
dhcp-option=option:T2,90
CONF
dnsmasq "$work/plain.conf"
cp /etc/dhcpcd.conf "$work/dhcpcd.conf" 2>/dev/null || : >"$work/dhcpcd.conf"
record dhcpcd "$host" eth0 'udp port 67 or udp port 68'
# A mount namespace of its own, so that no lease and no resolver of this machine is touched; no hooks either.
ip netns exec "$host" sh -c "
  mkdir -p /var/lib/dhcpcd /run/dhcpcd
  mount -t tmpfs none /var/lib/dhcpcd
  mount -t tmpfs none /run/dhcpcd
  exec dhcpcd --nobackground --nodev --debug --ipv4only --script /bin/true --config '$work/dhcpcd.conf' eth0" >"$work/dhcpcd.log" 2>&1 &
echo $! >"$work/dhcpcd.pid"
until_says 'renewing lease' "$work/dhcpcd.log"
sleep 1
kill -ALRM "$(cat "$work/dhcpcd.pid")" # release
wait "$(cat "$work/dhcpcd.pid")" 2>/dev/null || true
rm "$work/dhcpcd.pid"
stop
no_dnsmasq

{
  sed '/domain-search/d' "$work/plain.conf"
  echo "dhcp-option=option:domain-search,$(seq -s, -f 'department-%02g.site-x.example' 12)"
  echo "dhcp-option=option:ntp-server,$(seq -s, -f '10.0.0.%g' 60 104)"
  echo 'dhcp-option-force=option:root-path,/srv/diskless/a-rather-long-path-to-the-root-of-a-machine'
} >"$work/long.conf"
dnsmasq "$work/long.conf"
record udhcpc "$host" eth0 'udp port 67 or udp port 68'
try "$host" udhcpc -i eth0 -f -q -n -s /bin/true -O search -O ntpsrv -O staticroutes -O rootpath
stop
no_dnsmasq
