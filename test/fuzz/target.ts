// What `npm run fuzz` tries. A target is a row of one of the tables in targets/: a reader, and inputs that it takes.

/** One reader of what others wrote. */
export interface Target {
  readonly name: string
  /** How inputs are changed: byte by byte, word by word, or value by value. */
  readonly form: 'bytes' | 'text' | 'json'
  /** Inputs that the reader takes, from which others are made. At least one. */
  corpus(): readonly Uint8Array[]
  /** Returns a value, or throws `WireError` or `Failure`; anything else that it throws is a find. */
  read(input: Uint8Array): unknown
  /** Writes what was read; it must read back as the same value. */
  write?(value: unknown): Uint8Array
  /** Why what is written may read as another value; that one must then come back as it is. */
  readonly settles?: string
  /** Makes checksums and lengths right again, so that what lies behind them is reached. */
  repair?(input: Uint8Array): Uint8Array
}

interface Row<T> {
  readonly name: string
  readonly corpus: () => readonly Uint8Array[]
  readonly read: (input: Uint8Array) => T | Promise<T>
  readonly write?: (value: T) => Uint8Array
  readonly settles?: string
  readonly repair?: (input: Uint8Array) => Uint8Array
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', {ignoreBOM: true})

export const utf8 = (text: string): Uint8Array => encoder.encode(text)

/** A row for a reader of bytes; `write` gets what its own `read` returned. */
export const ofBytes = <T>(row: Row<T>): Target => ({...row, form: 'bytes'}) as Target

interface TextRow<T> {
  readonly name: string
  readonly corpus: readonly string[]
  readonly read: (input: string) => T | Promise<T>
  readonly write?: (value: T) => string
}

const reading =
  (form: 'text' | 'json') =>
  <T>({name, corpus, read, write}: TextRow<T>): Target => ({
    name,
    form,
    corpus: () => corpus.map(utf8),
    read: (input) => read(decoder.decode(input)),
    ...(write && {write: (value: unknown) => utf8(write(value as T))}),
  })

/** A row for a reader of text. */
export const ofText = reading('text')
/** A row for a reader of JSON. */
export const ofJson = reading('json')
