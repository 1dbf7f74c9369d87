// The inventory of a lab: what an operator would have written about these two sites.
import type {LabOptions} from './options.ts'
import {type LabGateway, type LabSegment, type LabUser, type LabVm, SEGMENTS, SITES, USERS, VMS} from './topology.ts'

/** The lab's `gwswitch.yaml`. Where the VMs are is not in it: that is for the tool to find out. */
export function inventoryYaml(options: LabOptions): string {
  const rtt = 2 * options.dciDelayMs
  return `# The lab ${options.prefix}: two sites, two stretched segments.
version: 1
sites:
${SITES.map((site) => siteLine(USERS.find((user) => user.site === site)!, rtt)).join('\n')}
segments:
${SEGMENTS.map(segmentLines).join('\n')}
vms:
${VMS.map(vmLine).join('\n')}
`
}

const siteLine = ({site, prefix}: LabUser, dciRttMs: number): string =>
  `  "${site}": { prefixes: [${prefix}], dciRttMs: ${dciRttMs} }`

const segmentLines = ({name, prefix, gateways}: LabSegment): string => `  ${name}:
    prefix: ${prefix}
    gateways:
${gateways.map(gatewayLine).join('\n')}`

const gatewayLine = ({name, site, ip, mac, ownIp}: LabGateway): string =>
  `      - { name: ${name}, site: "${site}", ip: ${ip}, mac: "${mac}"${ownIp === undefined ? '' : `, ownIp: ${ownIp}`} }`

const vmLine = ({name, segment, ip, mac, strategies}: LabVm): string =>
  `  ${name}: { segment: ${segment}, ip: ${ip}, mac: "${mac}", strategies: [${strategies.join(', ')}] }`
