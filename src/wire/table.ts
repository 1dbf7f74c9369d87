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


/** One field of fixed width: which numbers binary-parser reads for it, and what they mean. */
export interface Field<T> {
  readonly size: number
  /** Adds the reads of this field, named after it. */
  declare(parser: Parser, name: string): void
  /** Source of the value, in terms of `vars` (what was read), `buffer`, and the functions in {@link HELPERS}. */
  source(name: string, offset: number): string
  /** Writes every byte of the field; a value that does not fit throws `WireError`, reason `out-of-range`. */
  put(out: Uint8Array, offset: number, value: T, name: string): void
}

/** A codec for a fixed header. `T` is plain data, one property a field. */
export interface Table<T> {
  /** Header length in bytes. */
  readonly size: number
  /** Byte offset of each field, for error messages and for the harness. */
  readonly offsets: {readonly [K in keyof T]: number}
  /** Reads the header at the start of `bytes`. The result shares no memory with them. */
  parse(bytes: Uint8Array): T
  serialize(value: T): Uint8Array
  /** Writes the header into `out` at `offset`; the caller has made room. */
  write(value: T, out: Uint8Array, offset: number): void
}

type FieldTable<T> = {readonly [K in keyof T]: Field<T[K]>}

/** Compiles a table of fields, in wire order, big-endian. `layer` names the protocol in errors. */
export function table<T extends object>(layer: string, fields: FieldTable<T>): Table<T> {
  const names = Object.keys(fields) as (keyof T & string)[]
  const offsets = {} as {[K in keyof T]: number}
  const parser = new Parser()
  let size = 0
  for (const name of names) {
    offsets[name] = size
    fields[name].declare(parser, name)
    size += fields[name].size
  }
  const literal = names.map((name) => `${name}: ${fields[name].source(name, offsets[name])}`).join(', ')
  const read = compileReader<T>(readsOf(parser), literal)
  const write = compileWriter<T>(names, fields, offsets)
  return {
    size,
    offsets,
    parse(bytes) {
      if (bytes.length < size) {
        throw new WireError(layer, 'truncated', bytes.length, `needs ${size} bytes, has ${bytes.length}`)
      }
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

/**
 * The offset reads that binary-parser generates, as source: they take `buffer` and leave numbers in `vars`.
 *
 * Two things are changed. Its own `parse` would also set and delete `$parent` and `$root` on every result; the deletes
 * turn the result into a hash map, which costs more than all the reads together (measured: 430 ns against 75 ns for
 * eleven fields). And it reads through a `DataView`, which costs 55 ns to make, and 460 ns over an array of up to 64
 * bytes, whose bytes V8 must first move out of the object.
 */
function readsOf(parser: Parser): string {
  const lines = parser.getCode().split('\n')
  const dropped = /^(?:(?:delete )?vars\.\$(?:parent|root)\b.*|var dataView = .*|return vars;)$/
  const reads = lines
    .filter((line) => !dropped.test(line))
    .map((line) => line.replace(/dataView\.get(Uint8|Uint16|Uint32)\(offset, false\)/, 'get$1(buffer, offset)'))
  if (reads.some((line) => /[$]|return|dataView/.test(line))) {
    throw new Error(`binary-parser generates code this file does not know:\n${lines.join('\n')}`)
  }
  return reads.join('\n')
}

const getUint8 = (bytes: Uint8Array, at: number): number => bytes[at]!
const getUint16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!
const getUint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

/** What the compiled readers may call. */
const HELPERS = {copyBytes, getUint8, getUint16, getUint32, hardwareText, ipv4Text, latin1Text, macText}

/** A reader that runs `reads` and returns one object literal, so that every result of a table has the same shape. */
function compileReader<T>(reads: string, literal: string): (bytes: Uint8Array) => T {
  const make = new Function(`{${Object.keys(HELPERS).join()}}`, `return (buffer) => {${reads}\nreturn {${literal}}}`)
  return make(HELPERS) as (bytes: Uint8Array) => T
}

/** A writer with one call site a field: V8 inlines those, which it cannot in a loop over fields of several kinds. */
function compileWriter<T>(
  names: readonly (keyof T & string)[],
  fields: FieldTable<T>,
  offsets: {readonly [K in keyof T]: number},
): Table<T>['write'] {
  const calls = names.map((name, i) => `put${i}(out, offset + ${offsets[name]}, value.${name}, '${name}')`)
  const puts = names.map((_, i) => `put${i}`).join()
  const make = new Function(`[${puts}]`, `return (value, out, offset) => {\n${calls.join('\n')}\n}`)
  return make(names.map((name) => fields[name].put)) as Table<T>['write']
}

const numberSource = (name: string): string => `vars.${name}`

export const u8: Field<number> = {
  size: 1,
  declare: (parser, name) => parser.uint8(name),
  source: numberSource,
  put(out, offset, value, name) {
    expectWhole(name, 'value', value, 0xff, offset)
    out[offset] = value
  },
}

export const u16: Field<number> = {
  size: 2,
  declare: (parser, name) => parser.uint16be(name),
  source: numberSource,
  put(out, offset, value, name) {
    expectWhole(name, 'value', value, 0xffff, offset)
    out[offset] = value >>> 8
    out[offset + 1] = value & 0xff
  },
}

export const u32: Field<number> = {
  size: 4,
  declare: (parser, name) => parser.uint32be(name),
  source: numberSource,
  put(out, offset, value, name) {
    expectWhole(name, 'value', value, 0xffff_ffff, offset)
    out[offset] = value >>> 24
    out[offset + 1] = (value >>> 16) & 0xff
    out[offset + 2] = (value >>> 8) & 0xff
    out[offset + 3] = value & 0xff
  },
}

export const ipv4: Field<string> = {
  size: 4,
  declare: (parser, name) => parser.uint32be(name),
  source: (name) => `ipv4Text(vars.${name})`,
  put: (out, offset, value) => writeIpv4(value, out, offset),
}

export const mac: Field<string> = {
  size: 6,
  declare: (parser, name) => parser.uint16be(name).uint32be(`${name}_low`),
  source: (name) => `macText(vars.${name}, vars.${name}_low)`,
  put: (out, offset, value) => writeMac(value, out, offset),
}

/** Exactly `size` bytes, copied out and in. */
export const bytes = (size: number): Field<Uint8Array> => ({
  size,
  declare: (parser) => parser.seek(size),
  source: (_name, offset) => `copyBytes(buffer, ${offset}, ${offset + size})`,
  put(out, offset, value, name) {
    if (value.length !== size) {
      throw new WireError(name, 'out-of-range', offset, `holds exactly ${size} bytes, not ${value.length}`)
    }
    out.set(value, offset)
  },
})

/**
 * Text in `size` bytes, ended by a NUL unless it fills them: one byte a character (ISO 8859-1), so that what is no
 * ASCII survives too. Bytes behind the NUL mean nothing and are written as zeros.
 */
export const text = (size: number): Field<string> => ({
  size,
  declare: (parser) => parser.seek(size),
  source: (_name, offset) => `latin1Text(buffer, ${offset}, ${size})`,
  put(out, offset, value, name) {
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
  },
})

function latin1Text(buffer: Uint8Array, offset: number, size: number): string {
  let value = ''
  for (let i = offset; i < offset + size && buffer[i] !== 0; i++) value += String.fromCharCode(buffer[i]!)
  return value
}

/** The `chaddr` of DHCP: 16 bytes, as many of them used as the u8 field `lengthField` of the same table says. */
export const hardwareAddress = (lengthField: string): Field<string> => ({
  size: HARDWARE_ADDRESS_ROOM,
  declare: (parser) => parser.seek(HARDWARE_ADDRESS_ROOM),
  source: (_name, offset) => `hardwareText(buffer, ${offset}, vars.${lengthField})`,
  put: (out, offset, value) => writeHardwareAddress(value, out, offset),
})
