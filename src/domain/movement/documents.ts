// JSON documents in a stream: one a line, or laid out over several, as kubectl(1) and govc write them.

/** Characters of one document. A VM of KubeVirt has some 50,000. */
const LIMIT = 4 << 20

/**
 * Takes lines one after the other; returns the value of the document that a line ends, undefined while there is none.
 *
 * Whoever lays documents out begins and ends each with a brace at the start of a line, and indents all between: a document
 * that was cut off is given up where the next one begins.
 */
export function documents(): (line: string) => unknown {
  let pending: string[] = []
  let length = 0
  const begin = (line: string): void => {
    pending = [line]
    length = line.length
  }
  const drop = (): void => {
    pending = []
    length = 0
  }
  return (line) => {
    if (line.startsWith('{')) {
      const value = parsed(line)
      if (value === undefined && line.length <= LIMIT) begin(line)
      else drop()
      return value
    }
    if (pending.length === 0) return undefined
    pending.push(line)
    length += line.length
    if (length > LIMIT) drop()
    if (!line.startsWith('}')) return undefined
    const value = parsed(pending.join('\n'))
    drop()
    return value
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
