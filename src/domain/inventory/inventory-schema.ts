// What an inventory file may say, key by key, and what is said of a key that is wrong.
import * as z from 'zod'
import {
  type Ipv4,
  isGroupMac,
  isIpv4,
  type Mac,
  type Prefix,
  prefixText,
  readMac,
  readPrefix,
  ZERO_MAC,
} from '../../wire/address.ts'
import {addressBits, ipPrefixOf, readIpPrefix} from '../../wire/ip-prefix.ts'
import {type Ipv6, isMulticastIpv6, readIp, readIpv6} from '../../wire/ipv6-address.ts'
import {hint} from '../suggest.ts'
import type {Path, Problem, YamlFile} from '../yaml-file.ts'
import {segmentDhcpSchema, vmDhcpSchema} from './segment-dhcp.ts'
import {pathField, vmAgentSchema} from './vm-agent.ts'

/** A scalar read by `read`; what it does not know is refused with `want`. */
function scalar<T>(what: string, want: string, read: (text: string) => T | undefined) {
  return z.any().transform((value: unknown, context): T => {
    const got = typeof value === 'string' ? read(value) : undefined
    if (got !== undefined) return got
    const message = isMissing(value)
      ? `is missing (want ${what}: ${want})`
      : `${quote(value)} is not ${what} (want ${want})`
    context.issues.push({code: 'custom', message, input: value})
    return z.NEVER
  })
}

const isMissing = (value: unknown): boolean => value === undefined || value === null

