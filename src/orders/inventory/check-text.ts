// What `inventory check` says on a terminal.
import type {AgainstRow, Standing} from '../../domain/inventory/against-network.ts'
import {saidOf} from '../../domain/inventory/inventory.ts'
import type {Columns} from '../../render/listing.ts'
import type {Paint} from '../../render/paint.ts'
import {tableLines} from '../../render/table.ts'
import type {Finding, InventoryCheckDocument, NetworkFound} from './check.ts'

const STANDINGS: Readonly<Record<Standing, string>> = {
  answers: 'answers',
  own: 'this host',
  'other-mac': 'ANOTHER MAC',
  twice: 'TWICE',
  silent: 'silent',
}

export const FINDING_COLUMNS: Columns<Finding> = [
  ['key', ({key}) => key],
  ['severity', ({severity}) => severity],
  ['file', ({file}) => file],
  ['line', ({line}) => line],
  ['column', ({column}) => column],
  ['message', ({message}) => message],
]

export const checkText = (document: InventoryCheckDocument, paint: Paint): string[] => [
  ...document.findings.map((finding) => findingLine(finding, paint)),
  ...(document.network ? networkLines(document.network, paint) : []),
  summary(document),
]

function findingLine(finding: Finding, paint: Paint): string {
  const {severity, file, line, column, message} = finding
  const mark = severity === 'error' ? paint.bad('ERROR') : paint.warn('warning')
  // Of a whole file the message names it.
  return line === null ? `${mark} ${message}` : `${mark} ${file}:${line}:${column}: ${saidOf(finding)}`
}

function networkLines({rows, unasked}: NetworkFound, paint: Paint): string[] {
  const head = ['', 'ADDRESS', 'MAC', 'SEGMENT', '', 'AT', 'SITE']
  return [
    ...(rows.length > 0 ? tableLines([head, ...rows.map((row) => cells(row, paint))]) : []),
    ...unasked.map(({segment, text}) => `${segment}: not asked: ${text}`),
  ]
}

function cells(row: AgainstRow, paint: Paint): string[] {
  const {name, ip, mac, segment, standing, others, port, interface: at, site, written} = row
  const tone =
    standing === 'silent' ? paint.warn : standing === 'answers' || standing === 'own' ? paint.good : paint.bad
  const said = others.length > 0 ? `${STANDINGS[standing]}: ${others.join(', ')}` : STANDINGS[standing]
  const seen = site ?? '-'
  const hint = site !== null && written !== null && written !== site ? `${seen} (the inventory has ${written})` : seen
  return [name, ip, mac, segment, tone(said), port ?? at ?? '-', hint]
}

function summary({counts, findings, files, network}: InventoryCheckDocument): string {
  const errors = findings.filter(({severity}) => severity === 'error').length
  const warnings = findings.length - errors
  const what = counts ? `${counts.sites} sites, ${counts.segments} segments, ${counts.vms} VMs` : 'not read whole'
  const asked = network
    ? `; ${network.rows.filter(({standing}) => standing !== 'silent').length} of ${network.rows.length} addresses answer`
    : ''
  const rest = errors > 0 && counts === null ? ' (what else there is shows once they are mended)' : ''
  return `${files.join(', ')}: ${what}; ${errors} errors, ${warnings} warnings${rest}${asked}`
}
