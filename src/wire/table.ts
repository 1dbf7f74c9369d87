// A fixed header from one table of fields, so that reading and writing cannot disagree.
//
// The only importer of binary-parser, which compiles the table to one run of offset reads. What it would do silently
// wrong is kept from it: lengths are checked before its code runs (it returns short buffers), it reads numbers only (its
// buffers alias the input), and its untyped result never leaves this file.
import {Parser} from 'binary-parser/dist/binary_parser.js'
import {
  HARDWARE_ADDRESS_ROOM,
  hardwareText,
  ipv4Text,
  macText,
  writeHardwareAddress,
  writeIpv4,
  writeMac,
} from './address.ts'
import {expectWhole, WireError} from './error.ts'
import {copyBytes, zeros} from './memory.ts'

/** What every field has: its place, and the numbers to read there. */
interface Column {
  readonly size: number
  /** Adds the reads of this field, named after it, to what binary-parser compiles. */
  declare(parser: Parser, name: string): void
}

/**
 * One field of fixed width: how it reads and writes, as source that {@link table} compiles. In it, `buffer` is what is
 * read, `out` what is written, and what {@link HELPERS} holds may be called.
 */
export interface Field<T> extends Column {
  /** An expression for the value, in terms of the numbers read, `read_` and the field's name. */
  read(name: string, offset: number): string
  /** Statements that write every byte of the field, or throw `WireError`, reason `out-of-range`. */
  write(value: string, offset: string, name: string): string
  /** What a value is; nothing is stored here. */
  readonly type?: T
}

/** A field that says nothing of its own: it is checked on reading, and follows from the others on writing. */
export interface Implied extends Column {
  /** Statements that throw `WireError` if the field is not as it should be. */
  check(layer: string, name: string, offset: number): string
  /** Statements that write every byte of the field, in terms of `value`. */
  imply(offset: string): string
}

/** A codec for a fixed header. `T` is plain data, one property a field; the implied fields `I` are not in it. */
export interface Table<T, I extends string = never> {
  /** Header length in bytes. */
  readonly size: number
  /** Byte offset of each field, for error messages and for the harness. */
  readonly offsets: {readonly [K in keyof T | I]: number}
  /** Reads the header at the start of `bytes`. The result shares no memory with them. */
  parse(bytes: Uint8Array): T
  serialize(value: T): Uint8Array
  /** Writes the header into `out` at `offset`; the caller has made room. */
  write(value: T, out: Uint8Array, offset: number): void
}

type FieldTable<T, I extends string> = {readonly [K in keyof T]: Field<T[K]>} & {readonly [K in I]: Implied}

/**
 * A table of fields, in wire order, big-endian; `layer` names the protocol in errors. It is compiled when it is first
 * used: a program that only imports a codec does not pay for it (0.2 ms a table).
 */
export function table<T extends object, I extends string = never>(
  layer: string,
  fields: FieldTable<T, I>,
): Table<T, I> {
  const offsets = {} as {[K in keyof T | I]: number}
  const columns = Object.entries<Field<unknown> | Implied>(fields).map(([name, field]) => ({name, field}))
  let size = 0
  for (const {name, field} of columns) {
    offsets[name as keyof T] = size
    size += field.size
  }
  let read: ((bytes: Uint8Array) => T) | undefined
  let put: Table<T>['write'] | undefined
  const write: Table<T>['write'] = (value, out, offset) => {
    if (put === undefined) put = compile<Table<T>['write']>('value, out, offset', writerSource(columns))
    put(value, out, offset)
  }
  return {
    size,
    offsets,
    parse(bytes) {
      if (bytes.length < size) {
        throw new WireError(layer, 'truncated', bytes.length, `needs ${size} bytes, has ${bytes.length}`)
      }
      if (read === undefined) read = compile<(bytes: Uint8Array) => T>('buffer', readerSource(layer, columns))
      return read(bytes)
    },
    serialize(value) {
      const out = zeros(size)
      write(value, out, 0)
      return out
    },
    write,
  }
}

type Columns = readonly {readonly name: string; readonly field: Field<unknown> | Implied}[]

