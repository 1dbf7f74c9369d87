// The commands of an example for a shell, as far as pages in docs/ need them: words with their quotes taken off, operators,
// comments, $(...) as commands of their own. Not a shell: variables stay as they are written.

const OPERATOR = /^(?:&&|\|\||;;|\|&|[;|&()\n]|\{ |\} )/
const REDIRECT = /^\d?(?:>>|>&|<<<|<|>)\s*/

/** Each simple command as its words. A `$(...)` inside a word stands there as it is, and its commands come after. */
export function shellCommands(text: string): readonly (readonly string[])[] {
  const commands: string[][] = []
  const inner: string[] = []
  let words: string[] = []
  let rest = text.replaceAll(/\\\n\s*/g, ' ')
  const end = (): void => {
    if (words.length > 0) commands.push(words)
    words = []
  }
  while (rest !== '') {
    const blank = /^(?:[ \t]+(?:#[^\n]*)?|^#[^\n]*)/.exec(rest)?.[0]
    const operator = OPERATOR.exec(rest)?.[0]
    const redirect = REDIRECT.exec(rest)?.[0]
    if (blank !== undefined) rest = rest.slice(blank.length)
    else if (redirect !== undefined && !rest.startsWith('<(')) rest = afterWord(rest.slice(redirect.length), inner).rest
    else if (operator !== undefined) {
      end()
      rest = rest.slice(operator.length)
    } else {
      const {word, rest: behind} = afterWord(rest, inner)
      words.push(word)
      rest = behind
    }
  }
  end()
  return [...commands, ...inner.flatMap(shellCommands)]
}

/** One word, without its quotes. What runs inside it goes to `inner`. */
function afterWord(text: string, inner: string[]): {readonly word: string; readonly rest: string} {
  let word = ''
  let rest = text
  while (rest !== '' && !/^[\s;|&)]/.test(rest)) {
    const substitution = /^(?:\$|<)\((?!\()/.test(rest) ? balanced(rest) : undefined
    const quoted = /^'([^']*)'/.exec(rest) ?? /^"((?:[^"\\]|\\.)*)"/.exec(rest)
    if (substitution !== undefined) {
      inner.push(substitution.slice(2, -1))
      word += substitution
      rest = rest.slice(substitution.length)
    } else if (quoted !== null) {
      const commands = rest.startsWith('"') ? [...quoted[1]!.matchAll(/\$\((?!\()([^()]*)\)/g)] : []
      inner.push(...commands.map(([, command]) => command!))
      word += quoted[1]
      rest = rest.slice(quoted[0].length)
    } else {
      word += rest[0]
      rest = rest.slice(1)
    }
  }
  return {word, rest}
}

function balanced(text: string): string {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++
    if (text[i] === ')' && --depth === 0) return text.slice(0, i + 1)
  }
  return text
}

/** The arguments of each `gwswitch ...` among them, whatever it is run under: sudo, ip netns exec, timeout. */
export function gwswitchCalls(text: string): readonly (readonly string[])[] {
  const under = /^(?:sudo|timeout|env|exec|for|do|then|if|while|!|time|nohup)$/
  return shellCommands(text).flatMap((words) => {
    const at = words.indexOf('gwswitch')
    if (at < 0) return []
    const before = words.slice(0, at)
    const runs =
      before.length === 0 || under.test(before[0]!) || /^\w+=/.test(before[0]!) || /netns exec/.test(before.join(' '))
    return runs ? [words.slice(at + 1)] : []
  })
}
