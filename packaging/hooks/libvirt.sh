# libvirt calls: NAME OPERATION SUBOPERATION EXTRA, with the domain's XML on standard input (libvirt.org/hooks.html).
# `migrate begin` comes on the destination before anything else of a migration. An empty answer leaves the XML as it is.
# libvirt waits for its hooks: virsh in one hangs for ever, so that it is called by the process that outlives it.

domains() { LC_ALL=C bounded virsh -q -c "$CONNECT" "$@" 2>/dev/null; }

# What libvirt says of all domains for 10 s, and how this one stands: twice, as it may change before anybody listens.
listen() {
  LC_ALL=C sh -c 'echo "feed $$"; exec virsh -q -c "$0" event --event lifecycle --loop --timeout 10' "$CONNECT" 2>/dev/null &
  echo "state $(domains domstate "$name" --reason)"
  echo "state $(domains domstate "$name" --reason)"
  wait
}

# MAC,PORT of what the domain has here; read ahead, so that nothing is left to ask when it runs.
look() {
  case $nics in
    '' | *, | *', '*)
      nics=$(domains domiflist "$name" </dev/null |
        awk '$NF ~ /^..:..:..:..:..:..$/ { printf "%s%s,%s", sep, $NF, ($1 == "-" ? "" : $1); sep = " " }')
      ;;
  esac
}

# 0: its CPU runs here. 1: the migration ended without it. 2: it is under way. 3: libvirt knows of none.
heard() {
  known=3
  feed=
  end=
  while read -r line; do
    case $line in
      "feed "*) feed=${line#feed } ;;
      "state running"* | *" for domain '$name': Resumed "* | *" for domain $name: Resumed "*)
        look
        newest "$name" "$token" && arrived ${nics:-$macs} </dev/null
        end=0
        ;;
      *" for domain '$name': Stopped "* | *" for domain $name: Stopped "* | *" for domain '$name': Crashed "*) end=1 ;;
      "state paused"* | *" for domain '$name': Started "*)
        known=2
        look
        ;;
    esac
    [ -z "$end" ] && continue
    [ -n "$feed" ] && kill "$feed" 2>/dev/null
    return "$end"
  done
  return "$known"
}

watch() {
  token=$1
  name=$2
  shift 2
  macs=$*
  nics=
  have virsh || note "virsh is not installed: whether $name arrives is not seen by the hook"
  tell_each expect 3600 "$@"
  seen=$(date +%s)
  while newest "$name" "$token"; do
    listen | heard
    case $? in
      0) break ;;
      2) seen=$(date +%s) ;;
      3) sleep 1 ;;
      *) seen=0 ;;
    esac
    if [ $(($(date +%s) - seen)) -gt 60 ]; then
      newest "$name" "$token" && tell_each cancelled "" "$@"
      break
    fi
  done
  unclaim "$name" "$token"
}

case $1 in
  --detached)
    shift
    cd /
    watch "$@"
    ;;
  *)
    called
    [ "$2 $3" = 'migrate begin' ] && detach "$(claim "$1")" "$1" $(nics_of_xml)
    ;;
esac
exit 0
