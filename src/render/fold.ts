// Long texts on narrow terminals.
import displayWidth from 'string-width'

/**
 * Breaks text into lines of at most `width` columns: between items, which stand three blanks apart, where there are any,
 * else between words. A word that is longer stands alone.
 */
export function fold(text: string, width: number): string[] {
  const items = text.split(/(?=\s{3})/)
  if (items.length === 1) return fill(text.split(/(?<=\S)(?=\s)/), width)
  return fill(items, width).flatMap((line) =>
    displayWidth(line) > width ? fill(line.split(/(?<=\S)(?=\s)/), width) : line,
  )
}

/** The same of a line of a result; what follows stands below the text behind its first word, number or verdict. */
export function foldHanging(line: string, width: number): string[] {
  const [, before = '', text = ''] = /^(\s*(?:[A-Z][A-Z ]*[A-Z] +|\d+\. |[-+*] )?)(.*)$/s.exec(line) ?? []
  const indent = displayWidth(before)
  if (displayWidth(line) <= width || indent > width / 2) return [line]
  return fold(text, width - indent).map((part, i) => (i === 0 ? before : ' '.repeat(indent)) + part)
}

function fill(parts: readonly string[], width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const part of parts) {
    if (line !== '' && displayWidth(line + part) > width) {
      lines.push(line)
      line = part.trimStart()
    } else line += part
  }
  return [...lines, line]
}
