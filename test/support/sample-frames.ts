// One frame of every kind that src/wire can build, for other programs to read.
import {BROADCAST, ZERO_MAC} from '../../src/wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, RARP_REQUEST} from '../../src/wire/arp.ts'
import {
  BOOTREPLY,
  BOOTREQUEST,
  DHCP_CLIENT_PORT,
  DHCP_SERVER_PORT,
  type Dhcp,
  type DhcpLimits,
  serializeDhcp,
} from '../../src/wire/dhcp.ts'
import {signReconfigure, unsignedReconfigure} from '../../src/wire/dhcp-auth.ts'
import {
  DHCPACK,
  DHCPDISCOVER,
  DHCPFORCERENEW,
  type DhcpOption,
  dhcpOptions,
  writeOption,
} from '../../src/wire/dhcp-options.ts'
import {ETHERTYPE_RARP} from '../../src/wire/ethernet.ts'
import {arpFrame, icmpFrame, ipv4Header, type PacketAddresses, tcpFrame, udpFrame} from '../../src/wire/frames.ts'
import {udp6Frame} from '../../src/wire/frames6.ts'
import type {Icmp} from '../../src/wire/icmp.ts'
import type {IcmpExtension} from '../../src/wire/icmp-extensions.ts'
import {PROTOCOL_UDP, serializeIpv4} from '../../src/wire/ipv4.ts'
import {parseQuoted} from '../../src/wire/quote.ts'
import {TCP_ACK, TCP_RST, TCP_SYN} from '../../src/wire/tcp.ts'
import {serializeUdp} from '../../src/wire/udp.ts'

/** A frame, and what a dissector must say about it: the first value of each of these tshark fields. */
export interface SampleFrame {
  readonly name: string
  readonly bytes: Uint8Array
  readonly fields: Readonly<Record<string, string>>
}

const VM = '02:00:00:00:00:10'
const GATEWAY = '02:00:00:00:0a:01'
const toGateway = {destination: GATEWAY, source: VM}
const toVm = {destination: VM, source: GATEWAY}
const out: PacketAddresses = {source: '10.0.0.10', destination: '203.0.113.10'}
const back: PacketAddresses = {source: '203.0.113.10', destination: '10.0.0.10'}
const fromRouter: PacketAddresses = {source: '10.0.0.1', destination: '10.0.0.10'}
const TAG = {id: 10, priority: 5, dropEligible: true}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

const announced = {senderMac: GATEWAY, senderIp: '10.0.0.1'}
const ask = {...announced, operation: ARP_REQUEST, targetMac: ZERO_MAC, targetIp: '10.0.0.10'}

const ARP: SampleFrame[] = [
  {
    name: 'arp ask',
    bytes: arpFrame(toVm, ask),
    fields: {
      'eth.dst': VM,
      'arp.opcode': '1',
      'arp.src.hw_mac': GATEWAY,
      'arp.src.proto_ipv4': '10.0.0.1',
      'arp.dst.hw_mac': ZERO_MAC,
      'arp.dst.proto_ipv4': '10.0.0.10',
      'frame.len': '60',
    },
  },
  {
    name: 'arp gratuitous reply',
    bytes: arpFrame(
      {destination: BROADCAST, source: GATEWAY},
      {...announced, operation: ARP_REPLY, targetMac: GATEWAY, targetIp: '10.0.0.1'},
    ),
    fields: {'arp.opcode': '2', 'arp.isgratuitous': '1', 'arp.dst.hw_mac': GATEWAY},
  },
  {
    name: 'arp tagged',
    bytes: arpFrame({...toVm, vlan: TAG}, ask),
    fields: {'vlan.id': '10', 'vlan.priority': '5', 'vlan.dei': '1', 'vlan.etype': '0x0806', 'arp.opcode': '1'},
  },
  {
    name: 'rarp',
    bytes: arpFrame(
      {destination: BROADCAST, source: VM},
      {operation: RARP_REQUEST, senderMac: VM, senderIp: '0.0.0.0', targetMac: VM, targetIp: '0.0.0.0'},
      ETHERTYPE_RARP,
    ),
    fields: {'eth.type': '0x8035', 'arp.opcode': '3', 'arp.dst.hw_mac': VM},
  },
]

