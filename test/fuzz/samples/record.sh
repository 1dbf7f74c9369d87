#!/bin/sh
# Records what ip(8), bridge(8) and nft(8) print, in a network namespace of its own that ends with it. As root:
# sh test/fuzz/samples/record.sh
set -e
[ "$1" = inside ] || cd "$(dirname "$0")"
[ "$1" = inside ] || exec unshare --net sh ./record.sh inside
ip link add br0 address 02:00:00:00:0b:02 type bridge
ip link add port address 02:00:00:00:01:01 type veth peer name guest address 02:00:00:00:01:02
ip link set port master br0
for name in lo br0 port guest; do ip link set "$name" up; done
ip address add 10.0.0.2/24 dev br0
ip route add default via 10.0.0.1 dev br0 proto dhcp metric 100
ip route add 203.0.113.0/24 nexthop via 10.0.0.3 nexthop via 10.0.0.4
ip -6 address add fd00::2/64 dev br0 nodad
ip -6 route add default via fe80::1 dev br0 metric 1024 expires 1800
ip neighbour add 10.0.0.1 lladdr 02:00:00:00:0a:01 dev br0 nud permanent
ip -json -4 neigh show dev br0 >ip-neigh.json
ip -json -4 route show match 203.0.113.9 dev br0 >ip-route-match.json
ip -json -d link show >ip-link.json
ip -4 route show >ip-4-route.txt
ip -6 route show >ip-6-route.txt
nft -f - <<END
table bridge gwswitch {
  set gw4 { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 }; auto-merge; flags interval; }
  set kept4 { type ipv4_addr . ether_addr; elements = { 10.0.0.10 . 02:00:00:00:00:10 } }
  chain gwlocal {
    meta protocol arp arp daddr ip @gw4 counter drop comment "ARP that asks for a gateway"
    ether saddr { 02:00:00:00:0a:01, 02:00:00:00:0b:01 } counter drop
  }
  chain from_dci {
    type filter hook prerouting priority -300; policy accept;
    iifname "port" jump gwlocal
  }
}
END
{
  nft -j --debug=netlink list table bridge gwswitch
  nft list table bridge gwswitch
} >nft-list.txt
