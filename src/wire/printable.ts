// Text that is safe to show: what VMs, resolvers and guest agents say may steer a terminal, fake a line of ours or turn
// words round. Whatever is printed or logged goes through here (net/process/say.ts).

/**
 * Controls (ECMA-48: C0, C1, DEL), format characters (Unicode Cf: bidirectional ones, zero-width ones, tags), line and
 * paragraph separators, and halves of surrogate pairs.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
/** Of those, what JSON.stringify leaves as it is. */
const UNSAFE_IN_JSON = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu

const NAMES: Readonly<Record<string, string>> = {'\n': '\\n', '\r': '\\r', '\t': '\\t'}

/** By UTF-16 code units, as JSON and JavaScript write them. */
const escaped = (character: string): string =>
  NAMES[character] ??
  Array.from({length: character.length}, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`).join(
    '',
  )

/** Every unsafe character as `\u001b`. The result is one line. */
export const harmless = (text: string): string => text.replace(UNSAFE, escaped)

/** JSON that says the same, and shows nothing that {@link harmless} would not. A line end of its layout stays. */
export const harmlessJson = (json: string): string => json.replace(UNSAFE_IN_JSON, escaped)

interface Mark {
  readonly words: string
  readonly sgr: RegExp
}

/** Made for the first colour: to load node:crypto takes a quarter as long as to start Node. */
let mark: Mark | undefined

/** Nobody else knows it: no colour comes from outside. SGR parameters of four digits, which terminals pass over. */
function newMark(): Mark {
  const {randomInt} = process.getBuiltinModule('node:crypto')
  const words = Array.from({length: 4}, () => randomInt(1000, 10_000)).join(';')
  return {words, sgr: new RegExp(`\\x1b\\[(\\d+);${words}m`, 'g')}
}

/** Marks an SGR sequence (ECMA-48 8.3.117) of ours, so that {@link printable} lets it pass. */
export function ourColour(sequence: string): string {
  mark ??= newMark()
  return sequence.replace(/m$/, `;${mark.words}m`)
}

/** {@link harmless}, but for the colours of {@link ourColour}. */
export function printable(text: string): string {
  if (mark === undefined) return harmless(text)
  let line = ''
  let from = 0
  for (const {0: sequence, 1: code, index} of text.matchAll(mark.sgr)) {
    line += `${harmless(text.slice(from, index))}\x1b[${code}m`
    from = index + sequence.length
  }
  return line + harmless(text.slice(from))
}
