// What a dry run of `send-reconfigure` shows: the frames that would be sent, and who would get none.
import type {DhcpClient} from '../../strategies/dhcp/backends/backend.ts'
import {type CredentialSources, findCredentials} from '../../strategies/dhcp/credentials.ts'
import {forcerenewFrame, forcerenewMessage} from '../../strategies/dhcp/forcerenew.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {vlanTag} from '../../wire/ethernet.ts'
import type {ReconfigureFrame} from './reconfigure-report.ts'

/** Where the frames would leave. */
export interface PlannedVia {
  readonly mac: Mac
  readonly sourceIp: (client: DhcpClient) => Ipv4
  readonly vlanId: number | undefined
}

/** The real port is drawn when it is sent. */
const PORT = 20_000

/** Off the segment (`via` undefined) it is the message alone. @throws Failure that says what is not known. */
export async function plannedFrame(
  client: DhcpClient,
  sources: CredentialSources,
  via: PlannedVia | undefined,
): Promise<ReconfigureFrame> {
  const credentials = await findCredentials(client, sources)
  const message = forcerenewMessage(client, credentials)
  const bytes = via
    ? forcerenewFrame(message, client, {mac: via.mac, ip: via.sourceIp(client), port: PORT, vlan: vlanTag(via.vlanId)})
    : message
  return {
    client: client.name,
    ip: client.ip,
    mac: client.mac,
    message: 'FORCERENEW',
    xid: credentials.xid.toString(16).padStart(8, '0'),
    authenticated: credentials.key !== undefined,
    source: credentials.source,
    layer: via ? 'ethernet' : 'dhcp',
    hex: Buffer.from(bytes).toString('hex'),
  }
}
