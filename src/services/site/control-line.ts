// The words of the control socket: one line in, one order out. Pure.
import {hint} from '../../domain/suggest.ts'
import {Failure} from '../../errors.ts'
import {harmless} from '../../wire/printable.ts'

/** `who` is a name of the inventory, a MAC or an address. */
export type ControlOrder =
  | {readonly kind: 'switch'; readonly who: string; readonly to: string | undefined}
  | {readonly kind: 'expect'; readonly who: string; readonly forMs: number}
  | {readonly kind: 'arrived'; readonly who: string; readonly port: string | undefined}
  | {readonly kind: 'left' | 'cancelled'; readonly who: string}
  | {readonly kind: 'history'; readonly last: number}
  | {readonly kind: 'status' | 'reset'}

/** Bytes of a line, without its end. */
export const LINE_LIMIT = 4096
/** How long a VM is expected where nothing else is said, and at most, s: a migration of much memory takes long. */
const EXPECT_S = 600
const EXPECT_LIMIT_S = 86_400
const HISTORY = 20
/** Those that are kept. */
export const HISTORY_LIMIT = 100

const FORMS = {
  switch: 'switch VM [SITE|GATEWAY]',
  expect: 'expect VM|MAC [SECONDS]',
  arrived: 'arrived VM|MAC [PORT]',
  left: 'left VM|MAC',
  cancelled: 'cancelled VM|MAC',
  status: 'status',
  history: 'history [N]',
  reset: 'reset',
} as const

type Word = keyof typeof FORMS

/** @throws Failure `usage` that says what would be right. */
export function readControlLine(line: Uint8Array): ControlOrder {
  const [word, ...rest] = wordsOf(line)
  if (word === undefined) throw bad(`the line is empty (want: ${Object.values(FORMS).join(', ')})`)
  if (!Object.hasOwn(FORMS, word)) throw bad(`no such order: ${quoted(word)}${hint(word, Object.keys(FORMS))}`)
  const kind = word as Word
  const most = FORMS[kind].split(' ').length - 1
  if (rest.length > most) throw bad(`too many words: ${quoted(rest[most]!)} (want: ${FORMS[kind]})`)
  const [who, more] = rest
  if (kind === 'status' || kind === 'reset') return {kind}
  if (kind === 'history') return {kind, last: who === undefined ? HISTORY : whole(who, 1, HISTORY_LIMIT, kind)}
  if (who === undefined) throw bad(`no VM is named (want: ${FORMS[kind]})`)
  switch (kind) {
    case 'switch':
      return {kind, who, to: more}
    case 'expect':
      return {kind, who, forMs: 1000 * (more === undefined ? EXPECT_S : whole(more, 1, EXPECT_LIMIT_S, kind))}
    case 'arrived':
      return {kind, who, port: more}
    default:
      return {kind, who}
  }
}

function wordsOf(line: Uint8Array): string[] {
  let text: string
  try {
    text = new TextDecoder('utf-8', {fatal: true}).decode(line)
  } catch {
    throw bad('the line is no UTF-8 text')
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is refused
  if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text.replace(/\r$/, ''))) throw bad('the line has control characters')
  return text.split(/\s+/).filter((word) => word !== '')
}

function whole(text: string, least: number, most: number, kind: Word): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw bad(`${quoted(text)} is not a whole number from ${least} to ${most} (want: ${FORMS[kind]})`)
}

/** What others sent, in a message: short, and harmless where it is printed. */
const quoted = (word: string): string => `"${harmless(word.length > 64 ? `${word.slice(0, 64)}…` : word)}"`

const bad = (message: string): Failure => new Failure('usage', message)
