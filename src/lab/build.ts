// Makes a topology real, and takes it away again.
import {writeFileSync} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'
import {Failure} from '../errors.ts'
import {removeNamespaceFiles} from '../net/namespace-file.ts'
import {
  type CommandOptions,
  type CommandResult,
  commandFailure,
  runCommand,
  tryCommand,
} from '../net/process/command.ts'
import {inNamespace, namespaces} from '../net/process/netns.ts'
import {killLabProcesses, labEnvironment} from './processes.ts'
import {isOptionalSysctl, linkLines, namespaceLines, nftRules, nodeLines, sysctls} from './recipe.ts'
import {startRelay} from './relay-process.ts'
import {removeState} from './state.ts'
import {type LabNode, labNamespaces, namespaceOf, type Topology} from './topology.ts'

/** Builds everything. After a failure, or when `signal` is aborted, the caller removes what is there. */
export async function build(topology: Topology, signal: AbortSignal | undefined): Promise<void> {
  const {prefix} = topology.options
  const options = commandOptions(prefix, signal)
  await ipBatch(namespaceLines(topology), options)
  for (const node of topology.nodes) writeSysctls(prefix, node)
  await ipBatch(linkLines(topology), options)
  await allOrFirstFailure([startRelay(topology, signal), configure(topology, options)])
  await portsForward(topology, options)
}

/** Waits for all even if one fails, so that nobody is still building while the caller removes. */
async function allOrFirstFailure(works: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(works)
  await Promise.all(works)
}

/** Marked as the lab's, so that a program whose starter was killed is found and ended too. */
const commandOptions = (prefix: string, signal: AbortSignal | undefined): CommandOptions => ({
  env: labEnvironment(prefix),
  ...(signal && {signal}),
})

async function ipBatch(lines: readonly string[], options: CommandOptions): Promise<void> {
  const result = await tryCommand('ip', ['-batch', '-'], {...options, input: text(lines)})
  if (result.code !== 0) throw ipFailure(lines, result)
}

const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('')

/** One piece of a node's configuration. */
interface Step {
  readonly program: 'ip' | 'nft'
  readonly namespace: string
  readonly lines: readonly string[]
}

/** Configures every node from one shell: starting a process from Node costs more than most of these take to run. */
async function configure(topology: Topology, options: CommandOptions): Promise<void> {
  const steps = topology.nodes.flatMap((node): Step[] => {
    const namespace = namespaceOf(topology.options.prefix, node.name)
    const rules = nftRules(node)
    const ip: Step = {program: 'ip', namespace, lines: nodeLines(topology, node)}
    return rules === undefined ? [ip] : [ip, {program: 'nft', namespace, lines: rules.split('\n')}]
  })
  const script = steps.map(({program, namespace, lines}, i) => {
    const command = program === 'ip' ? `ip -n ${namespace} -batch -` : `ip netns exec ${namespace} nft -f -`
    return `echo ${i}\n${command} <<'END'\n${text(lines)}END\n`
  })
  const result = await tryCommand('sh', ['-e'], {...options, input: script.join('')})
  if (result.code === 0) return
  const failed = steps[Number(result.stdout.trim().split('\n').at(-1))]
  if (failed?.program === 'nft') throw nftFailure(failed.namespace, result)
  throw ipFailure(failed?.lines ?? [], result)
}

/** Kinds of interface that a kernel may be built without. */
const KERNEL_PARTS: Readonly<Record<string, string>> = {
  veth: 'CONFIG_VETH',
  bridge: 'CONFIG_BRIDGE',
  vxlan: 'CONFIG_VXLAN',
}

/**
 * The failure of a batch of which ip(8) did not do one of the lines; what the kernel lacks is said in words.
 * @internal
 */