const udpProbe = (payload: Uint8Array): Uint8Array =>
  serializeIpv4({
    ...ipv4Header(PROTOCOL_UDP, {...out, ttl: 1, identification: 77}),
    payload: serializeUdp({sourcePort: 40_000, destinationPort: 33_434, payload}, out),
  })
const QUOTED = parseQuoted(udpProbe(text('twelve bytes')))
const LONG_QUOTED = parseQuoted(udpProbe(new Uint8Array(200)))

export const EXTENSIONS: readonly IcmpExtension[] = [
  {
    kind: 'mpls',
    labels: [
      {label: 16_001, trafficClass: 3, bottomOfStack: false, ttl: 1},
      {label: 42, trafficClass: 0, bottomOfStack: true, ttl: 254},
    ],
  },
  {kind: 'interface', role: 'incoming', index: 7, address: '10.0.0.1', name: 'eth0', mtu: 9000},
  {kind: 'unknown', classNumber: 200, classType: 1, data: text('data')},
]

const icmpSample = (name: string, message: Icmp, fields: Record<string, string>): SampleFrame => ({
  name,
  bytes: icmpFrame(toVm, fromRouter, message),
  fields: {'icmp.checksum.status': '1', ...fields},
})

const quotedFields = {'udp.dstport': '33434', 'udp.srcport': '40000'}

const ICMP: SampleFrame[] = [
  {
    name: 'icmp echo request',
    bytes: icmpFrame(
      toGateway,
      {...out, dscp: 46, ttl: 3},
      {
        kind: 'echo-request',
        identifier: 0x1234,
        sequence: 5,
        payload: text('odd'),
      },
    ),
    fields: {
      'icmp.type': '8',
      'icmp.ident': '4660',
      'icmp.seq': '5',
      'icmp.checksum.status': '1',
      'ip.ttl': '3',
      'ip.dsfield.dscp': '46',
      'ip.len': '31',
      'ip.flags.df': '1',
    },
  },
  icmpSample(
    'icmp echo reply',
    {kind: 'echo-reply', identifier: 1, sequence: 0xffff, payload: new Uint8Array(1400)},
    {'icmp.type': '0', 'icmp.seq': '65535'},
  ),
  icmpSample(
    'icmp time exceeded',
    {kind: 'time-exceeded', code: 0, quoted: QUOTED, extensions: []},
    {'icmp.type': '11', 'icmp.code': '0', ...quotedFields},
  ),
  icmpSample(
    'icmp time exceeded with extensions',
    {kind: 'time-exceeded', code: 0, quoted: QUOTED, extensions: EXTENSIONS},
    {
      'icmp.type': '11',
      ...quotedFields,
      'icmp.length.original_datagram': '128',
      'icmp.ext.version': '2',
      'icmp.ext.checksum.status': '1',
      'icmp.mpls.label': '16001',
      'icmp.mpls.exp': '3',
      'icmp.mpls.ttl': '1',
      'icmp.int_info.ifindex': '1',
      'icmp.int_info.index': '7',
      'icmp.int_info.ipv4': '10.0.0.1',
      'icmp.int_info.name': 'eth0',
      'icmp.int_info.mtu': '9000',
    },
  ),
  icmpSample(
    'icmp unreachable with extensions behind a long quote',
    {kind: 'destination-unreachable', code: 3, quoted: LONG_QUOTED, extensions: EXTENSIONS.slice(0, 1)},
    {'icmp.type': '3', 'icmp.code': '3', ...quotedFields, 'icmp.ext.checksum.status': '1', 'icmp.mpls.label': '16001'},
  ),
  icmpSample(
    'icmp fragmentation needed',
    {kind: 'destination-unreachable', code: 4, nextHopMtu: 1280, quoted: QUOTED, extensions: []},
    {'icmp.type': '3', 'icmp.code': '4', 'icmp.mtu': '1280', ...quotedFields},
  ),
  icmpSample(
    'icmp redirect',
    {kind: 'redirect', code: 1, gateway: '10.0.0.2', quoted: QUOTED},
    {'icmp.type': '5', 'icmp.code': '1', 'icmp.redir_gw': '10.0.0.2', ...quotedFields},
  ),
  icmpSample('icmp timestamp', {kind: 'other', type: 13, code: 0, rest: new Uint8Array(16)}, {'icmp.type': '13'}),
]

