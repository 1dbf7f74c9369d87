// Which DHCP client is that? Told by what it says of itself, so that the advice fits.
import type {DhcpClientKind} from '../../domain/segment-dhcp.ts'
import {type DhcpOption, dhcpOptions, readOption} from '../../wire/dhcp-options.ts'
import {WireError} from '../../wire/error.ts'

/** What a client's DISCOVER or REQUEST tells about it. */
export interface ClientTraits {
  /** Undefined if it could be several. */
  readonly kind: DhcpClientKind | undefined
  /** It sent option 145 with HMAC-MD5: it takes a nonce, and then an authenticated FORCERENEW. */
  readonly canListen: boolean
}

/** Debian's dhclient.conf asks for these, in this order. */
const DHCLIENT_ASKS = '1,28,2,3,15,6,119,12,44,47,26,121,42'
const HMAC_MD5 = 1

/** Reads the options of a client's message; what is malformed counts as absent. */
export function clientTraits(options: readonly DhcpOption[]): ClientTraits {
  const vendor = attempt(() => readOption(options, dhcpOptions.vendorClassIdentifier)) ?? ''
  const asks = attempt(() => readOption(options, dhcpOptions.parameterRequestList)) ?? []
  const algorithms = attempt(() => readOption(options, dhcpOptions.forcerenewNonceCapable)) ?? []
  const canListen = algorithms.includes(HMAC_MD5)
  return {kind: kindOf(vendor, asks, canListen), canListen}
}

function kindOf(vendor: string, asks: readonly number[], canListen: boolean): DhcpClientKind | undefined {
  if (vendor.startsWith('dhcpcd')) return 'dhcpcd'
  if (vendor.startsWith('udhcp')) return 'udhcpc'
  // As Debian configures it, it keeps its name to itself, but no other client of the kind sends option 145.
  if (vendor === '' && canListen && asks.slice(0, 2).join() === '1,121') return 'dhcpcd'
  return vendor === '' && asks.join() === DHCLIENT_ASKS ? 'dhclient' : undefined
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}
