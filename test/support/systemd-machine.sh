#!/bin/sh
# A machine with systemd as its first process, in namespaces of its own: the files are this machine's, seen through an overlay
# that is thrown away, the network is that of whoever starts it. No unit of this machine runs in it.
#
#   systemd-machine.sh SCRATCH REPOSITORY NODE
#
# SCRATCH is an empty folder; REPOSITORY is seen as /opt/gwswitch, NODE as /opt/node.
set -eu
case $1 in
  --in-group)
    # Moved by itself, so that what waits for it is not in its group.
    shift
    echo $$ >"$1/cgroup.procs"
    shift
    exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup "$0" --inside "$@"
    ;;
  --inside)
    shift
    ;;
  *)
    group=$1/group
    mkdir "$group"
    mount -t cgroup2 none "$group"
    own=$group/gwswitch-systemd-$$
    mkdir "$own"
    "$0" --in-group "$own" "$@" &
    machine=$!
    trap 'kill -KILL $machine' TERM INT
    wait "$machine" || true
    # Those that it had are in it for a moment longer.
    for second in 1 2 3 4 5; do
      find "$own" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [ -d "$own" ] || break
      sleep 1
    done
    umount "$group"
    exit
    ;;
esac

scratch=$1
root=$scratch/layers/root
mkdir "$scratch/layers"
mount -t tmpfs -o mode=755 none "$scratch/layers"
mkdir "$scratch/layers/upper" "$scratch/layers/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$scratch/layers/upper,workdir=$scratch/layers/work" none "$root"
cd "$root"
rm -rf lib/systemd/system/*.wants usr/lib/systemd/system/*.wants etc/systemd/system/* etc/gwswitch var/lib/gwswitch var/lib/private
: >etc/fstab
printf '[Unit]\nDescription=Nothing but what a test starts\n' >etc/systemd/system/bare.target
mkdir -p opt/gwswitch
mount --rbind "$2" opt/gwswitch
: >opt/node
mount --bind "$3" opt/node
mount -t proc -o nosuid,nodev,noexec proc proc
# What is set there is the whole machine's.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o nosuid,nodev,noexec,ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o nosuid,mode=755 tmpfs dev
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs tmp
mkdir dev/pts dev/shm run/lock
mount -t devpts -o nosuid,noexec,newinstance,mode=620,gid=5,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs dev/shm
device() {
  mknod -m 666 "dev/$1" c "$2" "$3"
}
device null 1 3
device zero 1 5
device full 1 7
device random 1 8
device urandom 1 9
device tty 5 0
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
# As systemd does it itself where it takes the machine for a real one: credentials are mounted in a namespace of their own.
mount --make-rshared /
exec env -i container=gwswitch PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=bare.target --log-target=journal --show-status=no