const segment = {
  sourcePort: 40_000,
  destinationPort: 443,
  sequence: 0xdead_beef,
  acknowledgment: 0,
  flags: TCP_SYN,
  window: 64_240,
  urgentPointer: 0,
  // Maximum segment size, 1460.
  options: Uint8Array.of(2, 4, 0x05, 0xb4),
  payload: new Uint8Array(0),
}
const answer = {...segment, sourcePort: 443, destinationPort: 40_000, sequence: 1, acknowledgment: 0xdead_bef0}

const TRANSPORT: SampleFrame[] = [
  {
    name: 'udp probe',
    bytes: udpFrame(
      {...toGateway, vlan: TAG},
      {...out, ttl: 2, options: Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0)},
      {sourcePort: 40_000, destinationPort: 33_434, payload: text('odd')},
    ),
    fields: {
      'vlan.id': '10',
      'ip.opt.type': '7',
      'udp.srcport': '40000',
      'udp.dstport': '33434',
      'udp.length': '11',
      'udp.checksum.status': '1',
      'ip.ttl': '2',
    },
  },
  {
    name: 'udp over ipv6 to all nodes',
    bytes: udp6Frame(
      {destination: '33:33:00:00:00:01', source: GATEWAY},
      {source: 'fe80::ff:fe00:a01', destination: 'ff02::1', hopLimit: 1},
      {sourcePort: 6743, destinationPort: 6742, payload: text('odd')},
    ),
    fields: {
      'ipv6.dst': 'ff02::1',
      'ipv6.hlim': '1',
      'udp.srcport': '6743',
      'udp.dstport': '6742',
      'udp.length': '11',
      'udp.checksum.status': '1',
    },
  },
  {
    name: 'tcp syn',
    bytes: tcpFrame(toGateway, out, segment),
    fields: {
      'tcp.srcport': '40000',
      'tcp.dstport': '443',
      'tcp.seq_raw': '3735928559',
      'tcp.flags': '0x0002',
      'tcp.options.mss_val': '1460',
      'tcp.checksum.status': '1',
      'tcp.window_size_value': '64240',
    },
  },
  {
    name: 'tcp syn ack',
    bytes: tcpFrame(toVm, back, {...answer, flags: TCP_SYN | TCP_ACK}),
    fields: {'tcp.flags': '0x0012', 'tcp.ack_raw': '3735928560', 'tcp.checksum.status': '1'},
  },
  {
    name: 'tcp rst',
    bytes: tcpFrame(toVm, back, {...answer, flags: TCP_RST, options: new Uint8Array(0), payload: text('odd')}),
    fields: {'tcp.flags': '0x0004', 'tcp.checksum.status': '1', 'tcp.len': '3'},
  },
]

const MESSAGE: Omit<Dhcp, 'op' | 'options'> = {
  htype: 1,
  hops: 0,
  xid: 0x1234_5678,
  secs: 3,
  flags: 0x8000,
  ciaddr: '0.0.0.0',
  yiaddr: '10.0.0.10',
  siaddr: '10.0.0.3',
  giaddr: '0.0.0.0',
  chaddr: VM,
  sname: '',
  file: '',
}

