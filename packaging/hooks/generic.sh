# For whatever can start a program: expect|arrived|left|cancelled VM|MAC [PORT]. `arrived` when its CPU runs here.
case $1 in
  --detached)
    cd /
    case $2 in
      arrived) arrived "$3,$4" ;;
      expect) tell expect "$3" 3600 ;;
      *) tell "$2" "$3" ;;
    esac
    ;;
  expect | arrived | left | cancelled)
    called
    if [ -n "$2" ]; then detach "$1" "$2" "$3"; else echo >&2 "$0: $1: which VM?"; fi
    ;;
  *) echo >&2 "usage: $0 expect|arrived|left|cancelled VM|MAC [PORT]" ;;
esac
exit 0
