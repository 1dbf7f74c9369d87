// The frame around a FORCERENEW.
import type {Ipv4, Mac} from '../../wire/address.ts'
import {DHCP_CLIENT_PORT} from '../../wire/dhcp.ts'
import {serializeForcerenew} from '../../wire/dhcp-auth.ts'
import type {Vlan} from '../../wire/ethernet.ts'
import {udpFrame} from '../../wire/frames.ts'
import type {DhcpClient} from './backends/backend.ts'
import type {Credentials} from './credentials.ts'

export const forcerenewMessage = (
  {ip, mac}: Pick<DhcpClient, 'ip' | 'mac'>,
  {xid, key, serverId}: Omit<Credentials, 'source'>,
): Uint8Array => serializeForcerenew({xid, ip, chaddr: mac, serverIdentifier: serverId, authentication: key})

/** Where a FORCERENEW is sent from: any port but 67, which belongs to a server that may run on this host. */
export interface ForcerenewSource {
  readonly mac: Mac
  readonly ip: Ipv4
  readonly port: number
  readonly vlan?: Vlan | undefined
}

/** The whole frame, unicast to the client's IP and MAC: dhcpcd's socket does not see broadcasts once it is bound. */
export function forcerenewFrame(
  message: Uint8Array,
  client: Pick<DhcpClient, 'ip' | 'mac'>,
  source: ForcerenewSource,
): Uint8Array {
  return udpFrame(
    {destination: client.mac, source: source.mac, vlan: source.vlan},
    {source: source.ip, destination: client.ip},
    {sourcePort: source.port, destinationPort: DHCP_CLIENT_PORT, payload: message},
  )
}
