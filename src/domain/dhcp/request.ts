// A client's message as the rules see it: checked, with the options they look at read.
import {ANY_IPV4, type Ipv4, ipv4Text, type Mac} from '../../wire/address.ts'
import {BOOTREQUEST, DHCP_BROADCAST, type Dhcp, HTYPE_ETHERNET} from '../../wire/dhcp.ts'
import {DHCPREQUEST, type DhcpOption, type DhcpOptionCodec, dhcpOptions} from '../../wire/dhcp-options.ts'
import {ifWellFormed} from '../../wire/error.ts'

/** The state a client is in that sends a DHCPREQUEST (RFC 2131 4.3.2, table 4). */
export type RequestState = 'selecting' | 'init-reboot' | 'renewing' | 'rebinding'

export interface ClientRequest {
  readonly message: Dhcp
  /** Option 53. */
  readonly type: number
  readonly mac: Mac
  /** The client identifier (option 61); undefined without one. */
  readonly clientId: Uint8Array | undefined
  readonly requestedIp: Ipv4 | undefined
  readonly serverIdentifier: Ipv4 | undefined
  /** What its relay says of it (option 82); nothing for one that comes without a relay. */
  readonly relay: RelayWords
  readonly wants: readonly number[] | undefined
  /** Longest UDP payload it takes. */
  readonly maximum: number
  /** It takes a nonce for HMAC-MD5 (option 145). */
  readonly capable145: boolean
  readonly hostName: string
  readonly broadcast: boolean
  /** For a DHCPREQUEST. */
  readonly state: RequestState | undefined
}

/** Sub-options of option 82 that change what a server does. */
export interface RelayWords {
  /** The subnet of the client, where giaddr is not in it (RFC 3527, sub-option 5). */
  readonly linkSelection?: Ipv4 | undefined
  /** What the server calls itself towards the client, so that renewals pass the relay (RFC 5107, sub-option 11). */
  readonly serverIdOverride?: Ipv4 | undefined
}

/** Why a packet gets no answer, for the counters. */
export type DropReason =
  | 'not-a-request'
  | 'not-ethernet'
  | 'no-message-type'
  | 'not-for-a-server'
  | 'too-many-hops'
  | 'unknown-segment'
  | 'contradictory'

const NO_RELAY: RelayWords = {}
const LINK_SELECTION = 5
const SERVER_ID_OVERRIDE = 11
const HMAC_MD5 = 1
const IP_AND_UDP = 28
const MINIMUM = 576
/** Longest we send whatever option 57 says: one Ethernet frame. */
const MAXIMUM = 1500
/** 255.255.255.255. */
const LIMITED_BROADCAST: Ipv4 = '255.255.255.255'
const MAXIMUM_HOPS = 16
const HOST_NAME = 63

/**
 * Reads a client's message. `destination` is where it was sent: a renewal comes to the server's own address, a rebinding
 * to everybody. Returns why not, for one that no server answers.
 */
export function readRequest(message: Dhcp, destination: Ipv4): ClientRequest | DropReason {
  if (message.op !== BOOTREQUEST) return 'not-a-request'
  if (message.htype !== HTYPE_ETHERNET || message.chaddr.length !== 17) return 'not-ethernet'
  // The group bit: no station has such an address of its own, and an answer would go to many.
  if ((Number.parseInt(message.chaddr.slice(0, 2), 16) & 1) === 1 || message.chaddr === '00:00:00:00:00:00') {
    return 'not-ethernet'
  }
  if (message.hops > MAXIMUM_HOPS) return 'too-many-hops'
  const {options} = message
  const type = value(options, dhcpOptions.messageType, 1)
  if (type === undefined) return 'no-message-type'
  const requestedIp = value(options, dhcpOptions.requestedAddress, 4)
  const serverIdentifier = value(options, dhcpOptions.serverIdentifier, 4)
  const state = type === DHCPREQUEST ? requestState(message, requestedIp, serverIdentifier, destination) : undefined
  if (type === DHCPREQUEST && state === undefined) return 'contradictory'
  const largest = value(options, dhcpOptions.maximumMessageSize, 2) ?? MINIMUM
  return {
    message,
    type,
    mac: message.chaddr,
    clientId: dataOf(options, dhcpOptions.clientIdentifier.code),
    requestedIp,
    serverIdentifier,
    relay: message.giaddr === ANY_IPV4 ? NO_RELAY : relayWords(options),
    wants: value(options, dhcpOptions.parameterRequestList, 0),
    maximum: Math.min(Math.max(largest, MINIMUM), MAXIMUM) - IP_AND_UDP,
    capable145: value(options, dhcpOptions.forcerenewNonceCapable, 0)?.includes(HMAC_MD5) ?? false,
    hostName: hostNameOf(options),
    broadcast: (message.flags & DHCP_BROADCAST) !== 0,
    state,
  }
}

