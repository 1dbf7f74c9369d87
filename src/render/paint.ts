// Colour for a terminal, never the only carrier of a meaning, and text that is safe to print there.
import {styleText} from 'node:util'

/** Marks text by what it means. Without colour every function returns its text as it is. */
export interface Paint {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly good: (text: string) => string
  readonly warn: (text: string) => string
  readonly bad: (text: string) => string
}

/** Whether the text goes to a terminal has been decided by who asks for colour. */
const styled =
  (style: Parameters<typeof styleText>[0]) =>
  (text: string): string =>
    styleText(style, text, {validateStream: false})
const asIs = (text: string): string => text

/** ANSI colours (ECMA-48 SGR) if `colour`, plain text otherwise. */
export function paintWith(colour: boolean): Paint {
  if (!colour) return {bold: asIs, dim: asIs, good: asIs, warn: asIs, bad: asIs}
  return {bold: styled('bold'), dim: styled('dim'), good: styled('green'), warn: styled('yellow'), bad: styled('red')}
}

/** Text from the network (names in the DNS, interface objects) without what could steer a terminal. */
export const harmless = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, '?')
