// Which program made an interface's default route and will put it back if somebody else changes it.
import {readdirSync, readFileSync, statSync} from 'node:fs'
import {join} from 'node:path'

/** What is looked at: `/`, but for tests. */
export interface OwnerRoot {
  readonly run: string
  readonly proc: string
}
const SYSTEM_ROOT: OwnerRoot = {run: '/run', proc: '/proc'}

/** rt_protos of iproute2. */
const RTPROT_RA = 9
const RTPROT_DHCP = 16

/**
 * `networkd`, `NetworkManager`, `dhcpcd`, `dhclient`, `udhcpc`; `dhcp` or `ra` for a route that says how it came and not by
 * whom; undefined for a plain one, made by hand or by a script that is over.
 */
export type RouteOwner = (nic: {readonly index: number; readonly name: string}, protocol: number) => string | undefined

/** Remembers which processes are no clients: the first call looks at all, the next ones at those that have come since. */
export function makeRouteOwner(root: OwnerRoot = SYSTEM_ROOT): RouteOwner {
  const clientOf = makeClientFinder(root)
  return (nic, protocol) => declaredOwner(nic, root) ?? BY_PROTOCOL[protocol] ?? clientOf(nic.name)
}

const BY_PROTOCOL: Readonly<Record<number, string>> = {[RTPROT_DHCP]: 'dhcp', [RTPROT_RA]: 'ra'}

/** One that says so in a file. */
function declaredOwner(nic: {readonly index: number; readonly name: string}, root: OwnerRoot): string | undefined {
  const {run} = root
  // networkd(8) keeps a file a link; so does NetworkManager.
  if (/^ADMIN_STATE=configur(ed|ing)$/m.test(text(join(run, `systemd/netif/links/${nic.index}`)))) return 'networkd'
  if (/^managed=true$/m.test(text(join(run, `NetworkManager/devices/${nic.index}`)))) return 'NetworkManager'
  const dhcpcd = [`${nic.name}.pid`, `${nic.name}-4.pid`, `${nic.name}-6.pid`, 'pid'].map((name) =>
    join(run, 'dhcpcd', name),
  )
  if (runs([...dhcpcd, join(run, `dhcpcd-${nic.name}.pid`), join(run, 'dhcpcd.pid')], 'dhcpcd', root)) return 'dhcpcd'
  const dhclient = names(run).filter(
    (name) => /^dhclient.*\.pid$/.test(name) && (name === 'dhclient.pid' || name.includes(nic.name)),
  )
  if (
    runs(
      dhclient.map((name) => join(run, name)),
      'dhclient',
      root,
    )
  )
    return 'dhclient'
  return undefined
}

/** Clients whose scripts make plain routes, and that need not leave a file with their pid. */
const CLIENTS: ReadonlySet<string> = new Set(['udhcpc', 'dhclient', 'dhcpcd'])
/** udhcpc(8) without -i. */
const UDHCPC_INTERFACE = 'eth0'

/** A process may become a client by exec(2): all are looked at again when this is over, ms. */
const LOOK_AT_ALL_MS = 60_000

interface Client {
  readonly program: string
  /** Undefined: the words name it, or it is for all. */
  readonly interfaceName: string | undefined
  readonly words: readonly string[]
}

/** Clients that run in our network namespace for an interface. */
function makeClientFinder({proc}: OwnerRoot): (interfaceName: string) => string | undefined {
  let known = new Map<string, Client | undefined>()
  let sinceMs = Number.NEGATIVE_INFINITY
  return (interfaceName) => {
    const pids = names(proc).filter((name) => /^\d+$/.test(name))
    const nowMs = performance.now()
    const before = nowMs - sinceMs < LOOK_AT_ALL_MS ? known : new Map<string, Client | undefined>()
    if (before !== known) sinceMs = nowMs
    known = new Map(pids.map((pid) => [pid, before.has(pid) ? before.get(pid) : clientIn(proc, pid)]))
    return [...known.values()].find((client) => client !== undefined && isFor(client, interfaceName))?.program
  }
}

function clientIn(proc: string, pid: string): Client | undefined {
  const comm = text(join(proc, pid, 'comm')).trim()
  if (!CLIENTS.has(comm) && comm !== 'busybox') return undefined
  const words = text(join(proc, pid, 'cmdline')).split('\0')
  const program = comm !== 'busybox' ? comm : words.includes('udhcpc') ? 'udhcpc' : undefined
  if (program === undefined || inode(join(proc, pid, 'net/dev')) !== inode(join(proc, 'self/net/dev'))) return undefined
  const named = after('-i', words) ?? after('--interface', words)
  return {program, interfaceName: program === 'udhcpc' ? (named ?? UDHCPC_INTERFACE) : undefined, words}
}

const isFor = ({interfaceName, words}: Client, name: string): boolean =>
  interfaceName === undefined ? words.includes(name) : interfaceName === name

/** `-i eth0`, `-ieth0`, `--interface=eth0`. */
function after(flag: string, words: readonly string[]): string | undefined {
  const at = words.findIndex((word) => word.startsWith(flag))
  const rest = words[at]?.slice(flag.length).replace(/^=/, '')
  return at < 0 ? undefined : rest || words[at + 1]
}

/** One file of /proc/PID/net is another file in each network namespace. */
function inode(path: string): number | undefined {
  try {
    return statSync(path).ino
  } catch {
    return undefined
  }
}

function runs(pidFiles: readonly string[], program: string, {proc}: OwnerRoot): boolean {
  return pidFiles.some((file) => {
    const pid = text(file).trim()
    return /^\d+$/.test(pid) && text(join(proc, pid, 'comm')).trim() === program
  })
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
