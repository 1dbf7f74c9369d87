// What all our pictures share: colours for light and dark, and the elements that they are made of.
import {harmless} from '../wire/printable.ts'

export interface Palette {
  readonly paper: string
  readonly ink: string
  readonly soft: string
  readonly grid: string
  /** The gateway in use, the first alternative, the others. */
  readonly series: readonly [string, string, string]
  /** Verdicts: something is wrong, all is well, nobody knows. */
  readonly verdicts: readonly [bad: string, good: string, open: string]
}

export const LIGHT: Palette = {
  paper: '#ffffff',
  ink: '#1b1f24',
  soft: '#5f6872',
  grid: '#d8dee4',
  series: ['#1d5fb4', '#8a3ea8', '#0b7a75'],
  verdicts: ['#b42318', '#147046', '#8a5a00'],
}
export const DARK: Palette = {
  paper: '#14181d',
  ink: '#e6edf3',
  soft: '#9aa4ae',
  grid: '#333b44',
  series: ['#7db4ff', '#d3a4f0', '#5fd0c8'],
  verdicts: ['#ff8a75', '#5fd39a', '#f2c14e'],
}

export const px = (value: number): string => `${Number(value.toFixed(1))}`

export const line = (x1: number, y1: number, x2: number, y2: number, style: string): string =>
  `<line class="${style}" x1="${px(x1)}" y1="${px(y1)}" x2="${px(x2)}" y2="${px(y2)}"/>`

export function text(x: number, y: number, content: string, style: string, anchor?: 'middle' | 'end'): string {
  const where = anchor === undefined ? '' : ` text-anchor="${anchor}"`
  return `<text class="${style}" x="${px(x)}" y="${px(y)}"${where}>${xml(content)}</text>`
}

/** Text that may stand in an element or in quotes, and steers nothing. */
export const xml = (content: string): string =>
  harmless(content).replace(/[&<>"]/g, (c) => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'})[c]!)
