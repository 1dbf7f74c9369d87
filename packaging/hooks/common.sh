# Whatever waits for this hook goes on at once, and finds exit code 0: no migration is held up or failed by it. What takes
# time is done by a process of its own, which this script starts from itself.
trap 'exit 0' HUP INT TERM
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
STATE=/run/gwswitch-hook
umask 077

have() { command -v "$1" >/dev/null 2>&1; }

bounded() { if have timeout; then timeout 60 "$@"; else "$@"; fi; }

note() { have logger && bounded logger -t gwswitch-hook -- "$*" 2>/dev/null; }

# For "gwswitch hook status": when it was called last.
called() {
  [ -d "$STATE" ] || mkdir -p "$STATE" 2>/dev/null
  echo 2>/dev/null >"$STATE/$KIND"
}

# Of several processes that watch one VM (a migration was cancelled, and begun again) the newest alone acts.
claim() { echo 2>/dev/null "$$" >"$STATE/vm-$1" && echo "$$"; }
newest() { [ -z "$2" ] || [ "$(cat "$STATE/vm-$1" 2>/dev/null)" = "$2" ]; }
unclaim() { [ -n "$2" ] && newest "$1" "$2" && rm -f "$STATE/vm-$1"; }

# This script again, in a session of its own and with nothing of the caller's open: libvirt reads what a hook writes to
# its end.
detach() {
  if have setsid; then set -- setsid sh "$0" --detached "$@"; else set -- sh "$0" --detached "$@"; fi
  "$@" </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
}

# One line to the service, and its answer; false where nobody answered within 3 s. By whatever this host has.
ask() {
  [ -S "$SOCKET" ] || return 1
  if have perl; then
    perl -e 'use Socket; alarm 3; $SIG{PIPE} = "IGNORE"; socket(my $s, PF_UNIX, SOCK_STREAM, 0) or exit 1;
      connect($s, sockaddr_un($ARGV[0])) or exit 1; syswrite($s, "$ARGV[1]\n"); my $a = "";
      while ($a !~ /\n/) { sysread($s, $a, 65536, length $a) or last } print $a' "$SOCKET" "$1"
  elif have python3; then
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(3); s.connect(sys.argv[1]); s.sendall((sys.argv[2] + "\n").encode())
print(s.makefile().readline(), end="")' "$SOCKET" "$1"
  elif have socat; then
    echo "$1" | socat -t3 -T3 - "UNIX-CONNECT:$SOCKET"
  elif have ncat; then
    echo "$1" | ncat -U -i 3s "$SOCKET"
  elif have nc; then
    case $(nc -h 2>&1) in
      *-N*hutdown*) echo "$1" | nc -N -U -w 3 "$SOCKET" ;;
      *) echo "$1" | nc -U -w 3 "$SOCKET" ;;
    esac
  fi 2>/dev/null
}

# True if the service answered, whatever it says: then it is the one that acts.
tell() {
  answer=$(ask "$*")
  [ -n "$answer" ] && note "$*: $answer"
  [ -n "$answer" ]
}

tell_each() {
  word=$1
  more=$2
  shift 2
  for nic in "$@"; do tell "$word" "${nic%,*}" $more || return 0; done
}

# arrived VM,PORT ...: the service sees to them; where none answers, a gwswitch of our own does, once each.
arrived() {
  for nic in "$@"; do
    vm=${nic%,*}
    port=${nic##*,}
    tell arrived "$vm" $port || alone "$vm" "$port"
  done
}

alone() {
  set -- switch "$1" --to "$SITE" ${2:+-i "$2"} ${INVENTORY:+--inventory "$INVENTORY"}
  said=$(gwswitch "$@" 2>&1)
  code=$?
  note "gwswitch $*: exit $code: $(echo "$said" | grep '^[^ ]' | tail -n 1)"
}

# MAC,PORT of each interface of a domain's XML; no port where it has none yet.
nics_of_xml() {
  awk -F"'" '/<interface / { inside = 1; mac = port = "" }
    inside && /<mac address=/ && $2 ~ /^[0-9A-Fa-f:]+$/ { mac = $2 }
    inside && /<target dev=/ && $2 ~ /^[A-Za-z0-9_.@-]+$/ { port = $2 }
    /<\/interface>/ { if (mac != "") print mac "," port; inside = 0 }'
}
