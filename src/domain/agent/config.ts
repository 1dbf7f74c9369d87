// The agent's configuration, /etc/gwswitch/agent.yaml: who this VM is, whom it obeys, and how far.
import * as z from 'zod'
import {Failure} from '../../errors.ts'
import {isIpv4, type Mac, readMac} from '../../wire/address.ts'
import {
  AGENT_PORT,
  isAgentId,
  isKid,
  NOTE_PORT,
  PROBE_LIMIT,
  readPublicKey,
  SWITCH_MODES,
} from '../../wire/agent-message.ts'
import {type Endpoint, readEndpoint} from '../../wire/endpoint.ts'
import {readIpv6} from '../../wire/ipv6-address.ts'
import type {Immutable} from '../immutable.ts'
import {hint} from '../suggest.ts'
import {type Path, pathText, readYaml, type YamlFile} from '../yaml-file.ts'

const STATE_DIRECTORY = '/var/lib/gwswitch'
const SOCKET = '/run/gwswitch/agent.sock'
const KEY_FILE = '/etc/gwswitch/agent.key'

const isAddress = (text: string): boolean => isIpv4(text) || readIpv6(text) !== undefined
/** The form in which the kernel's addresses come back. */
const canonical = (text: string): string => readIpv6(text) ?? text

const address = z
  .string()
  .refine(isAddress, {error: 'is not an IP address (want 10.0.0.1 or fd00::1)'})
  .transform(canonical)
const id = z.string().refine(isAgentId, {error: 'is not an id (want 1 to 64 of letters, digits, ".", "_", ":", "-")'})
/** A `kid` is any string (RFC 7515, 4.1.4); together with all the rest it must fit a datagram. */
const kid = z.string().refine(isKid)
const mode = z.enum(['auto', ...SWITCH_MODES])
const seconds = (max: number) => z.number().min(0).max(max)
const mac = z.string().transform((text, context): Mac => {
  const read = readMac(text)
  if (read !== undefined) return read
  context.issues.push({code: 'custom', message: 'is not a MAC address (want "02:00:00:00:0a:01")', input: text})
  return z.NEVER
})
/** `address:port`, or an address alone for `port`. */
const endpoint = (port: number, want: string) =>
  z.string().transform((text, context) => {
    const read = readEndpoint(text, port)
    if (read !== undefined) return read
    context.issues.push({code: 'custom', message: `is not address:port (want ${want})`, input: text})
    return z.NEVER
  })
const moment = z.string().transform((text, context) => {
  const ms = Date.parse(text)
  if (!Number.isNaN(ms)) return ms
  context.issues.push({code: 'custom', message: 'is no time (want 2027-01-31 or 2027-01-31T12:00:00Z)', input: text})
  return z.NEVER
})
const trustedSchema = z.strictObject({
  /** Ed25519, 43 characters of base64url. */
  key: z.string().refine((text) => readPublicKey(text) !== undefined, {
    error: 'is not an Ed25519 public key (want the 43 characters that "gwswitch agent keygen" prints)',
  }),
  /** The gateways it may choose. */
  gateways: z.array(address).min(1, {error: 'is empty (want the gateways that this key may choose)'}),
  /** Between which it may give orders, as ISO 8601 writes it; ms since 1970 once read. */
  notBefore: moment.optional(),
  notAfter: moment.optional(),
})

const windowsSchema = z.strictObject({
  /** How far the clocks of VM and controller may be apart. */
  clockSkewS: seconds(3600).default(30),
  /** The longest `exp - iat` that is believed. */
  lifetimeS: seconds(86_400).default(3600),
  /** How long probes may take before the change, and again after it. */
  probeMs: z.number().min(50).max(60_000).default(1000),
  /** From the change to the rollback, if nothing confirms it. `confirm_s` of a command overrides it, up to an hour. */
  confirmS: z.number().min(1).max(3600).default(10),
  /** How long `drain` keeps open sessions on the old gateway. */
  drainS: seconds(86_400).default(300),
  /** How long a confirmed gateway is still watched, to go back if it dies while the old one lives. 0: not at all. */
  guardS: seconds(86_400).default(60),
})
/** In ms, but for those in seconds. */
export type AgentWindows = Immutable<z.infer<typeof windowsSchema>>
export const DEFAULT_WINDOWS: AgentWindows = windowsSchema.parse({})

