// The inventory of a lab: what an operator would have written about these two sites.
import type {LabOptions} from './options.ts'
import {
  type LabGateway,
  type LabSegment,
  type LabSite,
  type LabUser,
  type LabVm,
  SEGMENTS,
  SITES,
  USERS,
  VMS,
} from './topology.ts'

/** What an operator may know of two sites, or not. */
export interface Known {
  /** DCI round trip, ms; undefined: it is not stated. */
  readonly dciRttMs?: number | undefined
  /** Site of the VM in tenant-a; undefined: that is for the tool to find out. */
  readonly vmSite?: LabSite | undefined
}

/** The lab's `gwswitch.yaml`. Unless told, it has the DCI's round trip, and not where the VMs are. */
export function inventoryYaml(options: LabOptions, known: Known = {dciRttMs: 2 * options.dciDelayMs}): string {
  return `# The lab ${options.prefix}: two sites, two stretched segments.
version: 1
sites:
${SITES.map((site) => siteLine(USERS.find((user) => user.site === site)!, known.dciRttMs)).join('\n')}
segments:
${SEGMENTS.map(segmentLines).join('\n')}
vms:
${VMS.map((vm) => vmLine(vm, vm.segment === 'tenant-a' ? known.vmSite : undefined)).join('\n')}
`
}

const siteLine = ({site, prefix}: LabUser, dciRttMs: number | undefined): string =>
  `  "${site}": { prefixes: [${prefix}]${dciRttMs === undefined ? '' : `, dciRttMs: ${dciRttMs}`} }`

const segmentLines = ({name, prefix, gateways}: LabSegment): string => `  ${name}:
    prefix: ${prefix}
    gateways:
${gateways.map(gatewayLine).join('\n')}`

const gatewayLine = ({name, site, ip, mac, ownIp}: LabGateway): string =>
  `      - { name: ${name}, site: "${site}", ip: ${ip}, mac: "${mac}"${ownIp === undefined ? '' : `, ownIp: ${ownIp}`} }`

const vmLine = ({name, segment, ip, mac, strategies}: LabVm, site: LabSite | undefined): string =>
  `  ${name}: { segment: ${segment}, ip: ${ip}, mac: "${mac}"${site === undefined ? '' : `, site: "${site}"`}, strategies: [${strategies.join(', ')}] }`
