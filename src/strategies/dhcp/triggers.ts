// What can make a client ask its server.
import {CARRIER_DOWN_MS} from '../../domain/dhcp/client-kind.ts'
import {Failure} from '../../errors.ts'
import {openGuestAgent} from '../../net/stream/qga.ts'
import {flapLink} from '../../net/vm-link/flap.ts'
import {linkText, type VmLink} from '../../net/vm-link/vm-link.ts'
import type {World} from '../../net/world.ts'
import type {DhcpBackend} from './backends/backend.ts'
import {type CredentialSources, findCredentials} from './credentials.ts'
import {forcerenewMessage} from './forcerenew.ts'
import type {Trigger} from './reconfigure.ts'
import type {OpenSender} from './senders.ts'

/** A FORCERENEW with the xid of now: it changes at every renewal. */
export const forcerenewTrigger = (sender: OpenSender, sources: CredentialSources): Trigger => ({
  async fire(client) {
    const credentials = await findCredentials(client, sources)
    const atNs = await sender.send(client, forcerenewMessage(client, credentials))
    const signed = credentials.key ? '' : ', not signed'
    return {
      atNs,
      text: `FORCERENEW${signed}, xid ${credentials.xid.toString(16).padStart(8, '0')}`,
      source: credentials.source,
    }
  },
})

/**
 * Renews with whatever client runs on the interface of that MAC; says which. dhclient has no way to renew early that
 * keeps its lease. udhcpc gets one signal: a second before its ACK would take the address away.
 */
const RENEW_SCRIPT = `
mac=$1
for path in /sys/class/net/*; do
  if [ "$(cat "$path/address" 2>/dev/null)" = "$mac" ]; then nic=\${path##*/}; break; fi
done
[ -n "$nic" ] || { echo "no interface has $mac" >&2; exit 1; }
running() { command -v "$1" >/dev/null 2>&1 && pgrep -x "$1" >/dev/null 2>&1; }
if running dhcpcd; then
  # One started for IPv4 alone is known by another pid file, and -n would start a second one where it finds none.
  four=; ls /run/dhcpcd/"$nic"-4.pid /run/dhcpcd-"$nic"-4.pid >/dev/null 2>&1 && four=-4
  dhcpcd $four -N "$nic" >/dev/null && echo dhcpcd
elif running NetworkManager && nmcli -g GENERAL.STATE device show "$nic" 2>/dev/null | grep -q ^100; then nmcli device reapply "$nic" >/dev/null && echo networkmanager
elif running udhcpc; then pkill -USR1 -o -x udhcpc && echo udhcpc
elif running systemd-networkd || pgrep -f systemd-networkd >/dev/null 2>&1; then networkctl renew "$nic" && echo networkd
else echo "no DHCP client that renews on demand runs here" >&2; exit 1
fi
`

export const guestTrigger = (
  socket: string,
  world: Pick<World, 'now'>,
  timeoutMs: number,
  signal: AbortSignal,
): Trigger => ({
  async fire(client) {
    const atNs = world.now()
    const agent = await openGuestAgent(socket, signal)
    try {
      const {code, stdout, stderr} = await agent.run(['/bin/sh', '-c', RENEW_SCRIPT, 'sh', client.mac], {timeoutMs})
      if (code === 0) return {atNs, text: `renewed inside, through the guest agent (${stdout.trim()})`}
      throw new Failure(
        'refused',
        `in ${client.name}: ${stderr.trim().split('\n').at(-1) || `the renewal ended with code ${code}`}`,
      )
    } finally {
      agent.close()
    }
  },
})

/** The next renewal gets a NAK, after which every client begins anew. */
export const nakTrigger = (backend: DhcpBackend, world: Pick<World, 'now'>): Trigger => ({
  byNak: true,
  async fire(client) {
    const atNs = world.now()
    await backend.nakNext!(client)
    return {atNs, text: 'its next renewal gets a NAK'}
  },
})

/** Nothing: the client asks when its T1 is over. */
export const waitTrigger = (world: Pick<World, 'now'>): Trigger => ({
  fire: async () => ({atNs: world.now(), text: 'waiting for its own renewal'}),
})

/** Its link goes down and comes up again, after which many clients ask whether their lease holds where they are. */
export const carrierTrigger = (link: VmLink): Trigger => ({
  async fire() {
    const upMs = await flapLink(link, CARRIER_DOWN_MS)
    const text = `its link was down for ${CARRIER_DOWN_MS / 1000} s, and is up again (${linkText(link)})`
    return {atNs: BigInt(upMs) * 1_000_000n, text}
  },
})
