// Colour for a terminal, never the only carrier of a meaning, and text that is safe to print there.

/** Marks text by what it means. Without colour every function returns its text as it is. */
export interface Paint {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly good: (text: string) => string
  readonly warn: (text: string) => string
  readonly bad: (text: string) => string
}

const sgr = (on: number, off: number) => (text: string) => `\u001b[${on}m${text}\u001b[${off}m`
const asIs = (text: string): string => text

/** ANSI colours (ECMA-48 SGR) if `colour`, plain text otherwise. */
export function paintWith(colour: boolean): Paint {
  if (!colour) return {bold: asIs, dim: asIs, good: asIs, warn: asIs, bad: asIs}
  return {bold: sgr(1, 22), dim: sgr(2, 22), good: sgr(32, 39), warn: sgr(33, 39), bad: sgr(31, 39)}
}

/** Text from the network (names in the DNS, interface objects) without what could steer a terminal. */
export const harmless = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, '?')

// biome-ignore lint/suspicious/noControlCharactersInRegex: ESC begins every colour
const COLOURS = /\u001b\[[0-9;]*m/g
const COMBINING = /[\p{Mn}\p{Me}\p{Cf}]/u
/** East Asian wide characters and emoji, roughly: nothing of ours is among them, but a host may be named so. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u

/** Columns that text takes on a terminal, colours not counted. */
export function displayWidth(text: string): number {
  let width = 0
  for (const character of text.replace(COLOURS, '')) {
    width += COMBINING.test(character) ? 0 : WIDE.test(character) ? 2 : 1
  }
  return width
}

/** Text filled up to `width` columns, to its right or its left. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return align === 'left' ? text + space : space + text
}
