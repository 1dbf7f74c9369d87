// The lines that an operator adds to a DHCP server of another make, so that the dhcp strategy can steer it.
import type {DhcpServerKind, SegmentDhcp} from '../../domain/inventory/segment-dhcp.ts'
import type {Segment, Vm} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import {ISC_OMAPI} from '../../strategies/dhcp/backends/isc.ts'
import {KEA_CONTROL} from '../../strategies/dhcp/backends/kea.ts'
import type {NonceFile} from '../../strategies/dhcp/nonce-file.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {reconfigureNonce} from '../../wire/dhcp-auth.ts'
import {dhcpOptions} from '../../wire/dhcp-options.ts'

/** Servers that lines can be printed for. */
export const PRINTABLE = ['dnsmasq', 'kea', 'isc'] as const satisfies readonly DhcpServerKind[]
export type PrintableServer = (typeof PRINTABLE)[number]

/** Text, and the file that it belongs in. */
export interface ConfigBlock {
  readonly file: string
  /** What it is, and what else must be there. */
  readonly note: string
  readonly text: string
}

interface PrintedVm {
  readonly name: string
  readonly ip: Ipv4
  readonly mac: Mac
  readonly router: Ipv4
  /** 32 hex digits. */
  readonly nonce: string
}

export interface PrintConfigRequest {
  readonly server: PrintableServer
  readonly segment: Segment
  readonly vms: readonly Vm[]
  /** Nonces there are already; those of other VMs are drawn. */
  readonly nonces?: NonceFile | undefined
  /** 16 random bytes. */
  readonly drawNonce: () => Uint8Array
}

const DEFAULTS = {
  optsfile: '/etc/gwswitch/dnsmasq.opts',
  nonces: '/etc/gwswitch/nonces',
  dnsmasqLog: '/var/log/dnsmasq.log',
  keaLog: '/var/log/kea/kea-dhcp4.log',
  iscLog: '/var/log/dhcpd.log',
}

/**
 * Every block for one segment. The router of a VM is that of the site the inventory has it in, else the first gateway.
 * The nonce goes into the first ACK alone: the client's REQUEST then carries option 54. In an OFFER it would keep dhcpcd
 * from getting any lease.
 * @throws Failure `usage` for a segment without gateways or VMs.
 */
export function printConfig(order: PrintConfigRequest): readonly ConfigBlock[] {
  const {segment, nonces, drawNonce} = order
  const vms = order.vms.filter((vm) => vm.segment === segment.name)
  if (vms.length === 0 || segment.gateways.length === 0) {
    throw new Failure(
      'usage',
      `segment ${segment.name} has no ${vms.length === 0 ? 'VMs' : 'gateways'} in the inventory: nothing to print`,
    )
  }
  const printed = vms.map(
    (vm): PrintedVm => ({
      name: vm.name,
      ip: vm.ip,
      mac: vm.mac,
      router: (segment.gateways.find(({site}) => site === vm.site) ?? segment.gateways[0]!).ip,
      nonce: Buffer.from(nonces?.of(vm.mac) ?? drawNonce()).toString('hex'),
    }),
  )
  const dhcp = segment.dhcp?.server === order.server ? segment.dhcp : undefined
  const own = {dnsmasq: dnsmasqBlocks, kea: keaBlocks, isc: iscBlocks}[order.server](printed, segment, dhcp)
  return [...own, nonceBlock(printed, dhcp), inventoryBlock(order.server, segment.name, dhcp)]
}

/** The blocks as they are printed: `#` lines say where each goes. */
export const configText = (blocks: readonly ConfigBlock[], comment = '#'): string[] =>
  blocks.flatMap(({file, note, text}) => [`${comment} ==== ${file}`, `${comment} ${note}`, ...text.split('\n'), ''])

/** Option 90 of the ACK: the replay value counts from 1, FORCERENEWs then use the clock, far above. */
const optionData = (nonce: string): Buffer =>
  Buffer.from(dhcpOptions.authentication.write(reconfigureNonce(1n, Buffer.from(nonce, 'hex'))))
const pairs = (bytes: Buffer): string => bytes.toString('hex').replace(/..(?=.)/g, '$&:')

function dnsmasqBlocks(vms: readonly PrintedVm[], _segment: Segment, dhcp: SegmentDhcp | undefined): ConfigBlock[] {
  const optsfile = dhcp?.optsfile ?? DEFAULTS.optsfile
  const hosts = vms.flatMap(({name, ip, mac, nonce}) => [
    `dhcp-host=${mac},set:${name},${ip}`,
    `dhcp-option-force=tag:${name},tag:gwswitch-first,tag:gwswitch-listens,90,${pairs(optionData(nonce))}`,
  ])
  const text = [
    `dhcp-optsfile=${optsfile}`,
    'log-dhcp',
    `log-facility=${dhcp?.log ?? DEFAULTS.dnsmasqLog}`,
    'dhcp-match=set:gwswitch-first,54',
    'dhcp-match=set:gwswitch-listens,145',
    ...hosts,
  ].join('\n')
  return [
    {
      file: '/etc/dnsmasq.d/gwswitch.conf',
      note: 'beside your dhcp-range; restart dnsmasq once. Never write set: into a dhcp-hostsfile: 2.81 to 2.90 abort at SIGHUP.',
      text,
    },
    {
      file: optsfile,
      note: 'gwswitch rewrites the line of a VM and sends SIGHUP; other lines stay.',
      text: vms.map(({name, router}) => `tag:${name},option:router,${router}`).join('\n'),
    },
  ]
}

