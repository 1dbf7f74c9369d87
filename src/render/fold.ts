// Long texts on narrow terminals.
import displayWidth from 'string-width'

/**
 * Breaks text into lines of at most `width` columns: between items, which stand three blanks apart, where there are any,
 * else between words. What is longer stands alone.
 */
export function fold(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const part of text.includes('   ') ? text.split(/(?=\s{3})/) : text.split(/(?<=\S)(?=\s)/)) {
    if (line !== '' && displayWidth(line + part) > width) {
      lines.push(line)
      line = part.trimStart()
    } else line += part
  }
  return [...lines, line]
}
