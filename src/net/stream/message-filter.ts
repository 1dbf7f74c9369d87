// A socket filter (bpf(4)) that knows the form of a message: the kernel drops what cannot be one, and a flood of it costs
// the process nothing. It looks at lengths, at the places of the dots and at the hint of a tag; what passes is still to be
// checked. Of what it cannot tell from a message it lets a share through, which a flood makes smaller.
import {AGENT_MESSAGE_LIMIT, SIGNATURE_LENGTH} from '../../wire/agent-jws.ts'
import {TAG_LENGTH} from '../../wire/agent-tag.ts'
import type {Instruction} from '../packet/bpf.ts'

/** `struct udphdr`, with which the datagram begins for a filter. */
const UDP_HEADER = 8
/** Shorter than the shortest message of any kind: a signature, and what makes sense to be signed. */
const SHORTEST = 200
/** Of base64url of `{`. */
const FIRST = 'e'.charCodeAt(0)
const DOT = '.'.charCodeAt(0)
const LAST_SPACE = 0x20
/** Beyond ASCII: a no-break space is a space too. */
const LAST_ASCII = 0x7e
/** Jumps reach 255 instructions; of more keys no hint is compared. */
const HINTS = 200

const LOAD_LENGTH = 0x80
const LOAD_WORD = 0x20
const LOAD_BYTE = 0x30
const LOAD_WORD_AT_X = 0x40
const LOAD_BYTE_AT_X = 0x50
const SUBTRACT = 0x14
const TO_X = 0x07
const IF_EQUAL = 0x15
const IF_ABOVE = 0x25
const IF_AT_LEAST = 0x35
const RETURN = 0x06
/** SKF_AD_OFF + SKF_AD_RANDOM (linux/filter.h). */
const RANDOM = 0xfffff038

/** A jump by the label of its target; undefined goes on with the next instruction. */
type Line = readonly [code: number, k: number, ifTrue?: string | undefined, ifFalse?: string] | {readonly label: string}

/** Which part of the messages passes, above 0 and up to 1. */
export interface Shares {
  readonly tagged: number
  /** Also of those with white space at their end. */
  readonly untagged: number
}
export const ALL: Shares = {tagged: 1, untagged: 1}

/** Whether the filter takes a datagram for a message with a tag. */
export const looksTagged = (bytes: Uint8Array): boolean => bytes[bytes.length - TAG_LENGTH - 1] === DOT

/** Accepts datagrams that may be a message. `hints`: of the keys whose tags are looked for; any, if there are too many. */
export function messageFilter(hints: readonly string[], shares: Shares): readonly Instruction[] {
  const few = hints.length <= HINTS ? hints : []
  return assembled([
    [LOAD_LENGTH, 0],
    [IF_ABOVE, UDP_HEADER + AGENT_MESSAGE_LIMIT, 'drop'],
    [IF_AT_LEAST, UDP_HEADER + SHORTEST, undefined, 'drop'],
    [LOAD_BYTE, UDP_HEADER],
    [IF_EQUAL, FIRST, undefined, 'drop'],
    // White space at the end moves everything: rare, and for others to count.
    ...fromEnd(1, LOAD_BYTE_AT_X),
    [IF_ABOVE, LAST_ASCII, 'untagged'],
    [IF_ABOVE, LAST_SPACE, undefined, 'untagged'],
    ...fromEnd(TAG_LENGTH + 1, LOAD_BYTE_AT_X),
    [IF_EQUAL, DOT, 'tagged'],
    ...fromEnd(SIGNATURE_LENGTH + 1, LOAD_BYTE_AT_X),
    [IF_EQUAL, DOT, 'untagged', 'drop'],
    {label: 'untagged'},
    ...inPart(shares.untagged),
    {label: 'tagged'},
    ...fromEnd(TAG_LENGTH + SIGNATURE_LENGTH + 2, LOAD_BYTE_AT_X),
    [IF_EQUAL, DOT, undefined, 'drop'],
    ...hinted(few),
    ...inPart(shares.tagged),
    {label: 'drop'},
    [RETURN, 0],
  ])
}

/** What lies so far before the end of the datagram; the length is asked for anew each time. */
const fromEnd = (count: number, load: number): Line[] => [
  [LOAD_LENGTH, 0],
  [SUBTRACT, count],
  [TO_X, 0],
  [load, 0],
]

/** Goes on for one of these hints only. */
const hinted = (hints: readonly string[]): Line[] =>
  hints.length === 0
    ? []
    : [
        ...fromEnd(TAG_LENGTH, LOAD_WORD_AT_X),
        ...hints.map((hint): Line => [IF_EQUAL, Buffer.from(hint, 'latin1').readUInt32BE(0), 'known']),
        [RETURN, 0],
        {label: 'known'},
      ]

const inPart = (share: number): Line[] => [
  ...(share >= 1
    ? []
    : ([
        [LOAD_WORD, RANDOM],
        [IF_AT_LEAST, Math.floor(share * 2 ** 32), 'drop'],
      ] as const)),
  [RETURN, 0xffff],
]

function assembled(lines: readonly Line[]): Instruction[] {
  const places = new Map<string, number>()
  let count = 0
  for (const line of lines)
    if ('label' in line) places.set(line.label, count)
    else count++
  const program: Instruction[] = []
  for (const line of lines) {
    if ('label' in line) continue
    const [code, k, ifTrue, ifFalse] = line
    const jump = (label: string | undefined): number =>
      label === undefined ? 0 : places.get(label)! - program.length - 1
    program.push([code, jump(ifTrue), jump(ifFalse), k])
  }
  return program
}