const {messageType, serverIdentifier} = dhcpOptions
const ACK = [writeOption(messageType, DHCPACK), writeOption(serverIdentifier, '10.0.0.3')]

/** Every option that has a codec, but 52 and 90, which have samples of their own. */
const EVERY_OPTION: DhcpOption[] = [
  ...ACK,
  writeOption(dhcpOptions.leaseTime, 3600),
  writeOption(dhcpOptions.renewalTime, 1800),
  writeOption(dhcpOptions.rebindingTime, 3150),
  writeOption(dhcpOptions.subnetMask, '255.255.255.0'),
  writeOption(dhcpOptions.router, ['10.0.0.2', '10.0.0.1']),
  writeOption(dhcpOptions.domainNameServer, ['10.0.0.53', '10.0.0.54']),
  writeOption(dhcpOptions.hostName, 'web-07'),
  writeOption(dhcpOptions.domainName, 'site-y.example'),
  writeOption(dhcpOptions.interfaceMtu, 1450),
  writeOption(dhcpOptions.broadcastAddress, '10.0.0.255'),
  writeOption(dhcpOptions.staticRoute, [{destination: '192.0.2.1', router: '10.0.0.1'}]),
  writeOption(dhcpOptions.ntpServers, ['10.0.0.60']),
  writeOption(dhcpOptions.message, 'as you wish'),
  writeOption(dhcpOptions.maximumMessageSize, 1472),
  writeOption(dhcpOptions.vendorClassIdentifier, 'gwswitch'),
  writeOption(dhcpOptions.clientIdentifier, Uint8Array.of(1, 2, 0, 0, 0, 0, 16)),
  writeOption(dhcpOptions.tftpServerName, 'boot.example'),
  writeOption(dhcpOptions.bootfileName, 'pxelinux.0'),
  writeOption(dhcpOptions.domainSearch, ['site-y.example', 'example']),
  writeOption(dhcpOptions.classlessStaticRoute, [
    {prefix: {address: '0.0.0.0', length: 0}, router: '10.0.0.2'},
    {prefix: {address: '203.0.113.0', length: 24}, router: '10.0.0.1'},
  ]),
  writeOption(dhcpOptions.forcerenewNonceCapable, [1]),
  writeOption(dhcpOptions.relayAgentInformation, [{code: 1, data: text('port 7')}]),
]

const dhcpFrame = (message: Dhcp, limits?: DhcpLimits, sign = (bytes: Uint8Array) => bytes): Uint8Array => {
  const request = message.op === BOOTREQUEST
  const ports = [DHCP_CLIENT_PORT, DHCP_SERVER_PORT] as const
  return udpFrame(
    request ? {destination: BROADCAST, source: VM} : toVm,
    request ? {source: '0.0.0.0', destination: '255.255.255.255'} : {source: '10.0.0.3', destination: '10.0.0.10'},
    {
      sourcePort: request ? ports[0] : ports[1],
      destinationPort: request ? ports[1] : ports[0],
      payload: sign(serializeDhcp(message, limits)),
    },
  )
}

/** Search domains of more than 255 bytes: the option is split. */
export const MANY_DOMAINS = Array.from({length: 30}, (_, i) => `department-${i}.example`)
const NONCE = new Uint8Array(16).fill(0x5a)

