// A VM that came to where we are, or left: what every source of such news tells, whatever it has seen.
import type {Mac} from '../../wire/address.ts'

/**
 * `arrived`: its CPU runs here, or it was heard here. `left`: it does not any more. `cancelled`: a migration that was under
 * way ended without it; it is where it was.
 */
export type MovementKind = 'arrived' | 'left' | 'cancelled'

/** One piece of news. At least one of `mac` and `vm` is known. */
export interface Movement {
  readonly kind: MovementKind
  /** Of its interface on the segment; null where the source knows the VM by name alone. */
  readonly mac: Mac | null
  /** What the source calls it; null where that is a MAC alone. */
  readonly vm: string | null
  /** The hypervisor that it is about, as the source names it; null: that on which it was seen. */
  readonly host: string | null
  /** When it happened by the source's own clock, ms since the epoch; null where it does not say. */
  readonly atMs: number | null
  /**
   * Who says so: `rarp`, `arp`, `frame`, `fdb`, `port` (it is gone, or has no carrier), `socket`, or a kind of events
   * (`libvirt`, `kubevirt`, ...).
   */
  readonly source: string
  /** The port of this host at which it was seen; null where that is not how it is known. */
  readonly port: string | null
}
