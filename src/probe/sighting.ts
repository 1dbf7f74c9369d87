// What is asked of a VM, and what one of its frames tells: the words that vm-watch.ts and vm-watch6.ts share.
import type {Ipv4, Mac} from '../wire/address.ts'
import type {Vlan} from '../wire/ethernet.ts'
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

/** Whether an address is an IPv6 one. */
export const isVersion6 = (ip: Ipv4 | Ipv6): boolean => ip.includes(':')
