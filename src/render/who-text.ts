// What `who` says on a terminal.
import type {AbsentSegment, NamedGateway, ProvedBy, WhoDocument, WhoGateway, WhoRow, WhoVerdict} from '../domain/who.ts'
import type {Columns} from './listing.ts'
import type {Paint} from './paint.ts'
import {tableLines} from './table.ts'

/** Of the rows, a row an address. */
export const WHO_COLUMNS: Columns<WhoRow> = [
  ['vm', ({vm}) => vm.name],
  ['ip', ({vm}) => vm.ip],
  ['mac', ({vm}) => vm.mac],
  ['segment', ({vm}) => vm.segment],
  ['should_use', ({should}) => should?.name],
  ['should_use_mac', ({should}) => should?.mac],
  ['uses', ({uses}) => uses?.gateways.map(({name}) => name).join(' ')],
  ['uses_mac', ({uses}) => uses?.mac],
  ['proved_by', ({provedBy}) => provedBy],
  ['verdict', ({verdict}) => verdict],
  ['code', ({code}) => code],
]

export const VERDICT_WORDS: Readonly<Record<WhoVerdict, string>> = {
  'as-expected': 'as expected',
  'other-site': "ANOTHER SITE'S",
  stranger: 'STRANGER',
  unseen: 'unknown: answers, but nothing it sends to a gateway was seen here',
  silent: 'unknown: silent',
  'no-site': 'unknown: say at which site it is (--site)',
}

const PROVED_BY: Readonly<Record<ProvedBy, string>> = {
  'off-segment-echo': 'off-segment echo',
  'own-frames': 'own frames',
  echo: 'echo',
}

const gatewayText = ({name, mac, site}: NamedGateway): string => `${name} ${mac} (site ${site})`

function usesText({uses}: WhoRow): string {
  if (uses === null) return '-'
  const [first, ...others] = uses.gateways
  if (first === undefined) return `${uses.mac} (no gateway)`
  return others.length === 0
    ? gatewayText(first)
    : `${uses.mac} (${uses.gateways.map(({name}) => name).join(', ')} alike)`
}

const SERVES: Readonly<Record<WhoGateway['code'], string>> = {
  served: 'SERVES',
  unverified: 'UNVERIFIED',
  'target-dead': 'DEAD',
}

function gatewayLine({code, evidence}: WhoGateway, paint: Paint): string {
  const tone = code === 'served' ? paint.good : code === 'unverified' ? paint.warn : paint.bad
  return `${tone(SERVES[code])}: ${evidence}`
}

const headOf = ['VM', 'ADDRESS', 'SHOULD USE', 'USES', 'PROVED BY', '']

function rowOf(row: WhoRow, paint: Paint): string[] {
  const {verdict, provedBy, should} = row
  const isBad = verdict === 'other-site' || verdict === 'stranger'
  const tone = verdict === 'as-expected' ? paint.good : isBad ? paint.bad : paint.warn
  const proof = provedBy === null ? '-' : PROVED_BY[provedBy]
  return [
    row.vm.name,
    row.vm.ip,
    should ? gatewayText(should) : '-',
    usesText(row),
    proof,
    tone(VERDICT_WORDS[verdict]),
  ]
}

/** What its neighbour table says is not where its traffic goes. */
const entryLines = (rows: readonly WhoRow[]): string[] =>
  rows.flatMap(({vm, entry, uses}) =>
    entry === null || uses === null || uses.mac === entry
      ? []
      : `${vm.name} has ${entry} for the address that the gateways share, and sends what leaves the segment to ${uses.mac}`,
  )

const absentLine = ({segment, vms, text}: AbsentSegment): string =>
  `not here: ${segment} (${vms === 1 ? '1 VM' : `${vms} VMs`}): ${text}`

export function whoText(
  {rows, gateways, strangers, absent, redirected, ports}: WhoDocument,
  paint: Paint,
  width?: number,
): string[] {
  const unseen = rows.some(({verdict}) => verdict === 'unseen')
  return [
    ...tableLines([headOf, ...rows.map((row) => rowOf(row, paint))], {width}),
    ...entryLines(rows),
    ...gateways.map((gateway) => gatewayLine(gateway, paint)),
    ...strangers.map(({text, segment}) => `${paint.bad('STRANGER')} on ${segment}: ${text}`),
    ...redirected.map(({text}) => `${paint.warn('REDIRECTED')}: ${text}`),
    ...(unseen
      ? [
          `what those VMs send to their gateway does not pass ${ports.join(', ')}, or they drop ICMP and say nothing: look at their own ports, or listen longer (--listen)`,
        ]
      : []),
    ...absent.map(absentLine),
  ]
}
