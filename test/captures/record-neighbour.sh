#!/bin/sh
# Records neighbour.pcap: Neighbour Discovery between two Linux kernels, with dnsmasq as the advertising router and a
# redirect to a better first hop. Needs root, iproute2, tcpdump, dnsmasq-base, iputils-ping.
set -e
out=${1:-neighbour.pcap}
host=ndcap-h router=ndcap-r
cleanup() { ip netns pids $host | xargs -r kill; ip netns pids $router | xargs -r kill; ip netns del $host; ip netns del $router; }
ip netns add $host; ip netns add $router
trap cleanup EXIT
ip link add index 41 name eth0 address 02:00:00:00:00:10 netns $host \
  type veth peer index 42 name eth0 address 02:00:00:00:0b:01 netns $router
ip netns exec $router sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.eth0.accept_dad=0
ip -n $host link set eth0 up
ip netns exec $host tcpdump -Z root -U -i eth0 -w "$out" icmp6 2>/dev/null &
capture=$!
sleep 1
ip -n $router link set eth0 up
ip -n $router address add 2001:db8:1::1/64 dev eth0 nodad
ip -n $router route add 2001:db8:9::/64 via fe80::2 dev eth0
ip -n $router neigh add fe80::2 lladdr 02:00:00:00:00:22 dev eth0
ip netns exec $router dnsmasq --keep-in-foreground --port=0 --conf-file=/dev/null --enable-ra \
  --dhcp-range=2001:db8:1::,ra-only,64,600 --interface=eth0 --bind-interfaces --pid-file= --dhcp-leasefile=/dev/null &
sleep 6
ip netns exec $host ping -6 -c2 -W1 2001:db8:1::1 || true
ip netns exec $host ping -6 -c2 -W1 2001:db8:9::1 || true
sleep 1
kill $capture
