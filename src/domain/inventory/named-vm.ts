// A VM as every document names it.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'

/** A VM of the inventory. */
export interface NamedVm {
  readonly name: string
  /** The address that is meant, of several. */
  readonly ip: Ipv4 | Ipv6
  readonly mac: Mac
  /** Name of its segment. */
  readonly segment: string
}

/** A VM as far as it is known: null is what nobody knows. */
export type SeenVm = {readonly [Field in keyof NamedVm]: NamedVm[Field] | null}
