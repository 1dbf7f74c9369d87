// Network namespaces for tests: made for one test, removed after it, whatever happens.
import {spawn, spawnSync} from 'node:child_process'
import {mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import type {Socket} from 'node:net'
import {down, up} from '../../src/lab/lab.ts'
import {DEFAULT_LAB, type LabOptions} from '../../src/lab/options.ts'
import {labFiles} from '../../src/lab/state.ts'
import {namespaceOf} from '../../src/lab/topology.ts'
import {runCommand, tryCommand} from '../../src/net/process/command.ts'
import {inNamespace, namespaces} from '../../src/net/process/netns.ts'
import {until} from './until.ts'

/** One file a prefix in use, naming the process that uses it: what a killed test run leaves is found by it. */
const REGISTRY = '/run/gwswitch-tests'

/** Why tests cannot make namespaces here; undefined if they can. For `describe.skipIf(noNamespaces)`. */
export const noNamespaces: string | undefined = process.geteuid?.() === 0 ? undefined : 'network namespaces need root'

/** A lab of its own, for one test. */
export interface TestLab {
  readonly options: LabOptions
  readonly prefix: string
  readonly inventoryFile: string
  /** The namespace of a node (`rx`, `sw-y`, `db-03`, ...). */
  ns(node: string): string
  /** Runs a program inside a node; returns its standard output. Throws if it fails. */
  run(node: string, ...argv: readonly string[]): Promise<string>
}

/** Brings up a lab with a prefix of its own, calls `fn`, and takes it down, also after a failure or a signal. */
export async function withLab<T>(
  options: Partial<Omit<LabOptions, 'prefix'>>,
  fn: (lab: TestLab) => Promise<T>,
): Promise<T> {
  return withPrefix(
    (prefix) => down(prefix).then(() => {}),
    async (prefix) => {
      const chosen = {...DEFAULT_LAB, ...options, prefix}
      await up(chosen)
      return fn({
        options: chosen,
        prefix,
        inventoryFile: labFiles(prefix).inventory,
        ns: (node) => namespaceOf(prefix, node),
        run: (node, ...argv) => runIn(namespaceOf(prefix, node), argv),
      })
    },
  )
}

/** One of two namespaces joined by a wire. */
export interface PairEnd {
  readonly namespace: string
  /** The interface is called the same at both ends. */
  readonly interface: string
  readonly index: number
  readonly mac: string
  /** Its address, in a /24 that both share. */
  readonly ip: string
  /** Calls `fn` inside the namespace: sockets that it opens stay there. */
  inside<R>(fn: () => R): R
  /** Runs a program inside; returns its standard output. Throws if it fails. */
  run(...argv: readonly string[]): Promise<string>
}

/** Two namespaces joined by a veth pair, up, with addresses and without IPv6, for as long as `fn` runs. */
export async function withPair<T>(fn: (a: PairEnd, b: PairEnd) => Promise<T>): Promise<T> {
  return withPrefix(removePair, async (prefix) => {
    const a = pairEnd(`${prefix}-a`, 11, '02:00:00:00:00:0a', '10.9.0.1')
    const b = pairEnd(`${prefix}-b`, 12, '02:00:00:00:00:0b', '10.9.0.2')
    const at = (end: PairEnd): string =>
      `index ${end.index} name ${end.interface} address ${end.mac} netns ${end.namespace}`
    await batch([], [`netns add ${a.namespace}`, `netns add ${b.namespace}`])
    for (const end of [a, b]) end.inside(() => writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1'))
    await batch([], [`link add ${at(a)} type veth peer ${at(b)}`])
    for (const end of [a, b]) {
      const lines = ['link set lo up', `address add ${end.ip}/24 dev ${end.interface}`, `link set ${end.interface} up`]
      await batch(['-n', end.namespace], lines)
    }
    for (const end of [a, b]) await carries(end)
    return fn(a, b)
  })
}

/** Until its carrier is noticed, a new interface drops what is sent, without an error. */
async function carries({interface: name, run}: PairEnd): Promise<void> {
  const isUp = async (): Promise<boolean> =>
    JSON.parse(await run('ip', '-json', 'link', 'show', 'dev', name))[0].operstate === 'UP'
  await until(isUp, 5000, `${name} is up`)
}

const pairEnd = (namespace: string, index: number, mac: string, ip: string): PairEnd => ({
  namespace,
  interface: 'eth0',
  index,
  mac,
  ip,
  inside: (fn) => inNamespace(namespace, fn),
  run: (...argv) => runIn(namespace, argv),
})

async function removePair(prefix: string): Promise<void> {
  const present = namespaces().filter((name) => name === `${prefix}-a` || name === `${prefix}-b`)
  if (present.length > 0)
    await batch(
      ['-force'],
      present.map((name) => `netns del ${name}`),
    )
}

const batch = (args: readonly string[], lines: readonly string[]): Promise<string> =>
  runCommand('ip', [...args, '-batch', '-'], {input: `${lines.join('\n')}\n`})

const runIn = (namespace: string, argv: readonly string[]): Promise<string> =>
  runCommand('ip', ['netns', 'exec', namespace, ...argv])

/** Whether a program is installed; tests that compare with it say so when they skip. */
export async function hasProgram(name: string): Promise<boolean> {
  return (await tryCommand('sh', ['-c', `command -v ${name}`])).code === 0
}

let counter = 0
let guarded = false

/**
 * A prefix that no other test has, in this process or another: `t`, the pid, a number. For tests that build by hand; it
 * calls `remove` for what they named by it. Namespaces must be called `PREFIX-something` to be found after a crash.
 */
export async function withPrefix<T>(
  remove: (prefix: string) => Promise<void>,
  fn: (prefix: string) => Promise<T>,
): Promise<T> {
  if (!guarded) {
    sweep()
    guard()
    guarded = true
  }
  const prefix = `${processPrefix()}${base36(counter++ % 36 ** 2, 2)}`
  const entry = `${REGISTRY}/${prefix}`
  mkdirSync(REGISTRY, {recursive: true, mode: 0o700})
  writeFileSync(entry, processIdentity(process.pid)!)
  try {
    return await fn(prefix)
  } finally {
    endProcesses(prefix)
    await remove(prefix)
    rmSync(entry, {force: true})
  }
}

/**
 * Ends whatever still runs in the namespaces of a prefix. Not every program takes its children along when it is killed:
 * dhcpcd has a privileged proxy that stays.
 */
function endProcesses(prefix: string): void {
  for (const name of namespaces().filter((each) => each.startsWith(`${prefix}-`))) {
    for (const pid of spawnSync('ip', ['netns', 'pids', name], {encoding: 'utf8'}).stdout.split('\n').map(Number)) {
      // This thread has been in there, and has come back.
      if (pid > 0 && pid !== process.pid) kill(pid)
    }
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}

const base36 = (value: number, width: number): string => value.toString(36).padStart(width, '0')
const processPrefix = (): string => `t${base36(process.pid, 5)}`

/** For sh(1): removes all that goes by the prefixes given as arguments, or as paths that end in them. */
const REMOVE = `
for p; do
  p=\${p##*/}
  for e in $(grep -lzx "GWSWITCH_LAB=$p" /proc/[0-9]*/environ 2>/dev/null); do e=\${e#/proc/}; kill -9 "\${e%/environ}"; done
  for n in /run/netns/"$p"-*; do
    [ -e "$n" ] || continue
    for e in $(ip netns pids "\${n##*/}"); do kill -9 "$e"; done
    ip netns del "\${n##*/}"
  done
  rm -rf "/run/gwswitch/lab-$p" "/run/gwswitch/lab-$p.lock" "${REGISTRY}/$p"
done
rmdir /run/gwswitch 2>/dev/null
`

/**
 * Leaves a shell behind that waits for the end of this process and then removes what it left: a test runner that is
 * interrupted ends its workers at once, without a chance to clean up.
 */
function guard(): void {
  const script = `cat >/dev/null; set -- ${REGISTRY}/${processPrefix()}??; [ -e "$1" ] || exit 0; ${REMOVE}`
  // Without the mark of the run (untouched.ts): it outlives this process, for a moment.
  const env = {PATH: process.env.PATH}
  const guardian = spawn('sh', ['-c', script], {detached: true, env, stdio: ['pipe', 'ignore', 'ignore']})
  guardian.unref()
  ;(guardian.stdin as Socket).unref()
}

/** Removes what earlier test processes left whose guardian was killed too. */
function sweep(): void {
  const dead = registered().filter((prefix) => {
    const owner = readText(`${REGISTRY}/${prefix}`)
    // Nothing in it: another test process is just making or removing it.
    return owner && !isRunning(owner)
  })
  if (dead.length > 0) spawnSync('sh', ['-c', REMOVE, 'sh', ...dead])
}

/** A process that cannot be taken for a later one of the same number: pid and start time (proc_pid_stat(5), field 22). */
function processIdentity(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie is dead to us.
  return fields[0] === 'Z' ? undefined : `${pid} ${fields[19]}`
}

const isRunning = (identity: string): boolean => processIdentity(Number.parseInt(identity, 10)) === identity

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function registered(): string[] {
  try {
    return readdirSync(REGISTRY)
  } catch {
    return []
  }
}
