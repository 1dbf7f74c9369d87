# Completion of gwswitch for bash. What is offered is gwswitch's own answer, so this file says nothing of its commands.
_gwswitch() {
  local -a lines
  COMPREPLY=()
  mapfile -t lines < <(gwswitch __complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
  case ${lines[0]-} in
    files) compopt -o default ;;
    directories) compopt -o dirnames ;;
    *) COMPREPLY=("${lines[@]:1}") ;;
  esac
}
complete -F _gwswitch gwswitch
