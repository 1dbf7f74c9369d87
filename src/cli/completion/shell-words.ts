// A line as a person is typing it into bash, which hands it over raw, and what bash may put into it. POSIX.1-2024, shell
// command language, 2.2 "Quoting".

type Quote = '' | '"' | "'"

export interface TypedLine {
  /** The words before the last one, unquoted; the program's name is the first. */
  readonly words: readonly string[]
  /** The one that is being typed, unquoted; empty after a blank. */
  readonly current: string
  /** A quote that it has open. */
  readonly quote: Quote
  /** How much of `current` bash leaves standing: it replaces what comes after the last of its break characters. */
  readonly kept: number
}

/** `breaks` is COMP_WORDBREAKS (bash(1)). Expansions are left as they are written. */
export function typedLine(line: string, breaks: string): TypedLine {
  const words: string[] = []
  let current = ''
  let isWord = false
  let quote: Quote = ''
  let kept = 0
  for (let i = 0; i < line.length; i++) {
    const character = line[i]!
    const isEscape = character === '\\' && quote !== "'"
    if (quote === '' && /\s/.test(character)) {
      if (isWord) words.push(current)
      ;[current, isWord, kept] = ['', false, 0]
      continue
    }
    isWord = true
    if (isEscape && (quote === '' || /["\\$`]/.test(line[i + 1] ?? ''))) current += line[++i] ?? ''
    else if (quote === '' && (character === '"' || character === "'")) [quote, kept] = [character, current.length]
    else if (character === quote) quote = ''
    else {
      current += character
      if (quote === '' && breaks.includes(character)) kept = current.length
    }
  }
  return {words, current, quote, kept}
}

/** What bash is to put in place of the word that is being typed, so that it is read as `value`; undefined: it cannot be. */
export function bashReply(value: string, {quote, kept}: TypedLine): string | undefined {
  const rest = value.slice(kept)
  if (quote === "'") return rest.includes("'") ? undefined : rest
  if (quote === '"') return rest.replaceAll(/["\\$`]/g, '\\$&')
  return rest.replaceAll(/[^\p{L}\p{N}_./:=@%+,-]/gu, '\\$&')
}
