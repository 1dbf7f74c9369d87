// FORCERENEW (RFC 3203), authenticated with the nonce that the client got in an ACK (RFC 6704), as stock dhcpcd obeys it.
import {ANY_IPV4, type Ipv4, type Mac} from '../../wire/address.ts'
import {BOOTREPLY, DHCP_CLIENT_PORT, HTYPE_ETHERNET, serializeDhcp} from '../../wire/dhcp.ts'
import {signReconfigure, unsignedReconfigure} from '../../wire/dhcp-auth.ts'
import {DHCPFORCERENEW, dhcpOptions, writeOption} from '../../wire/dhcp-options.ts'
import type {Vlan} from '../../wire/ethernet.ts'
import {udpFrame} from '../../wire/frames.ts'

export interface Forcerenew {
  readonly client: {readonly ip: Ipv4; readonly mac: Mac}
  /** That of the client's last DHCPREQUEST: dhcpcd drops any other without a word. */
  readonly xid: number
  /** Option 54; dhcpcd does without. */
  readonly serverId?: Ipv4 | undefined
  /** Without it the message is not signed, and only clients told `noauthrequired` obey. */
  readonly key?: {readonly nonce: Uint8Array; readonly replay: bigint} | undefined
}

/** The UDP payload. `ciaddr` is the client's address: one implementation insists on it, the others do not look. */
export function forcerenewMessage({client, xid, serverId, key}: Forcerenew): Uint8Array {
  const message = serializeDhcp({
    op: BOOTREPLY,
    htype: HTYPE_ETHERNET,
    hops: 0,
    xid,
    secs: 0,
    flags: 0,
    ciaddr: client.ip,
    yiaddr: ANY_IPV4,
    siaddr: ANY_IPV4,
    giaddr: ANY_IPV4,
    chaddr: client.mac,
    sname: '',
    file: '',
    options: [
      writeOption(dhcpOptions.messageType, DHCPFORCERENEW),
      ...(serverId === undefined ? [] : [writeOption(dhcpOptions.serverIdentifier, serverId)]),
      ...(key ? [writeOption(dhcpOptions.authentication, unsignedReconfigure(key.replay))] : []),
    ],
  })
  return key ? signReconfigure(message, key.nonce) : message
}

/** Where a FORCERENEW is sent from: any port but 67, which belongs to a server that may run on this host. */
export interface ForcerenewSource {
  readonly mac: Mac
  readonly ip: Ipv4
  readonly port: number
  readonly vlan?: Vlan | undefined
}

/** The whole frame, unicast to the client's IP and MAC: dhcpcd's socket does not see broadcasts once it is bound. */
export function forcerenewFrame(message: Uint8Array, client: Forcerenew['client'], source: ForcerenewSource): Uint8Array {
  return udpFrame(
    {destination: client.mac, source: source.mac, ...(source.vlan && {vlan: source.vlan})},
    {source: source.ip, destination: client.ip},
    {sourcePort: source.port, destinationPort: DHCP_CLIENT_PORT, payload: message},
  )
}
