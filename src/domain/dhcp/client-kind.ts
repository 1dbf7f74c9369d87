// Which DHCP client is that? Told by what it says of itself, so that what is done about it fits.
import {type DhcpOption, dhcpOptions, readOption} from '../../wire/dhcp-options.ts'
import {ifWellFormed} from '../../wire/error.ts'
import type {DhcpClientKind} from '../inventory/segment-dhcp.ts'

/** What a client's DISCOVER or REQUEST tells about it. */
export interface ClientTraits {
  /** Undefined if it could be several. */
  readonly kind: DhcpClientKind | undefined
  /** It sent option 145 with HMAC-MD5: it takes a nonce, and then an authenticated FORCERENEW. */
  readonly canListen: boolean
}

/** What is known of a client's traits; what nobody told is undefined. */
type Heard = {readonly [trait in keyof ClientTraits]?: ClientTraits[trait] | undefined} | undefined

/**
 * What a client is: as the inventory says, else as its server told, else as it was seen. The inventory's word stands
 * alone; a guess that it ignores FORCERENEW does not stand against its option 145.
 */
export function knownKind(said: DhcpClientKind | undefined, told: Heard, seen: Heard): DhcpClientKind | undefined {
  const guess = told?.kind ?? seen?.kind
  const listens = (told?.canListen ?? seen?.canListen) === true
  return said ?? (listens && guess !== 'dhcpcd' ? undefined : guess)
}

/** How a client of each kind that takes no FORCERENEW is made to renew, or that it is not. */
export const DEAF: Readonly<Record<Exclude<DhcpClientKind, 'dhcpcd'>, string>> = {
  udhcpc:
    'udhcpc, which has no listener while it holds its lease: kill -USR1 of udhcpc inside, once, or wait for half of its lease',
  dhclient:
    'stock dhclient, which ignores FORCERENEW and keeps its old router on a renewal: use the NAK of gwswitch serve dhcp, or install the exit hook',
  'dhclient-hook': 'dhclient, which ignores FORCERENEW: wait for T1',
  networkd: 'systemd-networkd, which ignores FORCERENEW: networkctl renew IF inside, or wait for T1',
  networkmanager: 'NetworkManager, which ignores FORCERENEW: nmcli device reapply IF inside, or wait for T1',
}

/** Debian's dhclient.conf asks for these, in this order. */
const DHCLIENT_ASKS = [1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42]
const HMAC_MD5 = 1

/** Reads the options of a client's message; what is malformed counts as absent. */
export function clientTraits(options: readonly DhcpOption[]): ClientTraits {
  const asks = ifWellFormed(() => readOption(options, dhcpOptions.parameterRequestList))
  const canListen =
    ifWellFormed(() => readOption(options, dhcpOptions.forcerenewNonceCapable))?.includes(HMAC_MD5) ?? false
  return {kind: clientKind(options, asks, canListen), canListen}
}

/** The kind alone, where the list of options it asks for and whether it takes a nonce are read already. */
export function clientKind(
  options: readonly DhcpOption[],
  asks: readonly number[] = [],
  canListen: boolean,
): DhcpClientKind | undefined {
  const vendor = ifWellFormed(() => readOption(options, dhcpOptions.vendorClassIdentifier)) ?? ''
  if (vendor.startsWith('dhcpcd')) return 'dhcpcd'
  if (vendor.startsWith('udhcp')) return 'udhcpc'
  if (vendor !== '') return undefined
  // As Debian configures it, it keeps its name to itself, but no other client of the kind sends option 145.
  if (canListen && asks[0] === 1 && asks[1] === 121) return 'dhcpcd'
  const asDhclient = asks.length === DHCLIENT_ASKS.length && asks.every((code, i) => code === DHCLIENT_ASKS[i])
  return asDhclient ? 'dhclient' : undefined
}

/** How long a client's link is down where it is made to ask by that, ms. */
export const CARRIER_DOWN_MS = 1000

/** Kinds that notice nothing of a link that is down for that long, as measured (docs/dhcp.md). */
export const IGNORES_CARRIER: readonly DhcpClientKind[] = ['udhcpc', 'dhclient', 'dhclient-hook', 'networkmanager']

/** What a link that is down for a moment costs a client of that kind. */
export function carrierCost(kind: DhcpClientKind | undefined): string {
  const s = CARRIER_DOWN_MS / 1000
  const what = `nothing reaches it for ${s} s`
  switch (kind) {
    case 'dhcpcd':
      return `${what}, and dhcpcd is without its address for about 7 s (measured), until it has probed it: its sessions stall, and end where they do not last that long`
    case 'networkd':
      return `${what}, and systemd-networkd is without its address until its server answers (1 s measured): its sessions stall`
    default:
      return `${what}, and what its client makes of that was not measured: it may give up its address`
  }
}
