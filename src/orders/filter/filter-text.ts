// What the `filter` commands say on a terminal.
import {kindAdvice, type SegmentClass} from '../../domain/filter/classify.ts'
import type {Columns} from '../../render/listing.ts'
import {tableLines} from '../../render/table.ts'
import type {FilterDocument, FilterKeepDocument, FilterRemoveDocument, FilterRow} from './filter-document.ts'
import type {FilterShowDocument} from './run-filter.ts'

export const FILTER_COLUMNS: Columns<FilterRow> = [
  ['segment', ({segment}) => segment],
  ['vlan', ({vlan}) => vlan],
  ['ports', ({ports}) => ports.join(' ')],
  ['hook', ({hook}) => hook],
  ['filter', ({table}) => table],
  ['state', ({state}) => state],
  ['differences', ({differences}) => differences.join('; ')],
]

type ShownFilter = FilterShowDocument['filters'][number] & Pick<SegmentClass, 'kind'>

/** What `filter show` makes, a row a segment. */
export const shownFilters = ({segments, filters}: FilterShowDocument): readonly ShownFilter[] =>
  filters.map((filter, i) => ({...filter, kind: segments[i]!.kind}))

export const SHOWN_FILTER_COLUMNS: Columns<ShownFilter> = [
  ['segment', ({segment}) => segment],
  ['kind', ({kind}) => kind],
  ['frames', ({frames}) => frames],
  ['held_back', ({cuts}) => cuts.join('; ')],
]

/** The text to load, with everything else as comments in it: what is printed can be piped on. */
export function showText({format, segments, filters, refusals, limits, lines, remove}: FilterShowDocument): string[] {
  const isNft = format === 'nft' || format === 'netdev'
  return [
    ...(isNft ? ['#!/usr/sbin/nft -f'] : ['#!/bin/sh']),
    '# Keeps shared gateways local to their sites. Load it at the inter-site port of every site.',
    `# Load: ${isNft ? 'nft -f FILE' : 'sh FILE, as root'}. Load this text, never a listing of it: nft leaves tests out of what it lists.`,
    ...segments.flatMap((segment, i) => [
      `# ${segment.segment}: ${segment.kind}; ${segment.because.join('; ')}`,
      `#   ${filters[i]!.frames}`,
      ...filters[i]!.cuts.map((cut) => `#   held back: ${cut}`),
    ]),
    ...refusals.map((refusal) => `# NOT SAFE  ${refusal}`),
    ...limits.map((limit) => `# limit: ${limit}`),
    `# Remove: ${remove.join('; ')}`,
    ...lines,
  ]
}

export function removeText({changed, dryRun, ruleset, ports, segments, keptInbound}: FilterRemoveDocument): string[] {
  if (!changed) return ['no such filter of gwswitch is here']
  const kept = keptInbound.map((ip) => `          the bridge ${dryRun ? 'would answer' : 'answers'} for ${ip} no more`)
  const what = segments.length === 0 ? 'the filter' : `the filter of ${someOf(segments)}`
  return dryRun
    ? ['dry run: would load', ruleset.trimEnd(), ...kept]
    : [`REMOVED   ${what} on ${ports.join(', ') || 'no port'}`, ...kept]
}

const SOME = 5
const someOf = (names: readonly string[]): string =>
  names.length <= SOME ? names.join(', ') : `${names.slice(0, SOME).join(', ')} and ${names.length - SOME} more`

export const keepText = ({vm, segment, changed, kept, notes}: FilterKeepDocument): string[] => [
  `${changed ? 'CHANGED   ' : 'AS MEANT  '}on ${segment} the bridge answers for ${kept.join(', ') || `nobody, ${vm} neither`}`,
  ...notes.map((note) => `  note: ${note}`),
]

export function filterText(document: FilterDocument): string[] {
  const {dryRun, changed, ruleset, filters, segments} = document
  if (dryRun)
    return changed ? ['dry run: would load', ruleset.trimEnd()] : ['dry run: the filter is in place, nothing to do']
  return [
    ...filters.flatMap((row) => [headline(document, row), ...row.differences.map((line) => `          ${line}`)]),
    ...document.orphans.map((line) => `ORPHANED  ${line}`),
    '',
    ...segmentLines(segments),
    ...tail(document),
  ]
}

function headline({schema, changed}: FilterDocument, {segment, vlan, ports, hook, state}: FilterRow): string {
  const of = vlan === null ? segment : `${segment} (${vlan === 'untagged' ? vlan : `VLAN ${vlan}`})`
  const where = `${hook} filter of ${of} on ${ports.join(', ')}`
  if (state === 'as-meant')
    return `${schema === 'gwswitch.filter-apply/1' && changed ? 'APPLIED   ' : 'AS MEANT  '}${where}`
  return state === 'missing' ? `MISSING   no ${where}` : `DIFFERENT ${where} is not what is meant`
}

const segmentLines = (segments: readonly SegmentClass[]): string[] =>
  segments.flatMap((segment) => [
    `  ${segment.segment}: ${segment.kind}`,
    ...segment.because.map((line) => `    ${line}`),
    ...kindAdvice(segment).map((line) => `    > ${line}`),
  ])

function tail({counters, keptInbound, notes, overridden, exitCode, schema}: FilterDocument): string[] {
  const dropped = counters.filter(({packets}) => packets > 0)
  const rows = dropped.map(({rule, packets, bytes}) => [String(packets), String(bytes), rule])
  return [
    ...keptInbound.map((ip) => `  the bridge answers for ${ip}`),
    ...notes.map((note) => `  note: ${note}`),
    ...overridden.map((refusal) => `  not safe: ${refusal}`),
    ...(counters.length === 0
      ? []
      : dropped.length === 0
        ? ['', '  nothing dropped yet']
        : ['', ...tableLines([['FRAMES', 'BYTES', 'DROPPED'], ...rows], {align: ['right', 'right'], indent: '  '})]),
    ...(exitCode === 10 && schema === 'gwswitch.filter-check/1'
      ? [
          '',
          '  gwswitch filter apply --recorded puts back what was applied here; gwswitch filter remove takes it all away',
        ]
      : []),
  ]
}
