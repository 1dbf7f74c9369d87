// Options of a message changed where they lie, every other byte as it was sent: for who stands between a server and its
// clients. A message that is parsed and written anew says the same in other bytes.
import {DHCP_HEADER_LENGTH, DHCP_OFFSETS, parseDhcp} from './dhcp.ts'
import {dhcpOptions, readOption} from './dhcp-options.ts'
import {WireError} from './error.ts'
import {zeros} from './memory.ts'

const PAD = 0
const END = 255
const RELAY = dhcpOptions.relayAgentInformation.code
/** Longest data of an option in one part (RFC 3396). */
const PART = 255
/** The fields that option 52 opens, as its bits; room in bytes. */
const OVERLOADED = [
  {bit: 1, at: DHCP_OFFSETS.file, room: 128},
  {bit: 2, at: DHCP_OFFSETS.sname, room: 64},
] as const

/** What is said of some options by their codes: new data. */
export type DhcpEdits = ReadonlyMap<number, Uint8Array>

/**
 * A message with other data for some options. One that is there is changed in its place, the parts of a split one
 * becoming one; one that is not is added, in front of option 82, which stays last (RFC 3046 2.1). The message keeps its
 * length while the zeros behind the end option allow it, and grows otherwise.
 *
 * Throws what {@link parseDhcp} throws, and `WireError`: `truncated` for a field without an end option or with a cut one,
 * `out-of-range` where an option does not fit the `file` or `sname` field that it lies in.
 */
export function editDhcpOptions(bytes: Uint8Array, edits: DhcpEdits): Uint8Array {
  const {options} = parseDhcp(bytes)
  const missing = [...edits].filter(([code]) => options.every((option) => option.code !== code))
  const added = missing.flatMap(([code, data]) => encoded(code, data))
  const written = new Set<number>()
  const field = edited(bytes.subarray(DHCP_HEADER_LENGTH), edits, added, written)
  const out = zeros(DHCP_HEADER_LENGTH + field.length)
  out.set(bytes.subarray(0, DHCP_HEADER_LENGTH))
  out.set(field, DHCP_HEADER_LENGTH)
  const overload = readOption(options, dhcpOptions.overload) ?? 0
  for (const {bit, at, room} of OVERLOADED) {
    if ((overload & bit) === 0) continue
    const other = edited(bytes.subarray(at, at + room), edits, [], written)
    if (other.length > room) throw new WireError('dhcp', 'out-of-range', at, `no room for the options in ${room} bytes`)
    out.set(other, at)
  }
  return out
}

/** A field of options; `written` has the codes that are done, in earlier fields too. */
function edited(field: Uint8Array, edits: DhcpEdits, added: readonly number[], written: Set<number>): Uint8Array {
  const out: number[] = []
  let wanting = added
  let at = 0
  for (let code = field[at]!; code !== END; code = field[at]!) {
    const next = nextOption(field, at)
    if (code === RELAY) {
      out.push(...wanting)
      wanting = []
    }
    const data = edits.get(code)
    if (data === undefined) out.push(...field.subarray(at, next))
    else if (!written.has(code)) {
      out.push(...encoded(code, data))
      written.add(code)
    }
    at = next
  }
  out.push(...wanting, END)
  return joined(Uint8Array.from(out), field.subarray(at + 1), field.length)
}

/** Where the option behind the one at `at` begins. Whoever reads may be lenient; what is written anew must be whole. */
function nextOption(field: Uint8Array, at: number): number {
  const [code, length] = field.subarray(at)
  const next = code === PAD ? at + 1 : at + 2 + (length ?? 0)
  if (code === undefined || next > field.length)
    throw new WireError('dhcp', 'truncated', at, code === undefined ? 'no end option' : `option ${code} is cut`)
  return next
}

/** `head` and what follows the end option, of `length` bytes if zeros at the end can be left out or added. */
function joined(head: Uint8Array, tail: Uint8Array, length: number): Uint8Array {
  let kept = tail.length
  while (kept > 0 && head.length + kept > length && tail[kept - 1] === 0) kept--
  const out = new Uint8Array(Math.max(length, head.length + kept))
  out.set(head)
  out.set(tail.subarray(0, kept), head.length)
  return out
}

function encoded(code: number, data: Uint8Array): number[] {
  const out: number[] = []
  for (let start = 0; start === 0 || start < data.length; start += PART) {
    const part = data.subarray(start, start + PART)
    out.push(code, part.length, ...part)
  }
  return out
}
