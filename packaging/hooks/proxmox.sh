# Proxmox VE calls: VMID PHASE. `post-start` comes for a VM that is started, and on the destination of a migration, where
# it does not run yet. Which of the two it is no variable says for certain (PVE_MIGRATED_FROM is not set by
# remote-migrate): the service, or the switch itself, looks which gateway the VM uses.

# MAC,PORT of each interface; of the configuration in force, not of the snapshots behind it.
nics() {
  for conf in "/etc/pve/qemu-server/$vmid.conf" /etc/pve/nodes/*/qemu-server/"$vmid.conf"; do
    [ -f "$conf" ] || continue
    sed -n -e '/^\[/q' -e "s/^net\([0-9]*\):.*=\([0-9A-Fa-f:]\{17\}\).*/\2,tap${vmid}i\1/p" "$conf"
    return
  done
}

# What its taps have from it: QEMU announces a VM as soon as it runs. qm takes half a second of the CPU each time.
sent() { cat /sys/class/net/tap"$vmid"i*/statistics/rx_packets 2>/dev/null; }

# Until its taps say something else, and at most 10 s.
pause() {
  rounds=50
  while [ $((rounds -= 1)) -gt 0 ] && [ "$(sent)" = "$1" ]; do sleep 0.2 2>/dev/null || sleep 1; done
}

watch() {
  token=$1
  vmid=$2
  expected=
  seen=$(date +%s)
  while newest "$vmid" "$token"; do
    before=$(sent)
    case $(bounded qm status "$vmid" --verbose 2>/dev/null | sed -n 's/^qmpstatus: *//p') in
      running)
        newest "$vmid" "$token" && arrived $(nics)
        break
        ;;
      stopped) seen=0 ;;
      '') ;;
      *)
        seen=$(date +%s)
        [ -z "$expected" ] && tell_each expect 3600 $(nics)
        expected=yes
        ;;
    esac
    if [ $(($(date +%s) - seen)) -gt 60 ]; then
      [ -n "$expected" ] && newest "$vmid" "$token" && tell_each cancelled "" $(nics)
      break
    fi
    pause "$before"
  done
  unclaim "$vmid" "$token"
}

case $1 in
  --detached)
    shift
    cd /
    watch "$@"
    ;;
  *)
    called
    [ "$2" = post-start ] && detach "$(claim "$1")" "$1"
    ;;
esac
exit 0