/** Reads, then checks, then one object literal, so that every result of a table has the same shape. */
function readerSource(layer: string, columns: Columns): string {
  const parser = new Parser()
  const checks: string[] = []
  const properties: string[] = []
  let offset = 0
  for (const {name, field} of columns) {
    field.declare(parser, name)
    if ('check' in field) checks.push(field.check(layer, name, offset))
    else properties.push(`${name}: ${field.read(name, offset)}`)
    offset += field.size
  }
  return `${readsOf(parser)}\n${checks.join('\n')}\nreturn {${properties.join()}}`
}

function writerSource(columns: Columns): string {
  let at = 0
  return columns
    .map(({name, field}) => {
      const offset = `offset + ${at}`
      at += field.size
      return 'imply' in field ? field.imply(offset) : `{const v = value.${name}\n${field.write('v', offset, name)}}`
    })
    .join('\n')
}

/**
 * The offset reads that binary-parser generates, as source: they take `buffer` and leave numbers in `read_` variables.
 *
 * What its own `parse` does around them is left out: it collects the numbers in an object, sets and deletes `$parent`
 * and `$root` there, whereby the object becomes a hash map (measured: 430 ns against 75 ns for eleven fields), and reads
 * through a `DataView`, which costs 55 ns to make, and 460 ns over an array of up to 64 bytes, whose bytes V8 must first
 * move out of the object.
 */
function readsOf(parser: Parser): string {
  const lines = parser.getCode().split('\n')
  const around = /^(?:var (?:dataView|vars) = .*|(?:delete )?vars\.\$(?:parent|root)\b.*|return vars;)$/
  const number = /^vars\.(\w+) = dataView\.get(Uint8|Uint16|Uint32)\(offset, false\);$/
  const reads = lines
    .filter((line) => !around.test(line))
    .map((line) => line.replace(number, 'const read_$1 = get$2(buffer, offset);'))
  if (reads.some((line) => /[$]|return|dataView|vars/.test(line))) {
    throw new Error(`binary-parser generates code this file does not know:\n${lines.join('\n')}`)
  }
  return reads.join('\n')
}

const getUint8 = (bytes: Uint8Array, at: number): number => bytes[at]!
const getUint16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!
const getUint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

/** What compiled code may call. */
const HELPERS = {
  WireError,
  copyBytes,
  expectWhole,
  getUint16,
  getUint32,
  getUint8,
  hardwareText,
  ipv4Text,
  latin1Text,
  macText,
  putBytes,
  putLatin1,
  writeHardwareAddress,
  writeIpv4,
  writeMac,
}

function compile<F>(parameters: string, body: string): F {
  return new Function(`{${Object.keys(HELPERS).join()}}`, `return (${parameters}) => {${body}}`)(HELPERS) as F
}

const readNumber = (name: string): string => `read_${name}`
/** Stated in the compiled code itself: calls would use up what V8 inlines, and a long table would be slow. */
const checkNumber = (value: string, max: number, offset: string, name: string): string =>
  `if (${value} >>> 0 !== ${value} || ${value} > ${max}) expectWhole('${name}', 'value', ${value}, ${max}, ${offset})`

export const u8: Field<number> = {
  size: 1,
  declare: (parser, name) => parser.uint8(name),
  read: readNumber,
  write: (value, offset, name) => `${checkNumber(value, 0xff, offset, name)}\nout[${offset}] = ${value}`,
}

export const u16: Field<number> = {
  size: 2,
  declare: (parser, name) => parser.uint16be(name),
  read: readNumber,
  write: (value, offset, name) =>
    `${checkNumber(value, 0xffff, offset, name)}
    out[${offset}] = ${value} >>> 8
    out[${offset} + 1] = ${value} & 0xff`,
}

export const u32: Field<number> = {
  size: 4,
  declare: (parser, name) => parser.uint32be(name),
  read: readNumber,
  write: (value, offset, name) =>
    `${checkNumber(value, 0xffff_ffff, offset, name)}
    out[${offset}] = ${value} >>> 24
    out[${offset} + 1] = (${value} >>> 16) & 0xff
    out[${offset} + 2] = (${value} >>> 8) & 0xff
    out[${offset} + 3] = ${value} & 0xff`,
}

export const ipv4: Field<string> = {
  size: 4,
  declare: (parser, name) => parser.uint32be(name),
  read: (name) => `ipv4Text(read_${name})`,
  write: (value, offset) => `writeIpv4(${value}, out, ${offset})`,
}

