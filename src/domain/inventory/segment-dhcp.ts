// What an inventory says about DHCP: which server a segment has and how to reach its controls, which client a VM runs.
import * as z from 'zod'
import {isIpv4} from '../../wire/address.ts'
import type {Immutable} from '../immutable.ts'

/** DHCP servers that gwswitch can tell to give a VM another router; `shim`: whatever server, behind `serve dhcp-shim`. */
export const DHCP_SERVERS = ['gwswitch', 'dnsmasq', 'kea', 'isc', 'shim'] as const
export type DhcpServerKind = (typeof DHCP_SERVERS)[number]

/** DHCP clients whose behaviour is known. `dhclient-hook` is dhclient with the exit hook of docs/dhcp.md. */
export const DHCP_CLIENTS = ['dhcpcd', 'udhcpc', 'dhclient', 'dhclient-hook', 'networkd', 'networkmanager'] as const
export type DhcpClientKind = (typeof DHCP_CLIENTS)[number]

const text = (what: string) =>
  z
    .any()
    .transform((value: unknown, context): string => {
      if (typeof value === 'string' && value !== '') return value
      const got = value === null || value === undefined ? 'is missing' : `${JSON.stringify(value)} is not a text`
      context.issues.push({code: 'custom', message: `${got} (want ${what})`, input: value})
      return z.NEVER
    })
    .meta({want: what})

const path = text('a file, /run/...').refine(
  (value) => value.startsWith('/'),
  'is not an absolute path (want /run/...)',
)
const address = text('an IPv4 address, 10.0.0.254').refine(isIpv4, 'is not an IPv4 address (want 10.0.0.254)')
const addressPort = text('ADDRESS:PORT, 127.0.0.1:7911').refine(
  (value) => /^[^:\s]+:\d{1,5}$/.test(value) && isIpv4(value.split(':')[0]!),
  'is not ADDRESS:PORT (want 127.0.0.1:7911)',
)

const endpoint = text('a socket, /run/..., or a URL').refine(
  (value) => value.startsWith('/') || /^https?:\/\/[^\s/@]+\/?/.test(value),
  'is no control channel (want /run/... or https://10.0.0.3:8000/)',
)

const fields = z.strictObject({
  server: z
    .enum(DHCP_SERVERS)
    .describe('Which server answers the segment; `shim`: whatever server, behind `gwswitch serve dhcp-shim`'),
  address: address.optional().describe('Its server identifier (option 54), if known'),
  control: path.optional().describe('gwswitch, Kea, shim: the unix socket that takes its control commands'),
  controls: z
    .array(endpoint)
    .min(1, 'is empty (want a path or a URL)')
    .optional()
    .describe(
      'Kea: the control channels of all servers that answer the segment (unix sockets, URLs), in the order in which to change them',
    ),
  ca: path.optional().describe('Kea: for `https:`, a PEM file with the authority of its certificate'),
  cert: path.optional().describe('Kea: for `https:`, a PEM file with our own certificate'),
  key: path.optional().describe('Kea: for `https:`, a PEM file with the key of our certificate'),
  persist: z
    .boolean('is not true or false')
    .optional()
    .describe('Kea: its file is written too (`config-write`), so that what was changed outlives a restart'),
  pool: z
    .array(text('a range, 10.0.0.100-10.0.0.199'))
    .optional()
    .describe('gwswitch: the addresses for clients without a reservation, each `FIRST-LAST`'),
  lease: z
    .int('is not a number of seconds (want 3600)')
    .min(10, 'is too short (want seconds, at least 10)')
    .optional()
    .describe('gwswitch: how long it leases addresses, s'),
  optsfile: path.optional().describe('dnsmasq: the file of `dhcp-optsfile=`'),
  pidfile: path.optional().describe('dnsmasq: its pid file'),
  omapi: addressPort.optional().describe('ISC dhcpd: ADDRESS:PORT of OMAPI'),
  omapiKey: path.optional().describe('ISC dhcpd: a file with the name and the secret of the OMAPI key'),
  leases: path
    .optional()
    .describe('ISC dhcpd: its leases file, which alone tells what a host was given before a switch'),
  config: path.optional().describe('ISC dhcpd: its configuration, read for an option 121 that outweighs the router'),
  renewEvery: z
    .number()
    .refine((value) => Number.isInteger(value) && value > 0, 'is not a time (want whole seconds, 10)')
    .optional()
    .describe(
      'T1 of its leases, s, where it is short: every client asks by itself that often, which the strategy may wait for',
    ),
  log: path.optional().describe('dnsmasq, Kea, ISC: its log, which holds the transaction ids'),
  nonces: path
    .optional()
    .describe('dnsmasq, Kea, ISC: a file with the reconfigure nonce of each VM that the server hands out'),
  state: path
    .optional()
    .describe("gwswitch's own record of what clients and servers said; without it a place under /var/lib/gwswitch"),
})

