// What `doctor` found, for a terminal: a symbol and a word for each, and below it the command that mends it.
import type {DoctorFinding, Level} from '../domain/doctor/finding.ts'
import type {StrategyPlace} from '../domain/doctor/strategy-places.ts'
import type {Columns} from './listing.ts'
import type {Paint} from './paint.ts'
import {tableLines} from './table.ts'

const WORDS: Readonly<Record<Level, string>> = {fine: '✓ fine', wrong: '! WRONG', broken: '✗ BROKEN'}

export const DOCTOR_COLUMNS: Columns<DoctorFinding> = [
  ['code', ({code}) => code],
  ['level', ({level}) => level],
  ['what', ({what}) => what],
  ['why', ({why}) => why],
  ['mend', ({mend}) => mend],
]

export interface DoctorShown {
  readonly findings: readonly DoctorFinding[]
  readonly strategies: readonly StrategyPlace[]
}

export function doctorText({findings, strategies}: DoctorShown, paint: Paint): string[] {
  const tone: Readonly<Record<Level, (text: string) => string>> = {
    fine: paint.good,
    wrong: paint.warn,
    broken: paint.bad,
  }
  const rows = findings.flatMap(({level, what, why, mend}) => [
    [tone[level](WORDS[level]), what],
    ...(why === null ? [] : [['', why]]),
    ...(mend === null ? [] : [['', paint.bold(mend)]]),
  ])
  return [
    ...tableLines(rows),
    '',
    ...tableLines([
      ['STRATEGY', 'FROM HERE', 'WHY', 'WHERE IT MUST RUN'],
      ...strategies.map((row) => place(row, paint)),
    ]),
    '',
    summary(findings),
  ]
}

const place = ({strategy, here, why, where}: StrategyPlace, paint: Paint): string[] => [
  strategy,
  {yes: paint.good('✓ works'), no: paint.warn('✗ no'), unknown: '? unknown'}[here],
  why,
  where ?? '-',
]

function summary(findings: readonly DoctorFinding[]): string {
  const count = (level: Level): number => findings.filter((each) => each.level === level).length
  const mended = findings.filter(({mend}) => mend !== null).length
  const hint = mended > 0 ? `; ${mended} with the command that mends ${mended === 1 ? 'it' : 'them'}` : ''
  return `${count('broken')} broken, ${count('wrong')} wrong, ${count('fine')} fine${hint}`
}
