// What the `mac-proxy` commands say on a terminal.
import type {ProxiedGateway} from '../../domain/mac-proxy/ruleset.ts'
import type {Columns} from '../../render/listing.ts'
import {tableLines} from '../../render/table.ts'
import type {ProxyListDocument, ProxyReleaseDocument, ProxyRow} from './document.ts'

const WORDS: Readonly<Record<ProxyRow['state'], string>> = {
  'as-meant': 'as meant',
  'port-gone': 'as meant; its port is not here now',
  different: 'DIFFERENT',
  missing: 'MISSING',
  unrecorded: 'UNRECORDED',
}

const gatewayText = ({name, site, mac}: ProxiedGateway): string => (site === '' ? mac : `${name} ${mac} (site ${site})`)
const vmText = ({vm}: ProxyRow): string => vm.name ?? vm.mac

export const PROXY_COLUMNS: Columns<ProxyRow> = [
  ['vm', vmText],
  ['mac', ({vm}) => vm.mac],
  ['port', ({port}) => port],
  ['from', ({from}) => from.name || null],
  ['from_mac', ({from}) => from.mac],
  ['to', ({to}) => to.name || null],
  ['to_mac', ({to}) => to.mac],
  ['packets', ({packets}) => packets],
  ['state', ({state}) => state],
]

export function proxyListText({redirects, schema}: ProxyListDocument, width?: number): string[] {
  if (redirects.length === 0) return ['no VM is redirected here']
  const head = ['VM', 'PORT', 'FROM', 'TO', 'PACKETS', '']
  const body = redirects.map((row) => [
    ...[vmText(row), row.port ?? '-', gatewayText(row.from), gatewayText(row.to)],
    ...[row.packets === null ? '-' : String(row.packets), WORDS[row.state]],
  ])
  const has = (...states: readonly ProxyRow['state'][]): boolean => redirects.some(({state}) => states.includes(state))
  return [
    ...tableLines([head, ...body], {align: ['left', 'left', 'left', 'left', 'right'], width}),
    ...redirects.flatMap((row) => row.differences.map((line) => `  ${vmText(row)}: ${line}`)),
    ...(has('missing', 'different') && schema === 'gwswitch.mac-proxy-list/2'
      ? ['  gwswitch mac-proxy apply puts back what is meant; gwswitch mac-proxy release VM takes it away']
      : []),
    ...(has('unrecorded')
      ? ['  UNRECORDED is not put back after a boot: switch the VM again, or gwswitch mac-proxy release it']
      : []),
  ]
}

export function proxyReleaseText({released, asked, dryRun}: ProxyReleaseDocument): string[] {
  if (released.length === 0) return [`${asked ?? 'no VM'} is ${asked === null ? '' : 'not '}redirected here`]
  const word = dryRun ? 'would be released' : 'RELEASED'
  return released.map(
    (row) =>
      `${word}  ${vmText(row)}${row.port === null ? '' : ` at ${row.port}`}: what it sends to ${gatewayText(row.from)} is redirected to ${gatewayText(row.to)} no more`,
  )
}
