// What to do next about a client that did not act, by its kind.
import {CARRIER_DOWN_MS, DEAF} from '../../domain/dhcp/client-kind.ts'
import type {DhcpClientKind} from '../../domain/inventory/segment-dhcp.ts'
import type {ReportRow} from './row.ts'

type Ran = Exclude<ReportRow, {readonly outcome: 'skipped'}>

/** One sentence; undefined where there is nothing to do. */
export function adviceFor(row: Ran): string | undefined {
  const {kind, canListen} = row.traits
  switch (row.outcome) {
    case 'acted':
      return kind === 'dhclient'
        ? 'stock dhclient takes no new router on a renewal: install the exit hook, or use the NAK of gwswitch serve dhcp'
        : undefined
    case 'refused':
      return row.ackMs === undefined
        ? 'it begins anew with a DISCOVER and takes whatever router the server then gives'
        : `its DHCP server ${row.router === undefined ? 'gives no router' : `still gives ${row.router}`}, not ${row.wanted}: set the router there first (gwswitch switch does both)`
    case 'unanswered':
      return 'is its DHCP server up, and reachable from the site it is in now?'
    case 'unreachable':
      return kind === 'networkmanager'
        ? `NetworkManager listens to its server's port 67 alone, and ignores FORCERENEW there too: renew inside (nmcli device reapply IF), or wait for T1`
        : `it has no DHCP listener while it holds its lease (udhcpc is like that; NetworkManager hears port 67 of its server alone): renew inside (kill -USR1 of udhcpc, once: a second one before the ACK takes the address away), or wait for its renewal`
    case 'silent':
      return silent(row, kind, canListen)
  }
}

/** The same of DHCPv6. */
export function adviceFor6({outcome}: Ran): string | undefined {
  if (outcome === 'acted') return undefined
  if (outcome === 'unanswered') return 'is its DHCPv6 server up, and reachable from the site it is in now?'
  return "either it takes no Reconfigure (dhcpcd: option dhcp6_reconfigure_accept), or key and DUIDs are not its own: let 'send-reconfigure --learn' see its next Reply"
}

/** The same of a client whose link was down for a moment. */
export function adviceForFlap(row: Ran): string | undefined {
  if (row.outcome !== 'silent') return adviceFor(row)
  return `${row.sees ? '' : UNSEEN}its client does not ask anew when its link comes back after ${CARRIER_DOWN_MS / 1000} s (udhcpc and dhclient do not): renew inside, or wait for T1`
}

const UNSEEN = 'neither the wire nor a server can be watched from here: it may have acted; '

function silent({sees, signed}: Ran, kind: DhcpClientKind | undefined, canListen: boolean | undefined): string {
  const unseen = sees ? '' : UNSEEN
  if (kind !== undefined && kind !== 'dhcpcd') return `${unseen}it runs ${DEAF[kind]}`
  if (canListen === false)
    return `${unseen}it did not send option 145, so it does not listen for FORCERENEW: renew inside, use the NAK of gwswitch serve dhcp, or wait for T1`
  if (!signed && (kind === 'dhcpcd' || canListen))
    return `${unseen}as it comes it obeys signed FORCERENEWs alone: leave --unauthenticated out, and give its nonce`
  if (kind === 'dhcpcd' || canListen) {
    return `${unseen}it can listen, so xid or nonce are not its own: it renewed, or restarted, since they were noted; let 'send-reconfigure --learn' see its next renewal`
  }
  return `${unseen}either it does not listen (dhclient, systemd-networkd, NetworkManager do not), or xid and nonce are not its own; renew inside, or wait for T1`
}
