// How a line of a result ends, in colour: by the word in capitals that begins it or is its last cell.
import type {Paint} from './paint.ts'

/** What each word says: it is so, look, it is not so. */
const WORDS = {
  good: [
    ...['ALREADY', 'APPLIED', 'AS IT WAS', 'AS MEANT', 'CHANGED', 'CONFIRMED', 'HELD', 'KNOWN', 'MOVED', 'RELEASED'],
    ...['REMOVED', 'SERVED', 'SWITCHED', 'UNDONE', 'WHOLE', 'WRITTEN'],
  ],
  warn: [
    ...['CONTESTED', 'LEFT ALONE', 'NO ANSWER', 'NOT BEGUN', 'NOT SENT', 'NOT STARTED', 'ORPHANED', 'PARTIAL'],
    ...[
      'ROLLED BACK',
      'SENT',
      'SILENT',
      'UNANSWERED',
      'UNDECIDED',
      'UNRECORDED',
      'UNVERIFIED',
      'WOULD REMOVE',
      'WOULD WRITE',
    ],
  ],
  bad: [
    ...['ANOTHER MAC', 'CUT OFF', 'CUT SHORT', 'DIFFERENT', 'FAILED', 'LOST', 'MISSING', 'NOT MOVED', 'NOT SERVED'],
    ...['REFUSED', 'TWICE', 'UNKNOWN'],
  ],
} as const
const MEANING = new Map<string, keyof typeof WORDS>(
  Object.entries(WORDS).flatMap(([meaning, words]) =>
    words.map((word) => [word, meaning as keyof typeof WORDS] as const),
  ),
)
const ANY = [...MEANING.keys()].toSorted((a, b) => b.length - a.length).join('|')
const FIRST = new RegExp(`^(?: {2})?(?:${ANY})(?= |$)`)
const LAST_CELL = new RegExp(`(?<= {2})(?:${ANY})$`)
/** The head of a table: words in capitals, at least two. */
const HEAD = /^ *[A-Z][A-Z /]*?(?: {2,}[A-Z][A-Z /]*?)+$/

/** The line with its verdict, or the head of a table, marked. One that carries colour already stays as it is. */
export function markVerdict(line: string, paint: Paint): string {
  if (line.includes('\x1b')) return line
  if (HEAD.test(line) && !FIRST.test(line)) return paint.bold(line)
  const marked = (word: string): string => paint[MEANING.get(word.trim())!](word)
  return line.replace(FIRST, marked).replace(LAST_CELL, marked)
}
