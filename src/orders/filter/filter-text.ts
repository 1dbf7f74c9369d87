// What the `filter` commands say on a terminal.
import {kindAdvice, type SegmentClass} from '../../domain/filter/classify.ts'
import {tableLines} from '../../render/table.ts'
import type {FilterDocument, FilterRemoveDocument} from './apply.ts'
import type {FilterShowDocument} from './run-filter.ts'

/** The text to load, with everything else as comments in it: what is printed can be piped on. */
export function showText({format, segments, refusals, limits, lines, remove}: FilterShowDocument): string[] {
  const how = format === 'nft' || format === 'netdev' ? 'nft -f FILE' : 'sh FILE, as root'
  return [
    ...(format === 'nft' || format === 'netdev' ? ['#!/usr/sbin/nft -f'] : ['#!/bin/sh']),
    '# Keeps shared gateways local to their sites. Load it at the inter-site port of every site.',
    `# Load: ${how}. Load this text, never a listing of it: nft leaves tests out of what it lists.`,
    ...segments.flatMap((segment) => [`# ${segment.segment}: ${segment.kind}; ${segment.because.join('; ')}`]),
    ...refusals.map((refusal) => `# NOT SAFE  ${refusal}`),
    ...limits.map((limit) => `# beside nft: ${limit}`),
    `# Remove: ${remove.join('; ')}`,
    ...lines,
  ]
}

export function removeText({changed, dryRun, ruleset, ports, keptInbound}: FilterRemoveDocument): string[] {
  if (!changed) return ['no filter of gwswitch is here']
  const kept = keptInbound.map((ip) => `          the bridge ${dryRun ? 'would answer' : 'answers'} for ${ip} no more`)
  return dryRun
    ? ['dry run: would load', ruleset.trimEnd(), ...kept]
    : [`REMOVED   the filter on ${ports.join(', ')}`, ...kept]
}

export function filterText(document: FilterDocument): string[] {
  const {dryRun, changed, ruleset} = document
  if (dryRun)
    return changed ? ['dry run: would load', ruleset.trimEnd()] : ['dry run: the filter is in place, nothing to do']
  return [
    headline(document),
    ...document.differences.map((line) => `          ${line}`),
    '',
    ...segmentLines(document.segments),
    ...tail(document),
  ]
}

function headline({schema, state, changed, hook, ports}: FilterDocument): string {
  const where = `${hook} filter on ${ports.join(', ')}`
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
      ? ['', '  gwswitch filter apply, with the same flags, puts it in place']
      : []),
  ]
}
