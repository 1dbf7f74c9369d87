// What DHCP options mean (RFC 2132 and the RFCs named below): typed codecs on top of the raw, ordered list.
import {type Ipv4, ipv4Text, ipv4Value, type Prefix, prefixOf, writeIpv4} from './address.ts'
import {parseDomainNames, serializeDomainNames} from './domain-names.ts'
import {expectWhole, WireError} from './error.ts'
import {copyBytes, zeros} from './memory.ts'

/** One option as it travels; those longer than 255 bytes travel in parts (RFC 3396), but are one here. */
export interface DhcpOption {
  /** 1 to 254. */
  readonly code: number
  readonly data: Uint8Array
  /** The header field it lies in instead of the options field (option overload, 52, RFC 2132 9.3). */
  readonly field?: 'file' | 'sname'
}

/** How the data of one option reads as a value. */
export interface DhcpOptionCodec<T> {
  readonly code: number
  /** As RFC 2132 heads its section, in lower case with hyphens. */
  readonly name: string
  /** Throws `WireError`, reason `malformed`, if the data is no such value. */
  read(data: Uint8Array): T
  /** Throws `WireError`, reason `out-of-range`, if the value has no bytes. */
  write(value: T): Uint8Array
}

export const DHCPDISCOVER = 1
export const DHCPOFFER = 2
export const DHCPREQUEST = 3
export const DHCPDECLINE = 4
export const DHCPACK = 5
export const DHCPNAK = 6
export const DHCPRELEASE = 7
export const DHCPINFORM = 8
/** RFC 3203. */
export const DHCPFORCERENEW = 9

/** The names of message types, by number from 1. */
const DHCP_MESSAGE_TYPES = [
  'DHCPDISCOVER',
  'DHCPOFFER',
  'DHCPREQUEST',
  'DHCPDECLINE',
  'DHCPACK',
  'DHCPNAK',
  'DHCPRELEASE',
  'DHCPINFORM',
  'DHCPFORCERENEW',
] as const

/** The name of a message type, or `type 42`. */
export const dhcpMessageTypeName = (type: number): string => DHCP_MESSAGE_TYPES[type - 1] ?? `type ${type}`

/** Authentication (RFC 3118 2). */
export interface DhcpAuthentication {
  readonly protocol: number
  readonly algorithm: number
  /** How `replay` grows; 0: monotonically. */
  readonly replayMethod: number
  /** 0 to 2^64 - 1. */
  readonly replay: bigint
  readonly information: Uint8Array
}

export const AUTH_PROTOCOL_RECONFIGURE = 3
export const AUTH_ALGORITHM_HMAC_MD5 = 1
/** First byte of `information` with protocol 3 (RFC 6704 3.1.3): a nonce follows, in an ACK. */
export const RECONFIGURE_NONCE = 1
/** As above: a digest follows, in a FORCERENEW. */
export const RECONFIGURE_DIGEST = 2

/** A route of option 33 (one host, one router). */
export interface StaticRoute {
  readonly destination: Ipv4
  readonly router: Ipv4
}

/** A route of option 121; router 0.0.0.0 means that the prefix is on the link. */
export interface ClasslessRoute {
  readonly prefix: Prefix
  readonly router: Ipv4
}

/** A sub-option of option 82 (RFC 3046): 1 is the circuit id, 2 the remote id. */
export interface RelaySubOption {
  readonly code: number
  readonly data: Uint8Array
}

type Value<T> = Pick<DhcpOptionCodec<T>, 'read' | 'write'>

function malformed(data: Uint8Array, what: string): never {
  throw new WireError('dhcp option', 'malformed', 0, `${data.length} bytes are no ${what}`)
}

