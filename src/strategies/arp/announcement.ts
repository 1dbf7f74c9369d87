// What is announced, to whom and how: the words that both families share.
import type {RouterWord} from '../../domain/inventory/site.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {FrameAddresses, Vlan} from '../../wire/ethernet.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'

/**
 * `ask`: "who-has VM tell GATEWAY". The request itself moves the asker's entry, in every state but PERMANENT and within
 * the lock time too; the VM answers it. IPv6: a unicast neighbour solicitation, with the same effect.
 * `reply`: gratuitous reply. Target MAC = sender MAC, or Linux takes it for an ordinary reply and ignores it for a
 * second after the last change (`locktime`). IPv6: unsolicited neighbour advertisement, R=1, O=1.
 * `request`: gratuitous request, RFC 5227's announcement. IPv4 only.
 * `ra`: router advertisement of the gateway; `withdraw`: of the old one, with lifetime 0. IPv6 only.
 * `redirect`: the old gateway says that the new one is the better first hop for one destination. IPv6 only.
 */
export type Form = 'ask' | 'reply' | 'request' | 'ra' | 'withdraw' | 'redirect'

export interface AnnouncedGateway {
  readonly ip: Ipv4 | Ipv6
  /** Where it is from now on. */
  readonly mac: Mac
  /** The router that the VM shall leave, where that has another address: for `withdraw` and `redirect`. */
  readonly old?: Ipv6 | undefined
  /** Of `ra`. */
  readonly ra?: RouterWord | undefined
  /** Of `redirect`. */
  readonly destination?: Ipv6 | undefined
}

export interface AnnounceTo {
  /** The one VM to tell; without it every host of the segment is told. */
  readonly vm?: {readonly ip: Ipv4 | Ipv6; readonly mac: Mac}
  readonly vlan?: Vlan | undefined
  /** Send to the broadcast address although a VM is named (its bridge does not know yet where it is). */
  readonly broadcast?: boolean
}

/** What one family makes of a form. */
export interface Announcement {
  readonly says: string
  /** The MAC that everybody listens to; undefined for what goes to one host alone. */
  readonly group: Mac | undefined
  frame(addresses: FrameAddresses): Uint8Array
}

/** What a router advertisement of ours says, if nothing else is said: RFC 4861's usual lifetime. */
export const USUAL_RA = {lifetime: 1800, preference: 'medium'} as const

/** RFC 6666, discard-only: an address that every router drops, off every segment. An echo from it asks for the default route. */
export const OFF_SEGMENT6: Ipv6 = '100::1'

/** One frame to announce with, and how it reads. */
export interface AnnouncementFrame {
  readonly form: Form
  readonly bytes: Uint8Array
  readonly text: string
  readonly broadcast: boolean
}