function quote(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

const macField = scalar<Mac>('a MAC address', '02:00:00:00:0a:01', readMac).superRefine((mac, context) => {
  const wrong = mac === ZERO_MAC ? 'the zero MAC' : isGroupMac(mac) ? 'a multicast MAC' : undefined
  if (wrong !== undefined) {
    context.addIssue({code: 'custom', message: `"${mac}" is ${wrong} (want a station's own, 02:00:00:00:0a:01)`})
  }
})
const ipField = scalar<Ipv4>('an IPv4 address', '10.0.0.1', (text) => (isIpv4(text) ? text : undefined))
const ip6Field = scalar<Ipv6>('an IPv6 address', 'fe80::1', readIpv6).superRefine((ip, context) => {
  if (!isMulticastIpv6(ip) && ip !== '::') return
  context.addIssue({code: 'custom', message: `"${ip}" is no address of a station (want its own, fe80::1)`})
})
const anyIpField = scalar<Ipv4 | Ipv6>('an IP address', '203.0.113.10', readIp)
const nameField = scalar<string>('a name', 'letters, digits, "-", "_", "."', (text) => (text === '' ? undefined : text))

const prefixBy = (read: (text: string) => Prefix | undefined) =>
  z.any().transform((value: unknown, context): Prefix => {
    const text = typeof value === 'string' ? value : ''
    const prefix = read(text)
    if (prefix !== undefined) return prefix
    const want = prefixAround(text, read) ?? '10.0.0.0/24'
    const message = isMissing(value)
      ? `is missing (want a prefix: ${want})`
      : `${quote(value)} is not a prefix (want ${want})`
    context.issues.push({code: 'custom', message, input: value})
    return z.NEVER
  })
const prefixField = prefixBy(readPrefix)
/** Of either family. */
const anyPrefixField = prefixBy(readIpPrefix)

/** The prefix that an address with bits behind its length lies in. */
function prefixAround(text: string, read: (text: string) => Prefix | undefined): string | undefined {
  const [address = '', length = ''] = text.split('/')
  const ip = readIp(address)
  if (ip === undefined || !/^\d{1,3}$/.test(length) || Number(length) > addressBits(ip)) return undefined
  const around = prefixText(ipPrefixOf(ip, Number(length)))
  return read(around) && around
}

/** YAML reads a key with nothing behind it as null: an empty map, to whoever wrote it. */
const emptyIfNull = <T extends z.ZodType>(schema: T, empty: object) => z.preprocess((value) => value ?? empty, schema)

const siteSchema = z.strictObject({
  prefixes: z.array(anyPrefixField).default([]),
  probes: z.array(anyIpField).optional(),
  dciRttMs: z.number().optional(),
  agentKey: pathField('/etc/gwswitch/site-y.key').optional(),
})
/** RFC 4861 section 6.2.1, AdvDefaultLifetime; 0 would say that it is none. */
const LIFETIME = 'a router lifetime (want 1 to 9000 s)'
const gatewaySchema = z.strictObject({
  name: nameField,
  site: nameField,
  ip: ipField,
  mac: macField,
  ip6: z.array(ip6Field).optional(),
  ownIp: ipField.optional(),
  ra: z
    .strictObject({
      lifetime: z.number().int(LIFETIME).min(1, LIFETIME).max(9000, LIFETIME).optional(),
      preference: z.enum(['low', 'medium', 'high']).optional(),
    })
    .optional(),
})
/** VLAN identifiers that IEEE 802.1Q leaves to users: 0 is a tag without one, 4095 is reserved. */
const vlanField = z.any().transform((value: unknown, context): number | 'untagged' => {
  if (value === 'untagged') return value
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 4094) return value
  const message = `${quote(value)} is not a VLAN (want 1 to 4094, or untagged)`
  context.issues.push({code: 'custom', message, input: value})
  return z.NEVER
})
/** Longest interface name: IFNAMSIZ less the NUL; the kernel allows neither blanks nor slashes. */
const portField = scalar<string>('an interface', 'vx0', (text) => (/^[^\s/"\\]{1,15}$/.test(text) ? text : undefined))
const segmentSchema = z.strictObject({
  prefix: prefixField,
  gateways: emptyIfNull(z.array(gatewaySchema), []).default([]),
  vlan: vlanField.optional(),
  ports: z.array(portField).min(1).optional(),
  dhcp: segmentDhcpSchema.optional(),
})
const nic = {
  segment: nameField,
  ip: ipField,
  mac: macField,
  ips: z.array(ipField).optional(),
  ip6: z.array(ip6Field).optional(),
}
const nicSchema = z.strictObject({...nic, name: nameField.optional()})
const vmSchema = z.strictObject({
  ...nic,
  nics: z.array(nicSchema).optional(),
  strategies: z.array(nameField).default([]),
  site: nameField.optional(),
  dhcp: vmDhcpSchema.optional(),
  agent: vmAgentSchema.optional(),
})
const sections = {
  sites: emptyIfNull(z.record(z.string(), emptyIfNull(siteSchema, {})), {}),
  segments: emptyIfNull(z.record(z.string(), segmentSchema), {}),
  vms: emptyIfNull(z.record(z.string(), vmSchema), {}),
}
/** `include` of an inventory: paths and globs, relative to its folder. */
export const includeField = z.array(scalar<string>('a path or a glob', 'vms/*.yaml', (text) => text || undefined))
export const inventorySchema = z.strictObject({version: z.literal(1), include: includeField.optional(), ...sections})
/** A file that an inventory includes. It includes nothing itself: there are no circles, and one list says what is read. */
export const includedSchema = z.strictObject({version: z.literal(1).optional(), ...sections})

/** Any of the two. */
export type Parsed = z.output<typeof includedSchema>

/** Keys that an object at this place may have, for "did you mean". */
function knownKeys(path: Path): readonly string[] {
  if (path.length === 0) return Object.keys(inventorySchema.shape)
  const schemas: Readonly<Record<string, z.ZodObject>> = {sites: siteSchema, segments: segmentSchema, vms: vmSchema}
  if (path[2] === 'nics') return Object.keys(nicSchema.shape)
  if (path[2] === 'agent') return Object.keys(vmAgentSchema.shape)
  if (path[2] === 'dhcp') return Object.keys((path[0] === 'vms' ? vmDhcpSchema : segmentDhcpSchema).shape)
  const schema = path.length > 2 ? gatewaySchema : schemas[String(path[0])]
  return Object.keys(schema?.shape ?? {})
}

/** What zod says of a file, in our words. */
export function problemsOf(issue: z.core.$ZodIssue, yaml: YamlFile): readonly Problem[] {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key],
      atKey: true,
      message:
        path.length === 0 && key === 'include'
          ? 'is not a key of an included file (want it in the inventory itself)'
          : `is not a key of the inventory${hint(key, knownKeys(path))}`,
    }))
  }
  if (issue.code === 'custom') return [{path, message: issue.message}]
  const value = yaml.valueAt(path)
  const want = issue.code === 'invalid_value' ? issue.values.map(quote).join(' or ') : wanted(issue)
  const message = isMissing(value) ? `is missing (want ${want})` : `${quote(value)} is not ${want}`
  return [{path, message}]
}

function wanted(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_type') return issue.message
  return (
    {array: 'a list', number: 'a number', object: 'a map of keys', record: 'a map of names'}[String(issue.expected)] ??
    issue.expected
  )
}