const u32At = (data: Uint8Array, at: number): number =>
  ((data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!) >>> 0

const whole8: Value<number> = {
  read: (data) => (data.length === 1 ? data[0]! : malformed(data, 'number of 1')),
  write(value) {
    const out = zeros(1)
    out[0] = expectWhole('dhcp option', 'value', value, 0xff)
    return out
  },
}

const whole16: Value<number> = {
  read: (data) => (data.length === 2 ? (data[0]! << 8) | data[1]! : malformed(data, 'number of 2')),
  write(value) {
    expectWhole('dhcp option', 'value', value, 0xffff)
    const out = zeros(2)
    out[0] = value >>> 8
    out[1] = value & 0xff
    return out
  },
}

const whole32: Value<number> = {
  read: (data) => (data.length === 4 ? u32At(data, 0) : malformed(data, 'number of 4')),
  write(value) {
    expectWhole('dhcp option', 'value', value, 0xffff_ffff)
    const out = zeros(4)
    out[0] = value >>> 24
    out[1] = (value >>> 16) & 0xff
    out[2] = (value >>> 8) & 0xff
    out[3] = value & 0xff
    return out
  },
}

const address: Value<Ipv4> = {
  read: (data) => (data.length === 4 ? ipv4Text(u32At(data, 0)) : malformed(data, 'address')),
  write(value) {
    const out = zeros(4)
    writeIpv4(value, out, 0)
    return out
  },
}

/** One address or more. */
const addresses: Value<readonly Ipv4[]> = {
  read(data) {
    if (data.length === 0 || data.length % 4 !== 0) malformed(data, 'list of addresses')
    const list = new Array<Ipv4>(data.length / 4)
    for (let i = 0; i < list.length; i++) list[i] = ipv4Text(u32At(data, i * 4))
    return list
  },
  write(list) {
    if (list.length === 0) throw new WireError('dhcp option', 'out-of-range', 0, 'a list of addresses is empty')
    const out = zeros(list.length * 4)
    for (let i = 0; i < list.length; i++) writeIpv4(list[i]!, out, i * 4)
    return out
  },
}

/**
 * Text, in UTF-8 (RFC 2132 2 speaks of NVT ASCII). Trailing NULs, which some clients send, are taken off; bytes that
 * are no UTF-8 read as U+FFFD. It comes from strangers: strip control characters before a terminal sees it.
 */
const text: Value<string> = {
  read(data) {
    let end = data.length
    while (end > 0 && data[end - 1] === 0) end--
    return new TextDecoder('utf-8', {ignoreBOM: true}).decode(data.subarray(0, end))
  },
  write(value) {
    if (value === '') throw new WireError('dhcp option', 'out-of-range', 0, 'a text is empty')
    return new TextEncoder().encode(value)
  },
}

const octets: Value<Uint8Array> = {read: (data) => copyBytes(data), write: (value) => copyBytes(value)}

/** A list of numbers of one byte each. */
const numbers: Value<readonly number[]> = {
  read: (data) => Array.from(data),
  write: (list) => Uint8Array.from(list, (value) => expectWhole('dhcp option', 'value', value, 0xff)),
}

const staticRoutes: Value<readonly StaticRoute[]> = {
  read(data) {
    if (data.length === 0 || data.length % 8 !== 0) malformed(data, 'list of static routes')
    const list = addresses.read(data)
    return Array.from({length: list.length / 2}, (_, i) => ({destination: list[2 * i]!, router: list[2 * i + 1]!}))
  },
  write: (routes) => addresses.write(routes.flatMap(({destination, router}) => [destination, router])),
}

/** RFC 3442: the prefix length, as many bytes of the destination as it covers, the router. */
const classlessRoutes: Value<readonly ClasslessRoute[]> = {
  read(data) {
    const routes: ClasslessRoute[] = []
    for (let at = 0; at < data.length; ) {
      const length = data[at]!
      const significant = Math.ceil(length / 8)
      if (length > 32 || at + 1 + significant + 4 > data.length) malformed(data, 'list of classless routes')
      const destination = zeros(4)
      destination.set(data.subarray(at + 1, at + 1 + significant))
      const router = ipv4Text(u32At(data, at + 1 + significant))
      // Senders leave bits behind the prefix; RFC 3442 has the receiver clear them.
      routes.push({prefix: prefixOf(ipv4Text(u32At(destination, 0)), length), router})
      at += 1 + significant + 4
    }
    return routes.length > 0 ? routes : malformed(data, 'list of classless routes')
  },
  write(routes) {
    const out: number[] = []
    for (const {prefix, router} of routes) {
      expectWhole('dhcp option', 'prefix length', prefix.length, 32)
      const bytes = [prefix.address, router].map((ip) => {
        const value = ipv4Value(ip)
        return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]
      })
      out.push(prefix.length, ...bytes[0]!.slice(0, Math.ceil(prefix.length / 8)), ...bytes[1]!)
    }
    if (out.length === 0) throw new WireError('dhcp option', 'out-of-range', 0, 'a list of routes is empty')
    return Uint8Array.from(out)
  },
}

const subOptions: Value<readonly RelaySubOption[]> = {
  read(data) {
    const list: RelaySubOption[] = []
    for (let at = 0; at < data.length; ) {
      const length = data[at + 1]
      if (length === undefined || at + 2 + length > data.length) malformed(data, 'list of sub-options')
      list.push({code: data[at]!, data: copyBytes(data, at + 2, at + 2 + length)})
      at += 2 + length
    }
    return list
  },
  write: (list) =>
    Uint8Array.from(
      list.flatMap(({code, data}) => [
        expectWhole('dhcp option', 'sub-option code', code, 0xff),
        expectWhole('dhcp option', 'sub-option length', data.length, 0xff),
        ...data,
      ]),
    ),
}

/** Bytes in front of the authentication information. */
const AUTH_HEADER = 11

