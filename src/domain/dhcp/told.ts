// What a reply tells its client, read as clients read it: an option that is malformed counts as absent.
import type {Ipv4} from '../../wire/address.ts'
import {type DhcpOption, type DhcpOptionCodec, dhcpOptions, readOption} from '../../wire/dhcp-options.ts'
import {ifWellFormed} from '../../wire/error.ts'

export const told = <T>(options: readonly DhcpOption[], codec: DhcpOptionCodec<T>): T | undefined =>
  ifWellFormed(() => readOption(options, codec))

/** A client that gets option 121 ignores option 3 (RFC 3442): its default route is in there, or it has none. */
export function toldRouter(options: readonly DhcpOption[]): Ipv4 | undefined {
  const classless = told(options, dhcpOptions.classlessStaticRoute)
  if (!classless) return told(options, dhcpOptions.router)?.[0]
  return classless.find(({prefix}) => prefix.length === 0)?.router
}
