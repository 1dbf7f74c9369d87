// The codecs of src/wire: what reads as a value is written and read back as the same.
import {parseArp, serializeArp} from '../../../src/wire/arp.ts'
import type {Ends} from '../../../src/wire/checksum.ts'
import {type Dhcp, parseDhcp, serializeDhcp} from '../../../src/wire/dhcp.ts'
import {readReconfigureNonce, verifyReconfigure} from '../../../src/wire/dhcp-auth.ts'
import {type DhcpOptionCodec, dhcpOptions, writeOption} from '../../../src/wire/dhcp-options.ts'
import {
  parseDhcpv6,
  readDhcpv6ReconfigureKey,
  serializeDhcpv6,
  serializeDhcpv6Reconfigure,
  verifyDhcpv6Reconfigure,
} from '../../../src/wire/dhcpv6-reconfigure.ts'
import {parseDomainNames, serializeDomainNames} from '../../../src/wire/domain-names.ts'
import {parseEthernet, serializeEthernet} from '../../../src/wire/ethernet.ts'
import {parseIcmp, serializeIcmp} from '../../../src/wire/icmp.ts'
import {parseExtensions, serializeExtensions} from '../../../src/wire/icmp-extensions.ts'
import {parseIcmpv6, serializeIcmpv6} from '../../../src/wire/icmpv6.ts'
import {PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, parseIpv4, serializeIpv4} from '../../../src/wire/ipv4.ts'
import {parseIpv6, serializeIpv6} from '../../../src/wire/ipv6.ts'
import {parseNdOptions, serializeNdOptions} from '../../../src/wire/nd-options.ts'
import {parsePcap, serializePcap} from '../../../src/wire/pcap.ts'
import {parseQuoted, quotedLength, quotedProbe, writeQuoted} from '../../../src/wire/quote.ts'
import {parseQuoted6, quoted6Length, quotedProbe6, writeQuoted6} from '../../../src/wire/quote6.ts'
import {parseTcp, serializeTcp} from '../../../src/wire/tcp.ts'
import {parseUdp, serializeUdp} from '../../../src/wire/udp.ts'
import {captureFile, ipPayloadOf, payloadOf, udpPayloadOf} from '../../support/captures.ts'
import {EXTENSIONS} from '../../support/sample-frames.ts'
import {FRAMES, partsOf} from '../corpus.ts'
import {repairIcmp, repairIpv4, repairIpv6, repairTcp, repairUdp} from '../repair.ts'
import {ofBytes, type Target} from '../target.ts'

const ENDS: Ends = {source: '10.0.0.10', destination: '203.0.113.10'}
const OPTIONS = Object.values(dhcpOptions) as DhcpOptionCodec<unknown>[]
const NONCE = new Uint8Array(16)
/** Room for whatever was read. */
const DHCP_LIMITS = {maximum: 70_000}

const dhcpMessages = () => partsOf((frame) => udpPayloadOf(frame, 67) ?? udpPayloadOf(frame, 68))
const ipv6Packets = () => partsOf((frame) => payloadOf(frame, 0x86dd))
const icmpMessages = () => partsOf((frame) => ipPayloadOf(frame, PROTOCOL_ICMP))

/** One after the other, each with its length in front: an input that is a list. */
const optionsOf = (messages: readonly Uint8Array[]): readonly Uint8Array[] =>
  messages.flatMap((bytes) => parseDhcp(bytes).options.map(({code, data}) => Uint8Array.of(code, ...data)))

const LAYERS: readonly Target[] = [
  ofBytes({name: 'ethernet', corpus: () => FRAMES, read: parseEthernet, write: (frame) => serializeEthernet(frame, 0)}),
  ofBytes({
    name: 'arp',
    corpus: () => partsOf((frame) => payloadOf(frame, 0x0806)),
    read: parseArp,
    write: serializeArp,
  }),
  ofBytes({
    name: 'ipv4',
    corpus: () => partsOf((frame) => payloadOf(frame, 0x0800)),
    read: parseIpv4,
    write: serializeIpv4,
    repair: repairIpv4,
  }),
  ofBytes({name: 'ipv6', corpus: ipv6Packets, read: parseIpv6, write: serializeIpv6, repair: repairIpv6}),
  ofBytes({
    name: 'udp',
    corpus: () => partsOf((frame) => ipPayloadOf(frame, PROTOCOL_UDP)),
    read: (bytes) => parseUdp(bytes, ENDS),
    write: (udp) => serializeUdp(udp, ENDS),
    repair: repairUdp,
  }),
  ofBytes({
    name: 'tcp',
    corpus: () => partsOf((frame) => ipPayloadOf(frame, PROTOCOL_TCP)),
    read: (bytes) => parseTcp(bytes, ENDS),
    write: (tcp) => serializeTcp(tcp, ENDS),
    repair: repairTcp(ENDS),
  }),
]

