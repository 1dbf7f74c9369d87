// How a lab is, for people and for JSON.
import {runCommand} from '../net/process/command.ts'
import {isUp} from './lab.ts'
import {checkPrefix, type LabOptions, optionsText} from './options.ts'
import type {RelayCounters} from './relay.ts'
import {relayCounters, relayPid} from './relay-process.ts'
import {labFiles, readRecord} from './state.ts'
import {type LabGateway, type LabSite, type LabVm, namespaceOf, SEGMENTS, segmentOf, USERS, VMS} from './topology.ts'
import {vmSites} from './vms.ts'

export interface VmStatus {
  readonly name: string
  readonly namespace: string
  readonly segment: string
  readonly ip: string
  readonly mac: string
  readonly site: LabSite
  readonly gatewayIp: string | undefined
  /** The gateway behind its default route, by the MAC in its neighbour table; undefined before it has asked for one. */
  readonly gateway: {readonly name: string; readonly site: LabSite} | undefined
}

export interface LabStatus {
  readonly prefix: string
  /** `incomplete`: a crash left a part of it. */
  readonly state: 'up' | 'incomplete' | 'down'
  /** The rest is there only if it is up. */
  readonly options?: LabOptions
  readonly inventoryFile?: string
  readonly relayPid?: number | undefined
  readonly relayed?: readonly RelayCounters[]
  readonly vms?: readonly VmStatus[]
}

export async function status(prefix: string): Promise<LabStatus> {
  checkPrefix(prefix)
  const record = readRecord(prefix)
  if (record === undefined) return {prefix, state: 'down'}
  if (record === 'broken' || !isUp(prefix)) return {prefix, state: 'incomplete'}
  const sites = await vmSites(prefix)
  return {
    prefix,
    state: 'up',
    options: record.options,
    inventoryFile: labFiles(prefix).inventory,
    relayPid: relayPid(prefix),
    relayed: relayCounters(prefix),
    vms: await Promise.all(VMS.map((vm) => vmStatus(prefix, vm, sites[vm.name]!))),
  }
}

async function vmStatus(prefix: string, vm: LabVm, site: LabSite): Promise<VmStatus> {
  const namespace = namespaceOf(prefix, vm.name)
  const [routes, neighbours] = await Promise.all([
    ipJson<{gateway?: string}>(namespace, 'route', 'show', 'default'),
    ipJson<{dst: string; lladdr?: string}>(namespace, 'neigh', 'show', 'dev', 'eth0'),
  ])
  const gatewayIp = routes[0]?.gateway
  const mac = neighbours.find(({dst}) => dst === gatewayIp)?.lladdr
  const gateway = segmentOf(vm).gateways.find((candidate: LabGateway) => candidate.mac === mac)
  return {
    name: vm.name,
    namespace,
    segment: vm.segment,
    ip: vm.ip,
    mac: vm.mac,
    site,
    gatewayIp,
    gateway: gateway && {name: gateway.name, site: gateway.site},
  }
}

async function ipJson<T>(namespace: string, ...args: string[]): Promise<T[]> {
  const output = await runCommand('ip', ['-n', namespace, '-json', '-4', ...args])
  return output.trim() === '' ? [] : (JSON.parse(output) as T[])
}

/** A status as lines for a terminal. `program` is how gwswitch is called there. */
export function statusText(found: LabStatus, program = 'gwswitch'): string {
  const {prefix, state, options, vms = [], inventoryFile} = found
  if (state === 'down') return `lab ${prefix} is not up\n`
  if (state === 'incomplete' || !options) return `lab ${prefix} is incomplete: bring it up again, or take it down\n`
  return [
    `lab ${prefix} is up: ${optionsText(options)}`,
    '',
    ...sketch(options),
    '',
    ...vms.map(vmLine),
    '',
    `relay: process ${found.relayPid}; ${relayedText(found.relayed ?? [])}`,
    `inventory: ${inventoryFile}`,
    'run something in it:',
    ...hints(found, program).map((hint) => `  ${hint}`),
    '',
  ].join('\n')
}

function sketch({dci, dciDelayMs, wanDelayMs}: LabOptions): string[] {
  const gateways = (site: LabSite): string =>
    SEGMENTS.flatMap((segment) => segment.gateways.filter((candidate) => candidate.site === site))
      .map(({name, ip}) => `${name} ${ip}`)
      .join(', ')
  const user = (site: LabSite): string => {
    const found = USERS.find((candidate) => candidate.site === site)!
    return `${found.name} ${found.ip}`
  }
  const row = (left: string, middle: string, right: string): string =>
    `  ${left.padEnd(32)}${middle.padEnd(20)}${right}`.trimEnd()
  return [
    row('site x', '', 'site y'),
    row(user('x'), '', user('y')),
    row('core cx', `-- WAN ${wanDelayMs} ms --`, 'core cy'),
    row(`router rx`, '', 'router ry'),
    row(`  ${gateways('x')}`, '', `  ${gateways('y')}`),
    row('switch sw-x', `-- DCI ${dciDelayMs} ms --`, `switch sw-y      (${dci})`),
  ]
}

function vmLine({name, ip, segment, site, gatewayIp, gateway}: VmStatus): string {
  const exit = gateway ? `leaves through ${gateway.name} (site ${gateway.site})` : 'has not sent through it yet'
  return `  VM ${name} ${ip} in ${segment}: at site ${site}, default gateway ${gatewayIp ?? 'none'}, ${exit}`
}

const relayedText = (counters: readonly RelayCounters[]): string =>
  counters.length === 0
    ? 'nothing relayed yet'
    : counters.map(({from, to, frames}) => `${from} to ${to} ${frames} frames`).join(', ')

/** Commands that show what can be done inside. */
function hints({prefix, inventoryFile}: LabStatus, program = 'gwswitch'): string[] {
  const inside = (node: string): string => `ip netns exec ${namespaceOf(prefix, node)}`
  const far = USERS.find(({site}) => site === 'y')!
  return [
    `${inside('db-03')} ${program} trace ${far.ip} -f ${inventoryFile}`,
    `${inside('db-03')} traceroute -n ${far.ip}`,
    `${inside('ry')} ${program} garp by --vm db-03 -i seg-b -f ${inventoryFile}`,
    `${inside('sw-y')} tcpdump -eni dci-b arp`,
  ]
}
