#!/bin/sh
# Runs the tests apart from the machine that they run on, in namespaces of their own: its interfaces, routes, packet
# filter, processes and /run are out of reach, and what they change or leave behind is theirs alone and ends with them.
#
#   apart.sh PROGRAM [ARGUMENT...]
set -eu
if [ "$1" != --inside ]; then
  exec 3</proc/self/ns/net
  exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0" --inside "$@"
fi
shift

# The resolver is the machine's file, which DHCP clients like to rewrite: a copy takes its place.
resolver=$(readlink -f /etc/resolv.conf || true)
[ -f "$resolver" ] || resolver=
copy=$(mktemp)
[ -z "$resolver" ] || cat "$resolver" >"$copy"
mount -t tmpfs -o mode=755 none /run
mkdir /run/lock
[ -z "$resolver" ] || {
  cat "$copy" >/run/resolv.conf
  mkdir -p "$(dirname "$resolver")"
  [ -e "$resolver" ] || : >"$resolver"
  mount --bind /run/resolv.conf "$resolver"
}
rm "$copy"
ip link set lo up

# One door to the machine's network, for what has to be downloaded: nsenter --net=/run/machine-net apt-get download ...
: >/run/machine-net
mount --bind /proc/self/fd/3 /run/machine-net
exec 3<&-
# Not by exec: the first process of its namespace takes in orphans, which Node would not.
GWSWITCH_APART=1 "$@"