const ICMP: readonly Target[] = [
  ofBytes({name: 'icmp', corpus: icmpMessages, read: parseIcmp, write: serializeIcmp, repair: repairIcmp}),
  ofBytes({
    name: 'icmp extensions',
    corpus: () => [serializeExtensions(EXTENSIONS)],
    read: (bytes) => parseExtensions(bytes) ?? [],
    write: serializeExtensions,
    repair: (bytes) => (bytes.length < 4 ? bytes : Uint8Array.of(0x20, 0, 0, 0, ...bytes.subarray(4))),
  }),
  ofBytes({
    name: 'quoted packet',
    corpus: () => partsOf((frame) => payloadOf(frame, 0x0800)),
    read(bytes) {
      const quoted = parseQuoted(bytes)
      quotedProbe(quoted)
      return quoted
    },
    write(quoted) {
      const out = new Uint8Array(quotedLength(quoted))
      writeQuoted(quoted, out, 0)
      return out
    },
  }),
  ofBytes({
    name: 'quoted packet, IPv6',
    corpus: ipv6Packets,
    read(bytes) {
      const quoted = parseQuoted6(bytes)
      quotedProbe6(quoted)
      return quoted
    },
    write(quoted) {
      const out = new Uint8Array(quoted6Length(quoted))
      writeQuoted6(quoted, out, 0)
      return out
    },
  }),
  ofBytes({
    name: 'icmpv6',
    corpus: ipv6Packets,
    read(bytes) {
      const {payload, ...header} = parseIpv6(bytes)
      return {header, message: parseIcmpv6(payload, header)}
    },
    write: ({header, message}) => serializeIpv6({...header, payload: serializeIcmpv6(message, header)}),
    repair: repairIpv6,
  }),
  ofBytes({
    name: 'nd options',
    corpus: () => ipv6Packets().map((packet) => packet.subarray(64)),
    read: parseNdOptions,
    write: serializeNdOptions,
  }),
]

const signed6 = serializeDhcpv6Reconfigure({
  clientDuid: Uint8Array.of(0, 3, 0, 1, 2, 0, 0, 0, 0, 0x10),
  serverDuid: Uint8Array.of(0, 3, 0, 1, 2, 0, 0, 0, 0, 0x0a),
  messageType: 5,
  key: NONCE,
  replay: 7n,
})

const DHCP: readonly Target[] = [
  ofBytes<Dhcp>({
    name: 'dhcp',
    corpus: dhcpMessages,
    read: parseDhcp,
    write: (message) => serializeDhcp(message, DHCP_LIMITS),
    settles: 'option 82 is written last, wherever it was (RFC 3046 2.1)',
  }),
  ofBytes({
    // The code of the option, then its data.
    name: 'dhcp option',
    corpus: () => optionsOf(dhcpMessages()),
    read(bytes) {
      const codec = OPTIONS.find(({code}) => code === bytes[0])
      return codec && {codec, value: codec.read(bytes.slice(1))}
    },
    // A text of NULs reads as none, and none is not written.
    write: (read) =>
      read && read.value !== ''
        ? Uint8Array.of(read.codec.code, ...writeOption(read.codec, read.value).data)
        : Uint8Array.of(read?.codec.code ?? 0),
  }),
  ofBytes({
    name: 'dhcp authentication',
    corpus: dhcpMessages,
    read(bytes) {
      verifyReconfigure(bytes, NONCE)
      const option = parseDhcp(bytes).options.find(({code}) => code === dhcpOptions.authentication.code)
      return option && readReconfigureNonce(dhcpOptions.authentication.read(option.data))
    },
  }),
  ofBytes({name: 'dhcpv6', corpus: () => [signed6], read: parseDhcpv6, write: serializeDhcpv6}),
  ofBytes({
    name: 'dhcpv6 authentication',
    corpus: () => [signed6],
    read: (bytes) => [verifyDhcpv6Reconfigure(bytes, NONCE), readDhcpv6ReconfigureKey(parseDhcpv6(bytes))],
  }),
  ofBytes({
    name: 'domain names',
    corpus: () => [
      serializeDomainNames(['site-y.example', 'x.site-y.example', 'example']),
      // A pointer to a pointer to a pointer.
      Uint8Array.of(1, 0x61, 0, ...Array.from({length: 200}, (_, i) => [0xc0, i === 0 ? 0 : 1 + 2 * i]).flat()),
    ],
    read: parseDomainNames,
    write: serializeDomainNames,
  }),
]

const FILES: readonly Target[] = [
  ofBytes({
    name: 'pcap',
    corpus: () => ['arping', 'vlan'].map((name) => captureFile(name).subarray(0, 600)),
    read(bytes) {
      const {truncatedAt: _, ...pcap} = parsePcap(bytes)
      return pcap
    },
    write: serializePcap,
  }),
]

export const WIRE: readonly Target[] = [...LAYERS, ...ICMP, ...DHCP, ...FILES]