/** The DHCP server of a segment. Paths are those of the host that gwswitch runs on. */
export type SegmentDhcp = Immutable<z.infer<typeof fields>>

/** Controls that belong to each server, and whether it cannot be told anything without. */
const CONTROLS: Readonly<Record<DhcpServerKind, Partial<Record<keyof SegmentDhcp, 'needed' | 'possible'>>>> = {
  gwswitch: {control: 'possible', pool: 'possible', lease: 'possible'},
  dnsmasq: {optsfile: 'needed', pidfile: 'possible', log: 'possible', nonces: 'possible'},
  kea: {
    ...{control: 'possible', controls: 'possible', ca: 'possible', cert: 'possible', key: 'possible'},
    persist: 'possible',
    log: 'possible',
    nonces: 'possible',
  },
  isc: {
    omapi: 'possible',
    omapiKey: 'possible',
    leases: 'possible',
    config: 'possible',
    log: 'possible',
    nonces: 'possible',
  },
  shim: {control: 'possible'},
}

/** `segments.NAME.dhcp`. */
export const segmentDhcpSchema = fields.superRefine((dhcp, context) => {
  const own = CONTROLS[dhcp.server]
  for (const key of Object.keys(dhcp) as (keyof SegmentDhcp)[]) {
    if (['server', 'address', 'state', 'renewEvery'].includes(key) || own[key]) continue
    const want = Object.keys(own).join(', ')
    context.addIssue({code: 'custom', path: [key], message: `is not for the server ${dhcp.server} (want ${want})`})
  }
  for (const [key, need] of Object.entries(own)) {
    if (need === 'possible' || dhcp[key as keyof SegmentDhcp] !== undefined) continue
    context.addIssue({code: 'custom', path: [key], message: `is missing (the server ${dhcp.server} needs it)`})
  }
})

/** `vms.NAME.dhcp`. */
export const vmDhcpSchema = z.strictObject({
  client: z
    .enum(DHCP_CLIENTS)
    .optional()
    .describe('Its DHCP client; `dhclient-hook` is dhclient with the exit hook of docs/dhcp.md'),
  guestAgent: path
    .optional()
    .describe("Unix socket of the VM's QEMU guest agent, through which the client is told to renew"),
  carrier: z
    .strictObject({
      qmp: path.optional().describe("QMP's socket"),
      nic: text('the id of its NIC in QEMU, net0').optional().describe("With `qmp`: QEMU's name of the NIC"),
      domain: text('the name of a libvirt domain').optional().describe('Its domain in libvirt, in place of `qmp`'),
      connect: text('a libvirt URI, qemu:///system')
        .optional()
        .describe("libvirt's connection URI, if not the usual one"),
    })
    .refine(({qmp, domain}) => (qmp === undefined) !== (domain === undefined), 'wants one of qmp and domain')
    .optional()
    .describe('Where its hypervisor is told to take its cable out for a moment: by QMP, or by libvirt'),
})
/** The DHCP client of a VM. */
export type VmDhcp = Immutable<z.infer<typeof vmDhcpSchema>>