export const mac: Field<string> = {
  size: 6,
  declare: (parser, name) => parser.uint16be(name).uint32be(`${name}_low`),
  read: (name) => `macText(read_${name}, read_${name}_low)`,
  write: (value, offset) => `writeMac(${value}, out, ${offset})`,
}

/** Exactly `size` bytes, copied out and in. */
export const bytes = (size: number): Field<Uint8Array> => ({
  size,
  declare: (parser) => parser.seek(size),
  read: (_name, offset) => `copyBytes(buffer, ${offset}, ${offset + size})`,
  write: (value, offset, name) => `putBytes(${value}, ${size}, out, ${offset}, '${name}')`,
})

function putBytes(value: Uint8Array, size: number, out: Uint8Array, offset: number, name: string): void {
  if (value.length !== size) {
    throw new WireError(name, 'out-of-range', offset, `holds exactly ${size} bytes, not ${value.length}`)
  }
  out.set(value, offset)
}

/**
 * Text in `size` bytes, ended by a NUL unless it fills them: one byte a character (ISO 8859-1), so that what is no
 * ASCII survives too. Bytes behind the NUL mean nothing and are written as zeros.
 */
export const text = (size: number): Field<string> => ({
  size,
  declare: (parser) => parser.seek(size),
  read: (_name, offset) => `latin1Text(buffer, ${offset}, ${size})`,
  write: (value, offset, name) => `putLatin1(${value}, ${size}, out, ${offset}, '${name}')`,
})

function latin1Text(buffer: Uint8Array, offset: number, size: number): string {
  let value = ''
  for (let i = offset; i < offset + size && buffer[i] !== 0; i++) value += String.fromCharCode(buffer[i]!)
  return value
}

function putLatin1(value: string, size: number, out: Uint8Array, offset: number, name: string): void {
  out.fill(0, offset, offset + size)
  if (value.length > size) {
    throw new WireError(name, 'out-of-range', offset, `holds ${size} characters, not ${value.length}`)
  }
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code === 0 || code > 0xff) {
      throw new WireError(name, 'out-of-range', offset + i, `has no byte for ${JSON.stringify(value[i])}`)
    }
    out[offset + i] = code
  }
}

/**
 * A property for what follows the header: read as an empty list, which the codec fills. It has no bytes here.
 */
export const list = <T>(): Field<readonly T[]> => ({
  size: 0,
  declare: () => {},
  read: () => '[]',
  write: () => '',
})

/**
 * A number that is always the same; anything else is refused, reason `unsupported`, with `detail` or with what would be
 * right. `field` says its width.
 */
export const constant = (field: Field<number>, value: number, detail?: string): Implied => ({
  size: field.size,
  declare: field.declare,
  check(layer, name, offset) {
    const text = detail ? JSON.stringify(detail) : `\`${name} is \${read_${name}}, only ${value} is spoken here\``
    return `if (read_${name} !== ${value}) throw new WireError('${layer}', 'unsupported', ${offset}, ${text})`
  },
  imply: (offset) => field.write(`${value}`, offset, ''),
})

/** The `chaddr` of DHCP: 16 bytes, as many of them used as the {@link hardwareLength} field `lengthField` says. */
export const hardwareAddress = (lengthField: string): Field<string> => ({
  size: HARDWARE_ADDRESS_ROOM,
  declare: (parser) => parser.seek(HARDWARE_ADDRESS_ROOM),
  read: (_name, offset) => `hardwareText(buffer, ${offset}, read_${lengthField})`,
  write: (value, offset) => `writeHardwareAddress(${value}, out, ${offset})`,
})

/** The number of bytes, at most 16, of the {@link hardwareAddress} field `addressField`. */
export const hardwareLength = (addressField: string): Implied => ({
  size: 1,
  declare: (parser, name) => parser.uint8(name),
  check(layer, name, offset) {
    const text = `\`${name} \${read_${name}} is above ${HARDWARE_ADDRESS_ROOM}\``
    return `if (read_${name} > ${HARDWARE_ADDRESS_ROOM}) throw new WireError('${layer}', 'malformed', ${offset}, ${text})`
  },
  imply: (offset) => `out[${offset}] = (value.${addressField}.length + 1) / 3`,
})
