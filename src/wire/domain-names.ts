// Lists of domain names as option 119 carries them (RFC 3397): DNS labels, with compression pointers inside the option.
import {WireError} from './error.ts'

const LAYER = 'domain names'
const LONGEST_LABEL = 63
/** Bytes of the longest name on the wire (RFC 1035 2.3.4), the empty root label included. */
const LONGEST_NAME = 255

/** Of a name of that length. A name needs no more pointers; a long chain of them would be followed again for every name. */
const MOST_LABELS = 127

/**
 * Reads names, `example.com`, without a dot at the end. Labels are ISO 8859-1, lower and upper case as sent.
 * Throws `WireError`: `truncated` where a name has no end, `malformed` for pointers that do not point backwards or are
 * more than labels could be, names longer than DNS has them, labels with a dot or none at all.
 */
export function parseDomainNames(bytes: Uint8Array): string[] {
  const names: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const {name, end} = parseName(bytes, at)
    names.push(name)
    at = end
  }
  return names
}

function parseName(bytes: Uint8Array, start: number): {name: string; end: number} {
  const labels: string[] = []
  let size = 1
  let end: number | undefined
  let pointers = 0
  for (let at = start; ; ) {
    const length = bytes[at]
    if (length === undefined) fail('truncated', bytes.length, 'a name has no end')
    if (length === 0) {
      if (labels.length === 0) fail('malformed', start, 'the root is no domain to search')
      return {name: labels.join('.'), end: end ?? at + 1}
    }
    if (length >= 0xc0) {
      if (at + 1 >= bytes.length) fail('truncated', bytes.length, 'a pointer is cut')
      const target = ((length & 0x3f) << 8) | bytes[at + 1]!
      // Backwards only: then every pointer comes closer to the start, and no chain of them is endless.
      if (target >= at) fail('malformed', at, `pointer to ${target} does not point backwards`)
      if (++pointers > MOST_LABELS) fail('malformed', start, 'a name has more pointers than labels')
      end ??= at + 2
      at = target
      continue
    }
    if (length > LONGEST_LABEL) fail('malformed', at, `label type ${length >>> 6} is not spoken here`)
    if (at + 1 + length > bytes.length) fail('truncated', bytes.length, 'a label is cut')
    size += 1 + length
    if (size > LONGEST_NAME) fail('malformed', start, `a name is longer than ${LONGEST_NAME} bytes`)
    labels.push(labelText(bytes, at + 1, length))
    at += 1 + length
  }
}

function labelText(bytes: Uint8Array, start: number, length: number): string {
  const label = String.fromCharCode(...bytes.subarray(start, start + length))
  return label.includes('.') ? fail('malformed', start, 'a label contains a dot') : label
}

/**
 * Writes names, the common endings of later ones as pointers to earlier ones (RFC 1035 4.1.4).
 * Throws `WireError`, reason `out-of-range`, for what is no domain name.
 */
export function serializeDomainNames(names: readonly string[]): Uint8Array {
  const out: number[] = []
  const seen = new Map<string, number>()
  for (const name of names) writeName(name, seen, out)
  return Uint8Array.from(out)
}

/** Appends a name to `out`; `seen` holds where every ending of the earlier ones starts. */
function writeName(name: string, seen: Map<string, number>, out: number[]): void {
  if (name.length + 2 > LONGEST_NAME) fail('out-of-range', 0, `${name} is longer than DNS allows`)
  const labels = name.split('.')
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!
    const ending = labels.slice(i).join('.')
    const earlier = seen.get(ending)
    if (earlier !== undefined) {
      out.push(0xc0 | (earlier >>> 8), earlier & 0xff)
      return
    }
    // A pointer has 14 bits; endings that lie further back are written again.
    if (out.length < 0x4000) seen.set(ending, out.length)
    const bytes = Array.from({length: label.length}, (_, at) => label.charCodeAt(at))
    if (label === '' || label.length > LONGEST_LABEL || bytes.some((byte) => byte > 0xff)) {
      fail('out-of-range', 0, `${JSON.stringify(name)} is no domain name`)
    }
    out.push(label.length, ...bytes)
  }
  out.push(0)
}

function fail(reason: WireError['reason'], offset: number, detail: string): never {
  throw new WireError(LAYER, reason, offset, detail)
}