/** RFC 2131 4.3.2: what is filled in tells the client's state. */
function requestState(
  {ciaddr, giaddr}: Dhcp,
  requestedIp: Ipv4 | undefined,
  serverIdentifier: Ipv4 | undefined,
  destination: Ipv4,
): RequestState | undefined {
  if (serverIdentifier !== undefined) return requestedIp === undefined && ciaddr === ANY_IPV4 ? undefined : 'selecting'
  if (ciaddr === ANY_IPV4) return requestedIp === undefined ? undefined : 'init-reboot'
  // A relay sends everything to the server's own address, but it hears broadcasts only.
  return destination === LIMITED_BROADCAST || giaddr !== ANY_IPV4 ? 'rebinding' : 'renewing'
}

/**
 * The value of an option of `size` bytes, 0 for any. As dnsmasq and dhcpd do it: bytes behind those are nothing, and an
 * option with fewer counts as none.
 */
function value<T>(options: readonly DhcpOption[], codec: DhcpOptionCodec<T>, size: 0 | 1 | 2 | 4): T | undefined {
  const data = dataOf(options, codec.code)
  if (data === undefined || data.length < size) return undefined
  return codec.read(size === 0 ? data : data.subarray(0, size))
}

function dataOf(options: readonly DhcpOption[], code: number): Uint8Array | undefined {
  for (let i = 0; i < options.length; i++) if (options[i]!.code === code) return options[i]!.data
  return undefined
}

/** A sub-option that is no address counts as none, and so do all of an option 82 that cannot be read: it goes back as it came. */
function relayWords(options: readonly DhcpOption[]): RelayWords {
  const {code, read} = dhcpOptions.relayAgentInformation
  const data = dataOf(options, code)
  const words = data && ifWellFormed(() => read(data))
  if (!words) return NO_RELAY
  const address = (sub: number): Ipv4 | undefined => {
    const found = words.find((each) => each.code === sub)?.data
    return found?.length === 4 ? ipv4Text(new DataView(found.buffer, found.byteOffset).getUint32(0)) : undefined
  }
  return {linkSelection: address(LINK_SELECTION), serverIdOverride: address(SERVER_ID_OVERRIDE)}
}

/** Option 12 is a stranger's text that ends up in terminals and logs. */
function hostNameOf(options: readonly DhcpOption[]): string {
  const data = dataOf(options, dhcpOptions.hostName.code)
  if (data === undefined) return ''
  let name = ''
  for (let i = 0; i < data.length && i < HOST_NAME && data[i] !== 0; i++) {
    const code = data[i]!
    name += code > 32 && code < 127 ? String.fromCharCode(code) : '?'
  }
  return name
}

/**
 * What a client is known by: its client identifier, without one its hardware address (RFC 2131 4.2). `byMac`: by that
 * always, as a VM with a reservation is, so that an installer and what it installs get the same address.
 */
export function clientKey(mac: Mac, clientId: Uint8Array | undefined, byMac: boolean): string {
  if (byMac || clientId === undefined || clientId.length === 0) return `hw:1:${mac}`
  return `id:${Buffer.from(clientId.buffer, clientId.byteOffset, clientId.length).toString('hex')}`
}

/** Whether a client is known by its hardware address alone. */
export const isHardwareKey = (client: string): boolean => client.startsWith('hw:')