const DHCP: SampleFrame[] = [
  {
    name: 'dhcp discover',
    bytes: dhcpFrame({
      ...MESSAGE,
      op: BOOTREQUEST,
      yiaddr: '0.0.0.0',
      siaddr: '0.0.0.0',
      options: [
        writeOption(messageType, DHCPDISCOVER),
        writeOption(dhcpOptions.parameterRequestList, [1, 3, 6, 121]),
        writeOption(dhcpOptions.requestedAddress, '10.0.0.10'),
      ],
    }),
    fields: {
      'dhcp.option.dhcp': '1',
      'dhcp.id': '0x12345678',
      'dhcp.hw.mac_addr': VM,
      'dhcp.flags.bc': '1',
      'dhcp.option.requested_ip_address': '10.0.0.10',
      'dhcp.option.request_list_item': '1',
      'udp.checksum.status': '1',
    },
  },
  {
    name: 'dhcp ack with every option',
    bytes: dhcpFrame({...MESSAGE, op: BOOTREPLY, sname: 'server', file: 'file', options: EVERY_OPTION}),
    fields: {
      'dhcp.option.dhcp': '5',
      'dhcp.secs': '3',
      'dhcp.ip.your': '10.0.0.10',
      'dhcp.ip.server': '10.0.0.3',
      'dhcp.server': 'server',
      'dhcp.file': 'file',
      'dhcp.option.dhcp_server_id': '10.0.0.3',
      'dhcp.option.ip_address_lease_time': '3600',
      'dhcp.option.renewal_time_value': '1800',
      'dhcp.option.rebinding_time_value': '3150',
      'dhcp.option.subnet_mask': '255.255.255.0',
      'dhcp.option.router': '10.0.0.2',
      'dhcp.option.domain_name_server': '10.0.0.53',
      'dhcp.option.hostname': 'web-07',
      'dhcp.option.domain_name': 'site-y.example',
      'dhcp.option.interface_mtu': '1450',
      'dhcp.option.broadcast_address': '10.0.0.255',
      'dhcp.option.static_route.ip': '192.0.2.1',
      'dhcp.option.ntp_server': '10.0.0.60',
      'dhcp.option.message': 'as you wish',
      'dhcp.option.dhcp_max_message_size': '1472',
      'dhcp.option.vendor_class_id': 'gwswitch',
      'dhcp.option.tftp_server_name': 'boot.example',
      'dhcp.option.bootfile_name': 'pxelinux.0',
      'dhcp.option.dhcp_dns_domain_search_list_fqdn': 'site-y.example',
      'dhcp.option.classless_static_route': '000a000002',
      'dhcp.option.agent_information_option.agent_circuit_id': '706f72742037',
    },
  },
  {
    name: 'dhcp ack with a split option',
    bytes: dhcpFrame(
      {...MESSAGE, op: BOOTREPLY, options: [...ACK, writeOption(dhcpOptions.domainSearch, MANY_DOMAINS)]},
      {maximum: 1472},
    ),
    fields: {'dhcp.option.dhcp': '5'},
  },
  {
    name: 'dhcp ack with overload',
    bytes: dhcpFrame({
      ...MESSAGE,
      op: BOOTREPLY,
      options: [
        ...ACK,
        {...writeOption(dhcpOptions.hostName, 'in-file'), field: 'file'},
        {...writeOption(dhcpOptions.domainName, 'in-sname.example'), field: 'sname'},
      ],
    }),
    fields: {
      'dhcp.option.option_overload': '3',
      'dhcp.option.hostname': 'in-file',
      'dhcp.option.domain_name': 'in-sname.example',
    },
  },
  {
    name: 'dhcp forcerenew',
    bytes: dhcpFrame(
      {
        ...MESSAGE,
        op: BOOTREPLY,
        ciaddr: '10.0.0.10',
        options: [
          writeOption(messageType, DHCPFORCERENEW),
          writeOption(serverIdentifier, '10.0.0.3'),
          writeOption(dhcpOptions.authentication, unsignedReconfigure(7n)),
        ],
      },
      {},
      (bytes) => signReconfigure(bytes, NONCE),
    ),
    fields: {
      'dhcp.option.dhcp': '9',
      'dhcp.option.dhcp_authentication.protocol': '3',
      'dhcp.option.dhcp_authentication.rdm': '0',
    },
  },
]

export const SAMPLE_FRAMES: readonly SampleFrame[] = [...ARP, ...ICMP, ...TRANSPORT, ...DHCP]
