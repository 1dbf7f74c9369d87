// The back end for the DHCP server that a segment has.
import type {SegmentDhcp} from '../../../domain/inventory/segment-dhcp.ts'
import type {DhcpBackend} from './backend.ts'
import type {BackendStage} from './context.ts'
import {dnsmasqBackend} from './dnsmasq.ts'
import {gwswitchBackend, shimBackend} from './gwswitch.ts'
import {iscBackend} from './isc.ts'
import {keaBackend} from './kea.ts'

/** Opens nothing: a back end reaches for its server when it is asked. */
export function backendFor(dhcp: SegmentDhcp, context: BackendStage): DhcpBackend {
  switch (dhcp.server) {
    case 'gwswitch':
      return gwswitchBackend(dhcp, context.segment)
    case 'shim':
      return shimBackend(dhcp, context.segment)
    case 'dnsmasq':
      return dnsmasqBackend(dhcp, context)
    case 'kea':
      return keaBackend(dhcp, context)
    case 'isc':
      return iscBackend(dhcp, context)
  }
}
