// What `history` says on a terminal.

import type {Columns} from '../../render/listing.ts'
import {tableLines} from '../../render/table.ts'
import {localTime} from '../../wire/local-time.ts'
import {switchText} from '../switch/switch-text.ts'
import type {HistoryDocument, HistoryRow} from './history.ts'

const HEADINGS = ['RUN', 'WHEN', 'BY', 'VM', 'FROM', 'TO', 'STRATEGY', 'END', 'CODE']

export function historyText({switches, journal}: HistoryDocument, width?: number): string[] {
  if (switches.length === 0) return [`${journal}: nothing of that was switched`]
  return tableLines([HEADINGS, ...switches.map(cells)], {width})
}

/** By which it can be named: of a run of several, with its number. */
const nameOf = ({run, n, ofRun}: HistoryRow): string => (ofRun > 1 ? `${run}.${n}` : run)

/** A row a switch; times in UTC. */
export const HISTORY_COLUMNS: Columns<HistoryRow> = [
  ['switch', nameOf],
  ['at', ({at}) => at],
  ['by', ({by}) => by],
  ['user', ({user}) => user],
  ['vm', ({vm}) => vm.name],
  ['mac', ({vm}) => vm.mac],
  ['from', ({from}) => from.name],
  ['to', ({to}) => to.name],
  ['strategy', ({strategy}) => strategy],
  ['standing', ({standing}) => standing],
  ['end', ({end}) => end],
  ['code', ({code}) => code],
  ['exit_code', ({exitCode}) => exitCode],
]

const cells = (row: HistoryRow): string[] => [
  nameOf(row),
  localTime(Date.parse(row.at)),
  row.by === 'switch' ? row.user : `${row.by} (${row.user})`,
  row.vm.name,
  row.from.name,
  row.to.name,
  row.strategy,
  endOf(row),
  row.code ?? '-',
]

function endOf({standing, end, undoes, endedBy, state}: HistoryRow): string {
  switch (standing) {
    case 'under-way':
      return state === 'guarding' ? 'held' : 'under way'
    case 'not-begun':
      return 'not begun'
    case 'half-done':
      return 'CUT SHORT'
    case 'served':
      return 'switched'
    case 'ended': {
      const word = undoes && end === 'rolled-back' ? 'undone' : end!.replace('-', ' ')
      return endedBy === 'guard' ? `${word} by its guard` : word
    }
  }
}

/** One run whole. */
export function runText({switches}: HistoryDocument): string[] {
  return switches.flatMap((row) => [
    `${nameOf(row)}  ${localTime(Date.parse(row.at))}  ${row.by} by ${row.user}: ${row.asked}`,
    ...(row.document
      ? switchText(row.document)
      : [`${row.vm.name} to ${row.to.name} by ${row.strategy}: ${endOf(row)}`]),
    '',
  ])
}
