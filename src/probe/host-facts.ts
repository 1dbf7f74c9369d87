// Reads what `doctor` judges of a host. Sends nothing and changes nothing: what must be tried is tried in a scratch network
// namespace that ends with its command.
import {
  type Ability,
  type AbilityName,
  CAPABILITIES,
  type Capability,
  type DoctorFacts,
  type DoctorInterface,
  SETTINGS,
  type ServiceSocket,
  type Settings,
} from '../domain/doctor/facts.ts'
import {Failure} from '../errors.ts'
import {fileFacts, textIfReadable} from '../net/file/text-file.ts'
import type {InterfaceFacts} from '../net/ip.ts'
import {openPacketSocket} from '../net/packet/packet-socket.ts'
import {tryCommand} from '../net/process/command.ts'
import {isListening} from '../net/stream/unix-socket.ts'

/** What needs neither an inventory nor the network. */
export type HostFacts = Omit<DoctorFacts, 'inventory' | 'readable' | 'network' | 'strategies' | 'program'>

/** A service, and the unix socket at which it takes orders. */
export interface KnownSocket {
  readonly service: string
  readonly path: string
}

export async function hostFacts(
  interfaces: readonly InterfaceFacts[],
  sockets: readonly KnownSocket[],
): Promise<HostFacts> {
  const capabilities = heldCapabilities(textIfReadable('/proc/thread-self/status') ?? '')
  const [programs, abilities, states] = await Promise.all([
    programsHere(),
    abilitiesHere(),
    Promise.all(sockets.map(socketState)),
  ])
  return {
    ...{node: process.versions.node, kernel: textIfReadable('/proc/sys/kernel/osrelease')?.trim() ?? 'unknown'},
    ...{capabilities, isRoot: process.geteuid?.() === 0, programs, abilities, sockets: states},
    interfaces: interfaces.filter(({ethernet}) => ethernet).map((each) => interfaceFacts(each, interfaces)),
    all: settingsOf('all'),
    bridgeNetfilter: numberIn('/proc/sys/net/bridge/bridge-nf-call-iptables'),
  }
}

const numberIn = (path: string): number | null => {
  const text = textIfReadable(path)?.trim()
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : null
}

const settingsOf = (name: string): Settings =>
  Object.fromEntries(SETTINGS.map((each) => [each, numberIn(`/proc/sys/net/ipv4/conf/${name}/${each}`)]))

const interfaceFacts = (
  {name, mac, up, carrier, addresses, kind, bridge}: InterfaceFacts,
  all: readonly InterfaceFacts[],
): DoctorInterface => ({
  ...{name, mac, up, carrier, addresses, isBridge: kind === 'bridge'},
  bridge: all.find(({index}) => index === bridge)?.name ?? null,
  settings: settingsOf(name),
  locktime: numberIn(`/proc/sys/net/ipv4/neigh/${name}/locktime`),
})

/** capability.h. */
const BITS: Readonly<Record<Capability, bigint>> = {
  ...{CAP_NET_BIND_SERVICE: 10n, CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n, CAP_SYS_ADMIN: 21n},
}

/** The effective ones (proc_pid_status(5)). */
function heldCapabilities(status: string): ReadonlySet<Capability> {
  const mask = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  return new Set(CAPABILITIES.filter((name) => (mask >> BITS[name]) & 1n))
}

const PROGRAMS = ['ip', 'bridge', 'nft'] as const

async function programsHere(): Promise<Record<string, boolean>> {
  const found = await Promise.all(PROGRAMS.map((name) => tryCommand('sh', ['-c', `command -v ${name}`])))
  return Object.fromEntries(PROGRAMS.map((name, i) => [name, found[i]!.code === 0]))
}

/** Whether each can be done, tried where nobody else is. */
const TRIED: Readonly<Record<Exclude<AbilityName, 'raw-frames'>, readonly [script: string, input: string]>> = {
  'nft-bridge': ['nft -f -', 'table bridge t { chain c { type filter hook prerouting priority 0; }; }'],
  'nft-timeouts': ['nft -f -', 'table inet t { set s { type ipv4_addr; timeout 1s; elements = { 192.0.2.1 }; }; }'],
  'vlan-devices': ['ip link add b0 type bridge && ip link add link b0 name b0.7 type vlan id 7', ''],
  conntrack: ['nft -f -', 'table inet t { chain c { type filter hook input priority 0; ct state invalid counter; }; }'],
}

async function abilitiesHere(): Promise<Record<AbilityName, Ability>> {
  const tried = await Promise.all(
    Object.entries(TRIED).map(async ([name, [script, input]]) => [name, await tryApart(script, input)] as const),
  )
  return {...Object.fromEntries(tried), 'raw-frames': rawFrames()} as Record<AbilityName, Ability>
}

async function tryApart(script: string, input: string): Promise<Ability> {
  const {code, stderr} = await tryCommand('unshare', ['--net', 'sh', '-c', script], {input})
  if (code === 0) return {state: 'yes', why: null}
  const why =
    stderr
      .split('\n')
      .find((line) => line.trim() !== '')
      ?.trim() ?? `it ended with code ${code}`
  // Not the kernel's word: no scratch namespace without CAP_SYS_ADMIN, no look without the program.
  return {state: /^unshare:|not found/.test(why) ? 'unknown' : 'no', why}
}

const LOOPBACK = 1

function rawFrames(): Ability {
  try {
    openPacketSocket({interfaceIndex: LOOPBACK}).close()
    return {state: 'yes', why: null}
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return {
      state: error.kind === 'privilege' ? 'unknown' : 'no',
      why: error.kind === 'privilege' ? null : error.message,
    }
  }
}

async function socketState({service, path}: KnownSocket): Promise<ServiceSocket> {
  if (await isListening(path)) return {service, path, state: 'listening'}
  if (!isThere(path)) return {service, path, state: 'absent'}
  return {service, path, state: process.geteuid?.() === 0 ? 'dead' : 'forbidden'}
}

function isThere(path: string): boolean {
  try {
    return fileFacts(path) !== undefined
  } catch {
    // A folder that this user may not enter.
    return false
  }
}
