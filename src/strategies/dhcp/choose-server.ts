// Who is asked and told about a VM's lease: what the inventory names, or the shim at this host that answers it anyway.
import {DEFAULT_SHIM_SOCKET} from '../../domain/dhcp/control.ts'
import type {SegmentDhcp} from '../../domain/inventory/segment-dhcp.ts'
import type {Segment} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import type {DhcpClient, GivenGateway} from './backends/backend.ts'
import {orUnknown} from './backends/context.ts'
import {shimKnows} from './backends/gwswitch.ts'

export interface ChosenServer {
  readonly dhcp: SegmentDhcp
  /** What a plan says of it. */
  readonly caution?: string | undefined
}

/**
 * A shim that has the VM at a port of this host changes what every server says to it: nothing that a server is told counts
 * then. @throws Failure `usage` where there is none, and the inventory names no server.
 */
export async function chooseServer(
  segment: Segment,
  client: DhcpClient,
  to: GivenGateway,
  control = DEFAULT_SHIM_SOCKET,
): Promise<ChosenServer> {
  const {dhcp, name} = segment
  if (dhcp?.server === 'shim') return {dhcp}
  const known = await orUnknown(shimKnows(control, client))
  if (known?.router === to.ip && known.port !== null) {
    const {address, state, renewEvery} = dhcp ?? {}
    const inPlace = dhcp === undefined ? '' : `; ${dhcp.server}, the server of the inventory, is told nothing`
    return {
      dhcp: {server: 'shim', control, address, state, renewEvery},
      caution: `go by gwswitch serve dhcp-shim at ${control}, which has ${client.name} at ${known.port}${inPlace}`,
    }
  }
  if (dhcp) return {dhcp}
  throw new Failure(
    'usage',
    `the dhcp strategy needs to know the DHCP server of ${name}: want segments.${name}.dhcp in the inventory, or gwswitch serve dhcp-shim at the VM's hypervisor`,
  )
}
