#!/bin/sh
# Runs a program in the root of a Debian system that lies in a folder, as on a machine of its own.
# To be started by unshare(1) in a mount and a process namespace of its own: what is mounted here nobody else sees, and
# what is left running ends with it.
#
#   fresh-root.sh FOLDER DIRECTORY PROGRAM [ARGUMENT...]
set -eu
root=$1
shift

# Bound on itself, so that "/" is a mount point, as it is on a machine and is not in a plain chroot.
mount --bind "$root" "$root"
cd "$root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o nosuid,mode=755 tmpfs dev
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
mkdir dev/pts dev/shm dev/net run/lock
mount -t devpts -o nosuid,noexec,newinstance,mode=620,gid=5,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs dev/shm
device() {
  mknod -m "$2" "dev/$1" c "$3" "$4"
}
device null 666 1 3
device zero 666 1 5
device full 666 1 7
device random 666 1 8
device urandom 666 1 9
device tty 666 5 0
device net/tun 666 10 200
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for stream in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${stream#*:}" "dev/${stream%:*}"; done

mkdir -p mnt
pivot_root . mnt
# The first process of its namespace: it takes in orphans, and says which of them outlive the program.
exec chroot . /bin/sh -c '
umount -l /mnt
cd "$1"
shift
"$@"
code=$?
others() {
  for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    [ "$pid" = 1 ] || [ ! -s "$process/cmdline" ] || echo "left running: $pid $(tr "\0" " " <"$process/cmdline")"
  done 2>/dev/null
}
# Those that end by themselves when what they watch ends get a moment for it.
for second in 1 2 3 4 5; do
  [ -n "$(others)" ] || exit "$code"
  sleep 1
done
others >&2
[ "$code" -ne 0 ] || code=1
exit "$code"
' sh "$@"