function keaBlocks(vms: readonly PrintedVm[], _segment: Segment, dhcp: SegmentDhcp | undefined): ConfigBlock[] {
  const classes = vms.map(({name, mac, nonce}) => ({
    name: `gwswitch-${name}`,
    test: `option[54].exists and option[145].exists and pkt4.mac == 0x${mac.replaceAll(':', '')}`,
    'option-data': [
      {code: 90, 'csv-format': false, 'always-send': true, data: optionData(nonce).toString('hex').toUpperCase()},
    ],
  }))
  const reservations = vms.map(({ip, mac, router}) => ({
    'hw-address': mac,
    'ip-address': ip,
    'option-data': [{name: 'routers', data: router}],
  }))
  const logger = {name: 'kea-dhcp4', severity: 'INFO', output_options: [{output: dhcp?.log ?? DEFAULTS.keaLog}]}
  const inside = {
    'control-socket': {'socket-type': 'unix', 'socket-name': dhcp?.control ?? KEA_CONTROL},
    'client-classes': classes,
    loggers: [logger],
  }
  const members = (value: object): string => JSON.stringify(value, undefined, 2).split('\n').slice(1, -1).join('\n')
  return [
    {
      file: '/etc/kea/kea-dhcp4.conf, inside "Dhcp4"',
      note: '"interfaces-config" needs "dhcp-socket-type": "raw" for clients on the same segment.',
      text: members(inside),
    },
    {
      file: '/etc/kea/kea-dhcp4.conf, inside the subnet of the segment',
      note: dhcp?.persist
        ? 'gwswitch changes the routers, and has Kea write this file anew.'
        : 'gwswitch changes the routers in memory; a restart of Kea begins with these again.',
      text: members({reservations}),
    },
  ]
}

function iscBlocks(vms: readonly PrintedVm[], _segment: Segment, dhcp: SegmentDhcp | undefined): ConfigBlock[] {
  const nonces = vms.flatMap(({name, mac, nonce}) => [
    `  # ${name}`,
    `  if exists dhcp-server-identifier and exists gwswitch-listens and substring(hardware, 1, 6) = ${mac} {`,
    '    option dhcp-parameter-request-list = concat(option dhcp-parameter-request-list, 5a);',
    `    option gwswitch-auth ${pairs(optionData(nonce))};`,
    '  }',
  ])
  const global = [
    `omapi-port ${(dhcp?.omapi ?? ISC_OMAPI).split(':')[1]};`,
    'option gwswitch-auth code 90 = string;',
    'option gwswitch-listens code 145 = string;',
  ].join('\n')
  const subnet = [
    '  if option dhcp-message-type = 3 {',
    '    log(info, concat("gwswitch request ", binary-to-ascii(16, 8, ":", substring(hardware, 1, 6)), " xid ", binary-to-ascii(16, 32, "", packet(4, 4))));',
    '  }',
    ...nonces,
  ].join('\n')
  const hosts = vms.map(
    ({name, ip, mac, router}) =>
      `new host\nset name = "${name}"\nset hardware-address = ${mac}\nset hardware-type = 1\nset ip-address = ${ip}\nset statements = "option routers ${router};"\ncreate`,
  )
  return [
    {
      file: '/etc/dhcp/dhcpd.conf, at the top',
      note: 'OMAPI listens on every address: keep its port from the network, or add omapi-key (omapiKey in the inventory).',
      text: global,
    },
    {
      file: '/etc/dhcp/dhcpd.conf, inside the subnet of the segment',
      note: `xids go to dhcpd's log, ${dhcp?.log ?? DEFAULTS.iscLog} in the inventory.`,
      text: subnet,
    },
    {
      file: 'standard input of omshell, once',
      note: 'hosts are OMAPI objects, kept in dhcpd.leases: write no host {} for them.',
      text: ['server 127.0.0.1', `port ${(dhcp?.omapi ?? ISC_OMAPI).split(':')[1]}`, 'connect', ...hosts].join('\n'),
    },
  ]
}

const nonceBlock = (vms: readonly PrintedVm[], dhcp: SegmentDhcp | undefined): ConfigBlock => ({
  file: dhcp?.nonces ?? DEFAULTS.nonces,
  note: 'mode 0600: whoever knows a nonce can make that VM renew.',
  text: vms.map(({mac, nonce, name}) => `${mac} ${nonce}  # ${name}`).join('\n'),
})

function inventoryBlock(server: PrintableServer, segment: string, dhcp: SegmentDhcp | undefined): ConfigBlock {
  const keys: Readonly<Record<PrintableServer, SegmentDhcp>> = {
    dnsmasq: {
      server,
      optsfile: DEFAULTS.optsfile,
      pidfile: '/run/dnsmasq/dnsmasq.pid',
      log: DEFAULTS.dnsmasqLog,
      nonces: DEFAULTS.nonces,
    },
    kea: {server, control: KEA_CONTROL, log: DEFAULTS.keaLog, nonces: DEFAULTS.nonces},
    isc: {server, omapi: ISC_OMAPI, log: DEFAULTS.iscLog, nonces: DEFAULTS.nonces},
  }
  const entries = Object.entries({...keys[server], ...dhcp}).map(([key, value]) => `${key}: ${value}`)
  return {
    file: `gwswitch.yaml, segments.${segment}`,
    note: 'how gwswitch reaches the server.',
    text: `dhcp: { ${entries.join(', ')} }`,
  }
}
