// Colour for a terminal, never the only carrier of a meaning.
import {styleText} from 'node:util'
import {ourColour} from '../wire/printable.ts'

/** Marks text by what it means. Without colour every function returns its text as it is. */
export interface Paint {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly good: (text: string) => string
  readonly warn: (text: string) => string
  readonly bad: (text: string) => string
}

/** Whether the text goes to a terminal has been decided by who asks for colour. */
function styled(style: Parameters<typeof styleText>[0]): (text: string) => string {
  const [begin, end] = styleText(style, '|', {validateStream: false}).split('|').map(ourColour) as [string, string]
  // What stands between may be anybody's.
  return (text) => `${begin}${text}${end}`
}
const asIs = (text: string): string => text

/** ANSI colours (ECMA-48 SGR) if `colour`, plain text otherwise. */
export function paintWith(colour: boolean): Paint {
  if (!colour) return {bold: asIs, dim: asIs, good: asIs, warn: asIs, bad: asIs}
  return {bold: styled('bold'), dim: styled('dim'), good: styled('green'), warn: styled('yellow'), bad: styled('red')}
}
