// What a terminal can show, by the variables in which its user says so.

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Colour for a person's terminal: not with NO_COLOR (no-color.org), TERM=dumb or CLICOLOR=0; always with CLICOLOR_FORCE
 * or FORCE_COLOR, which is as much as NO_COLOR where it is 0.
 */
export function wantsColour(isTerminal: boolean, env: Environment): boolean {
  if (env.NO_COLOR || isOff(env.FORCE_COLOR)) return false
  if (env.FORCE_COLOR || (env.CLICOLOR_FORCE && env.CLICOLOR_FORCE !== '0')) return true
  return isTerminal && env.TERM !== 'dumb' && env.CLICOLOR !== '0'
}

const isOff = (value: string | undefined): boolean => value === '0' || value === 'false'

/** Says it in the words that oclif's libraries heed too, where it does not depend on the stream. */
export function shareColour(env: Record<string, string | undefined>): void {
  if (!wantsColour(true, env)) env.NO_COLOR ||= '1'
  else if (wantsColour(false, env)) env.FORCE_COLOR ||= '1'
}

/** Whether lines can be written over: a dumb terminal knows no cursor (terminfo(5)). */
export const canRedraw = ({isTTY}: {readonly isTTY?: boolean}, env: Environment): boolean =>
  isTTY === true && env.TERM !== 'dumb'

/** Whether its characters are UTF-8, by the locale (setlocale(3)): the first that is set and not empty; none is "C". */
export const isUtf8 = ({LC_ALL, LC_CTYPE, LANG}: Environment): boolean =>
  /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '')

/** What our own texts draw with, as wide in ASCII, so that columns stay columns. */
const PLAIN: Readonly<Record<string, string>> = {
  ...{'─': '-', '═': '=', '▶': '>', '→': '>', '←': '<', '↩': '<', '▽': 'v', '✓': '+', '✗': 'x'},
  ...{'▁': '_', '▂': '_', '▃': '.', '▄': '-', '▅': '=', '▆': '+', '▇': '*', '█': '#'},
  ...{'×': 'x', µ: 'u', '−': '-', '–': '-', '’': "'", '…': '~'},
}

/** Our own characters in ASCII. What others say, names of VMs, stays as it is. */
export const inAscii = (text: string): string =>
  text.replace(/[^\0-\x7f]/g, (character) => PLAIN[character] ?? character)