export function ipFailure(lines: readonly string[], result: CommandResult): Failure {
  const number = /Command failed -:(\d+)/.exec(result.stderr)?.[1]
  const line = lines[Number(number) - 1] ?? '-batch'
  const kind = / type (\w+)/.exec(line)?.[1] ?? ''
  const part = KERNEL_PARTS[kind]
  if (part === undefined || !/Unknown device type|Operation not supported/.test(result.stderr)) {
    return commandFailure(`lab: ip ${line}`, result)
  }
  const remedy = kind === 'vxlan' ? 'join the sites by the plain kind of DCI instead' : 'the lab cannot run on it'
  return new Failure('runtime', `lab: this kernel has no ${kind} interfaces (${part}): ${remedy}`)
}

function nftFailure(namespace: string, result: CommandResult): Failure {
  if (/exec of "nft" failed/.test(result.stderr)) {
    return new Failure('runtime', "the program 'nft' was not found: install nftables")
  }
  if (/not supported|No such file/.test(result.stderr)) {
    return new Failure('runtime', 'lab: this kernel has no nftables for bridges (CONFIG_NF_TABLES_BRIDGE)')
  }
  return commandFailure(`lab: nft in ${namespace}`, result)
}

function writeSysctls(prefix: string, node: LabNode): void {
  inNamespace(namespaceOf(prefix, node.name), () => {
    for (const [path, value] of sysctls(node)) {
      try {
        writeFileSync(`/proc/sys/net/${path}`, value)
      } catch (error) {
        if (isOptionalSysctl(path)) continue
        throw new Failure('runtime', `lab: cannot set net/${path}: ${(error as NodeJS.ErrnoException).code}`)
      }
    }
  })
}

/** Waits until every bridge port of the lab passes frames: ports of a fresh bridge may take a moment. */
async function portsForward({options, nodes}: Topology, commandOptions: CommandOptions): Promise<void> {
  const bridging = nodes.filter(({role}) => role === 'switch' || role === 'hypervisor')
  const deadline = performance.now() + PORTS_MS
  let waiting: string[] = []
  do {
    const ports = await Promise.all(
      bridging.map(({name}) => idlePorts(namespaceOf(options.prefix, name), commandOptions)),
    )
    waiting = ports.flat()
    if (waiting.length === 0) return
    await sleep(20)
  } while (performance.now() < deadline)
  throw new Failure('runtime', `lab: ports that do not forward after ${PORTS_MS} ms: ${waiting.join(', ')}`)
}

const PORTS_MS = 5000

interface PortFacts {
  readonly ifname: string
  readonly master?: string
  readonly linkinfo?: {readonly info_slave_data?: {readonly state?: string}}
}

async function idlePorts(namespace: string, options: CommandOptions): Promise<string[]> {
  const args = ['-n', namespace, '-json', '-details', 'link', 'show']
  const links = JSON.parse(await runCommand('ip', args, options)) as PortFacts[]
  return links
    .filter(({master, linkinfo}) => master !== undefined && linkinfo?.info_slave_data?.state !== 'forwarding')
    .map(({ifname}) => `${namespace}/${ifname}`)
}

/**
 * Removes whatever there is of a lab: its processes, its namespaces (and with them every interface), its files.
 * What is not there is no error, so it may be called at any point of a build, and twice.
 */
export async function remove(prefix: string): Promise<void> {
  await killLabProcesses(prefix)
  const present = presentNamespaces(prefix)
  for (const name of present) forget(name)
  const input = text(present.map((name) => `netns del ${name}`))
  if (present.length > 0) await tryCommand('ip', ['-force', '-batch', '-'], {input})
  const left = presentNamespaces(prefix)
  if (left.length > 0)
    throw new Failure('runtime', `lab ${prefix}: cannot remove network namespaces ${left.join(', ')}`)
  removeState(prefix)
}

/** What was written about a namespace, as filters and redirections are. Of one that a crash left half made there is nothing. */
function forget(namespace: string): void {
  try {
    inNamespace(namespace, removeNamespaceFiles)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
  }
}

/** The namespaces of a lab that exist now. */
export function presentNamespaces(prefix: string): string[] {
  const present = new Set(namespaces())
  return labNamespaces(prefix).filter((name) => present.has(name))
}
