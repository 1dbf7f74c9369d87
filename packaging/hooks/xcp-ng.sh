# xapi calls what lies in vm-post-migrate/ with: -vmuuid UUID -reason REASON, on the destination when the VM runs there.
# Another exit code than 0 or 1 makes xapi shut the VM down: this one is always 0.

# MAC,PORT of each interface: netback's vifDOMAIN.DEVICE.
nics() {
  domain=$(bounded xe vm-param-get uuid="$uuid" param-name=dom-id 2>/dev/null)
  bounded xe vif-list vm-uuid="$uuid" params=MAC,device 2>/dev/null |
    awk -v domain="$domain" '$1 == "MAC" { mac = $NF } $1 == "device" { device = $NF }
      mac != "" && device != "" { print mac "," (domain > 0 ? "vif" domain "." device : ""); mac = device = "" }'
}

case $1 in
  --detached)
    cd /
    uuid=$2
    arrived $(nics)
    ;;
  *)
    called
    uuid=
    reason=
    while [ $# -gt 1 ]; do
      case $1 in
        -vmuuid) uuid=$2 ;;
        -reason) reason=$2 ;;
      esac
      shift
    done
    [ -n "$uuid" ] && [ "$reason" = destination ] && detach "$uuid"
    ;;
esac
exit 0
