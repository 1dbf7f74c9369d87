#!/bin/sh
# Records traceroute6.pcap: probes of traceroute and ping over IPv6, and the errors that a router and a user's kernel send
# for them. One probe has extension headers, which the error then quotes. Needs root, iproute2, tcpdump, traceroute,
# iputils-ping, nftables, busybox, python3-scapy.
set -e
out=${1:-traceroute6.pcap}
vm=tr6cap-v router=tr6cap-r user=tr6cap-u
all="$vm $router $user"
cleanup() { for n in $all; do ip netns pids $n | xargs -r kill; ip netns del $n; done; }
for n in $all; do ip netns add $n; done
trap cleanup EXIT
for n in $all; do ip netns exec $n sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 net.ipv6.icmp.ratelimit=0; ip -n $n link set lo up; done
ip link add index 51 name eth0 address 02:00:00:00:00:10 netns $vm \
  type veth peer index 52 name eth0 address 02:00:00:00:0b:01 netns $router
ip link add index 53 name up0 netns $router type veth peer index 54 name eth0 netns $user
ip -n $vm address add 2001:db8:1::10/64 dev eth0 nodad; ip -n $vm link set eth0 up
ip -n $router address add 2001:db8:1::1/64 dev eth0 nodad; ip -n $router link set eth0 up
ip -n $router address add 2001:db8:9::1/64 dev up0 nodad; ip -n $router link set up0 mtu 1280 up
ip -n $user address add 2001:db8:9::10/64 dev eth0 nodad; ip -n $user link set eth0 mtu 1280 up
ip -n $vm -6 route add default via 2001:db8:1::1
ip -n $user -6 route add default via 2001:db8:9::1
ip -n $router -6 route add prohibit 2001:db8:a::/64
at() { n=$1; shift; ip netns exec "$n" "$@"; }
at $vm ping -6 -c1 -W2 2001:db8:9::10 >/dev/null
at $vm tcpdump -Z root -U -i eth0 -w "$out" 'icmp6 and not (ip6[40] > 132) or tcp or udp' 2>/dev/null &
capture=$!
at $user busybox nc -l -p 80 >/dev/null &
sleep 1
at $vm traceroute -6 -n -q1 -N1 2001:db8:9::10 || true
at $vm traceroute -6 -n -q1 -N1 -I 2001:db8:9::10 || true
at $vm traceroute -6 -n -q1 -N1 -T -p 9 2001:db8:9::10 || true
at $vm traceroute -6 -n -q1 -N1 -T -p 80 2001:db8:9::10 || true
at $vm ping -6 -c1 -W1 -M do -s 1400 2001:db8:9::10 || true
at $vm ping -6 -c1 -W1 2001:db8:a::1 || true
at $vm ping -6 -c1 -W1 2001:db8:b::1 || true
at $vm /usr/bin/python3 - <<'PY'
from scapy.all import *
conf.verb = 0
ether = Ether(src='02:00:00:00:00:10', dst='02:00:00:00:0b:01')
options = IPv6ExtHdrHopByHop(options=[PadN(optdata=b'\0' * 4)]) / IPv6ExtHdrDestOpt(options=[PadN(optdata=b'\0' * 4)])
ends = dict(src='2001:db8:1::10', dst='2001:db8:9::10')
sendp(ether / IPv6(hlim=1, **ends) / options / ICMPv6EchoRequest(id=0x7777, seq=3, data=b'x' * 16), iface='eth0')
sendp(ether / IPv6(hlim=1, **ends) / options / UDP(sport=40000, dport=33434) / Raw(b'y' * 16), iface='eth0')
sendp(ether / IPv6(**ends) / IPv6ExtHdrRouting(type=77, segleft=1, addresses=['2001:db8:9::1']) / ICMPv6EchoRequest(), iface='eth0')
PY
sleep 1
kill $capture
wait $capture || true
