// YAML with the place of every key and value, so that a message can point at it.
import {isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, visit} from 'yaml'
import {Failure} from '../errors.ts'

/** Keys and list indices from the top of the document. */
export type Path = readonly (string | number)[]

/** Something wrong at a place in the file. `atKey` points at the key, not at its value; `other` is what it contradicts. */
export interface Problem {
  readonly path: Path
  readonly message: string
  readonly atKey?: boolean
  readonly other?: Path
}

/** Line and column, both from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

export interface YamlFile {
  readonly file: string
  /** Plain maps, lists and scalars. */
  readonly value: unknown
  /** The value at `path`, undefined if nothing is there. */
  valueAt(path: Path): unknown
  /** Where the value at `path` stands (or its key); the nearest place above if there is nothing at `path`. */
  locate(path: Path, atKey: boolean): Place
}

/** Reads one YAML 1.2 document (JSON is one too). Throws Failure('usage') with file, line and column. */
export function readYaml(text: string, file: string): YamlFile {
  const lines = new LineCounter()
  // What it would warn of (a mapping as a key) is for the schema to refuse.
  const document = parseDocument(text, {lineCounter: lines, prettyErrors: false, logLevel: 'error'})
  const place = (offset: number): Place => {
    const {line, col} = lines.linePos(offset)
    return {line, column: col}
  }
  const error = document.errors[0]
  if (error !== undefined) {
    const {line, column} = place(error.pos[0])
    const what = error.code === 'MULTIPLE_DOCS' ? 'a second document (want one)' : error.message.split('\n')[0]
    throw new Failure('usage', `${file}:${line}:${column}: not YAML: ${what}`)
  }
  return {
    file,
    value: resolved(),
    valueAt(path) {
      const found = walk(document.contents, path)
      return found.rest > 0 ? undefined : found.node?.toJS(document)
    },
    locate(path, atKey) {
      const found = walk(document.contents, path)
      const node = atKey && found.rest === 0 ? found.key : found.node
      return place(node?.range?.[0] ?? 0)
    },
  }

  /** Turning nodes into values resolves aliases, which may lead nowhere, or to far too many. */
  function resolved(): unknown {
    try {
      return document.toJS()
    } catch (error) {
      let {line, column} = place(0)
      visit(document, {
        Alias(_, node) {
          if (node.resolve(document) !== undefined) return undefined
          ;({line, column} = place(node.range?.[0] ?? 0))
          return visit.BREAK
        },
      })
      throw new Failure(
        'usage',
        `${file}:${line}:${column}: not YAML: ${error instanceof Error ? error.message : error}`,
      )
    }
  }

  /** The node at the end of `path`, or the last one on the way there and how many steps were left. */
  function walk(top: Node | null, path: Path): {node: Node | null; key: Node | null; rest: number} {
    let at: {node: Node | null; key: Node | null; rest: number} = {node: top, key: top, rest: path.length}
    for (const step of path) {
      const from = isAlias(at.node) ? at.node.resolve(document) : at.node
      const pair = isMap(from)
        ? (from.items as Pair<Node, Node | null>[]).find((item) => keyText(item.key) === String(step))
        : undefined
      const item = isSeq(from) && typeof step === 'number' ? (from.items[step] as Node | undefined) : undefined
      if (pair !== undefined) at = {node: pair.value ?? pair.key, key: pair.key, rest: at.rest - 1}
      else if (item !== undefined) at = {node: item, key: item, rest: at.rest - 1}
      else break
    }
    return at
  }
}

const keyText = (key: Node): string => (isScalar(key) ? String(key.value) : '')

/** `segments.tenant-a.gateways[0].mac`; a key that would not read back is quoted. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    if (!/^[\w-]+$/.test(step)) return `${text}[${JSON.stringify(step)}]`
    return text === '' ? step : `${text}.${step}`
  }, '')
}
