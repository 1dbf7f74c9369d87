// What is asked of a VM, and what one of its frames tells: the words that both families share.
import type {Ipv4, Mac, Prefix} from '../wire/address.ts'
import type {Ethernet, FrameAddresses, Vlan} from '../wire/ethernet.ts'
import type {Ipv6} from '../wire/ipv6-address.ts'

/** A VM on a segment, as frames reach it. */
export interface WatchedVm {
  readonly ip: Ipv4 | Ipv6
  readonly mac: Mac
  /** 802.1Q tag of its segment on the link, if tagged. */
  readonly vlan?: Vlan | undefined
}

/** What kind of frame tells something, see {@link Sighting}. */
export type SightingKind = 'alive' | 'arp-reply' | 'nd-reply' | 'echo-reply' | 'traffic'

/** One frame from the VM that tells something. */
export interface Sighting {
  /**
   * `alive`: it answered a probe of ours. `arp-reply` (IPv6: `nd-reply`): it lives, and answered to this MAC because it
   * was asked to. `echo-reply`: it sends to this MAC what is for the gateway's address. `traffic`: it sends its own
   * off-segment traffic to this MAC.
   */
  readonly kind: SightingKind
  readonly destinationMac: Mac
  /** Kernel receive time, CLOCK_REALTIME ns. */
  readonly atNs: bigint
  /** Sequence number of the echo answered. */
  readonly sequence?: number
  readonly frame: Uint8Array
}

export interface EchoIdentity {
  /** Of the same family as the VM's address. */
  readonly gatewayIp: Ipv4 | Ipv6
  readonly identifier: number
  /** Where the echo claims to come from, if not from the gateway: an address off the segment asks for the default route. */
  readonly from?: Ipv4 | Ipv6 | undefined
}

/** How one family asks, and reads the answers. `ip` is the VM's address, of that family. */
export interface FamilyWatch {
  echo(towards: FrameAddresses, ip: Ipv4 | Ipv6, echo: EchoIdentity, sequence: number): Uint8Array
  probe(towards: FrameAddresses, ip: Ipv4 | Ipv6): Uint8Array
  readonly probeName: string
  /** Of a frame of the VM; `segment` as for readSighting. Throws `WireError` for bytes that are not what they say. */
  read(
    frame: Ethernet,
    ip: Ipv4 | Ipv6,
    echo: EchoIdentity,
    segment: Prefix | undefined,
  ): Pick<Sighting, 'kind' | 'sequence'> | undefined
}