const authentication: Value<DhcpAuthentication> = {
  read(data) {
    if (data.length < AUTH_HEADER) malformed(data, 'authentication')
    return {
      protocol: data[0]!,
      algorithm: data[1]!,
      replayMethod: data[2]!,
      replay: (BigInt(u32At(data, 3)) << 32n) | BigInt(u32At(data, 7)),
      information: copyBytes(data, AUTH_HEADER),
    }
  },
  write({protocol, algorithm, replayMethod, replay, information}) {
    const out = zeros(AUTH_HEADER + information.length)
    out[0] = expectWhole('dhcp option', 'protocol', protocol, 0xff)
    out[1] = expectWhole('dhcp option', 'algorithm', algorithm, 0xff)
    out[2] = expectWhole('dhcp option', 'replayMethod', replayMethod, 0xff)
    if (replay < 0n || replay >= 1n << 64n) {
      throw new WireError('dhcp option', 'out-of-range', 0, `replay ${replay} does not fit 64 bits`)
    }
    new DataView(out.buffer, out.byteOffset).setBigUint64(3, replay)
    out.set(information, AUTH_HEADER)
    return out
  },
}

/** How values lie in an option's data, for options that have no meaning here; numbers are unsigned. */
export const dhcpValues = {ip: addresses, text, u8: whole8, u16: whole16, u32: whole32} as const

const domainNames: Value<readonly string[]> = {read: parseDomainNames, write: serializeDomainNames}

const named = <T>(code: number, name: string, value: Value<T>): DhcpOptionCodec<T> => ({code, name, ...value})

/** The options we give a meaning, by what they are called. */
export const dhcpOptions = {
  subnetMask: named(1, 'subnet-mask', address),
  router: named(3, 'router', addresses),
  domainNameServer: named(6, 'domain-name-server', addresses),
  hostName: named(12, 'host-name', text),
  domainName: named(15, 'domain-name', text),
  /** Bytes. */
  interfaceMtu: named(26, 'interface-mtu', whole16),
  broadcastAddress: named(28, 'broadcast-address', address),
  staticRoute: named(33, 'static-route', staticRoutes),
  ntpServers: named(42, 'ntp-servers', addresses),
  requestedAddress: named(50, 'requested-ip-address', address),
  /** Seconds; 0xffffffff is for ever. */
  leaseTime: named(51, 'ip-address-lease-time', whole32),
  /** 1: the file field holds options, 2: sname does, 3: both. Written by itself where it is needed. */
  overload: named(52, 'option-overload', whole8),
  messageType: named(53, 'dhcp-message-type', whole8),
  serverIdentifier: named(54, 'server-identifier', address),
  parameterRequestList: named(55, 'parameter-request-list', numbers),
  message: named(56, 'message', text),
  /** Bytes of the IP packet. */
  maximumMessageSize: named(57, 'maximum-dhcp-message-size', whole16),
  /** T1, seconds. */
  renewalTime: named(58, 'renewal-time', whole32),
  /** T2, seconds. */
  rebindingTime: named(59, 'rebinding-time', whole32),
  vendorClassIdentifier: named(60, 'vendor-class-identifier', text),
  /** The hardware type, or 0 or 255, and the identifier: compare all of it, read nothing into it (RFC 4361). */
  clientIdentifier: named(61, 'client-identifier', octets),
  tftpServerName: named(66, 'tftp-server-name', text),
  bootfileName: named(67, 'bootfile-name', text),
  /** RFC 3046. */
  relayAgentInformation: named(82, 'relay-agent-information', subOptions),
  /** RFC 3118. */
  authentication: named(90, 'authentication', authentication),
  /** RFC 3397. */
  domainSearch: named(119, 'domain-search', domainNames),
  /** RFC 3442. */
  classlessStaticRoute: named(121, 'classless-static-route', classlessRoutes),
  /** What Microsoft's clients ask for in its place. */
  microsoftClasslessStaticRoute: named(249, 'microsoft-classless-static-route', classlessRoutes),
  /** RFC 6704: the digest algorithms with which the client takes a nonce; 1 is HMAC-MD5. */
  forcerenewNonceCapable: named(145, 'forcerenew-nonce-capable', numbers),
} as const

/**
 * The value of an option; undefined if the list does not have it. Throws `WireError`, reason `malformed`, layer
 * `dhcp option`, if its data is no such value.
 */
export function readOption<T>(options: readonly DhcpOption[], codec: DhcpOptionCodec<T>): T | undefined {
  const {code} = codec
  for (let i = 0; i < options.length; i++) if (options[i]!.code === code) return codec.read(options[i]!.data)
  return undefined
}

/** An option for the list. Throws `WireError`, reason `out-of-range`. */
export const writeOption = <T>(codec: DhcpOptionCodec<T>, value: T): DhcpOption => ({
  code: codec.code,
  data: codec.write(value),
})