const schema = z.strictObject({
  version: z.literal(1),
  vm: id,
  /** File of the agent's own private key, PEM. */
  key: z.string().default(KEY_FILE),
  /** DMI product UUID that this VM had when it was enrolled; a clone has another. */
  dmiUuid: z.string().toLowerCase().optional(),
  /** Keys that may give orders, by their ids. */
  trusted: z.record(kid, trustedSchema).default({}),
  /** Interfaces whose default route may be switched. Empty: the interface of the default route. */
  interfaces: z.array(z.strictObject({mac, mode: mode.optional()})).default([]),
  /** For interfaces that do not say. `auto`: replace, or rule where a program owns the route. */
  mode: mode.default('auto'),
  /** Addresses beyond the gateways, of which one must answer an echo. */
  probes: z.array(address).max(PROBE_LIMIT).default([]),
  windows: windowsSchema.default(DEFAULT_WINDOWS),
  /** `address:port` to listen on; empty for none. */
  listen: z
    .array(endpoint(AGENT_PORT, `"0.0.0.0:${AGENT_PORT}" or "[::]:${AGENT_PORT}"`))
    .default([{address: '::', port: AGENT_PORT}]),
  /** Unix socket for `agent --once` and tools on the VM itself; false for none. */
  socket: z.union([z.string(), z.literal(false)]).default(SOCKET),
  /** Directory of what must outlive the agent. */
  state: z.string().default(STATE_DIRECTORY),
  /** Hear the sites' signed beacons, and ask for the gateway of the site that the VM finds itself in. */
  beacons: z.boolean().default(false),
  /** Controllers to ask in any case when the VM notices that it was moved. */
  askOnMove: z.array(endpoint(NOTE_PORT, `"192.0.2.50:${NOTE_PORT}"`)).default([]),
})
type Written = Immutable<z.infer<typeof schema>>

/** A key that may give orders. */
export interface TrustedKey extends Omit<Immutable<z.infer<typeof trustedSchema>>, 'key'> {
  readonly kid: string
  readonly publicKey: string
}
/** An interface whose default route may be switched. */
export type AgentInterface = Required<Written['interfaces'][number]>

/** What was written, with everything filled in. */
export interface AgentConfig extends Omit<Written, 'version' | 'trusted' | 'interfaces' | 'socket'> {
  /** Where it was read from, for messages. */
  readonly file: string
  readonly trusted: readonly TrustedKey[]
  readonly interfaces: readonly AgentInterface[]
  readonly socket: string | undefined
}

/** Reads an agent.yaml. Throws Failure('usage'): `file:line:column: key: what, and what would be right`. */
export function parseAgentConfig(text: string, file: string): AgentConfig {
  const yaml = readYaml(text, file)
  if (yaml.value === null || yaml.value === undefined) {
    throw new Failure('usage', `${file}: is empty (want "version: 1", vm, trusted; "gwswitch agent enroll" writes one)`)
  }
  const parsed = schema.safeParse(yaml.value)
  if (!parsed.success) throw refusal(yaml, parsed.error.issues[0]!)
  if (parsed.data.beacons && !parsed.data.listen.some(hearsBroadcasts)) {
    const want = `"[::]:${AGENT_PORT}" or "0.0.0.0:${AGENT_PORT}"`
    throw at(yaml, ['beacons'], false, `needs ${want} in listen: a broadcast reaches no other socket`)
  }
  const {version: _, trusted, interfaces, socket, ...rest} = parsed.data
  return {
    ...rest,
    file,
    trusted: Object.entries(trusted).map(([name, {key, ...rest}]) => ({kid: name, publicKey: key, ...rest})),
    interfaces: interfaces.map((each) => ({mac: each.mac, mode: each.mode ?? rest.mode})),
    socket: socket === false ? undefined : socket,
  }
}

const hearsBroadcasts = ({address, port}: Endpoint): boolean =>
  port === AGENT_PORT && (address === '::' || address === '0.0.0.0')

function refusal(yaml: YamlFile, issue: z.core.$ZodIssue): Failure {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!
    return at(yaml, [...path, key], true, `is not a key of the agent's configuration${hint(key, knownKeys(path))}`)
  }
  const value = yaml.valueAt(path)
  if (value === undefined || value === null) return at(yaml, path, false, 'is missing')
  if (issue.code === 'too_small' && issue.origin === 'array') return at(yaml, path, false, issue.message)
  const shown = typeof value === 'object' ? (Array.isArray(value) ? 'a list' : 'a map') : JSON.stringify(value)
  // What is custom is said by the schema above; other words are the library's.
  const message = issue.code === 'custom' ? issue.message : `is not right: ${lowerFirst(issue.message)}`
  return at(yaml, path, false, `${shown} ${message}`)
}

function at(yaml: YamlFile, path: Path, atKey: boolean, message: string): Failure {
  const {line, column} = yaml.locate(path, atKey)
  return new Failure(
    'usage',
    `${yaml.file}:${line}:${column}: ${pathText(path)}${path.length > 0 ? ' ' : ''}${message}`,
  )
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)

function knownKeys(path: Path): readonly string[] {
  if (path.length === 0) return Object.keys(schema.shape)
  const shapes: Readonly<Record<string, z.ZodObject>> = {trusted: trustedSchema, windows: windowsSchema}
  if (path[0] === 'interfaces') return ['mac', 'mode']
  return Object.keys(shapes[String(path[0])]?.shape ?? {})
}
