// Classic BPF programs (bpf(4)) for AF_PACKET sockets, attached before the bind so that nothing else is ever queued.

/** One instruction: opcode, jump if true, jump if false, constant. */
export type Instruction = readonly [code: number, jt: number, jf: number, k: number]

/** A predicate on the frame that a filter may ask; all of one clause must hold. */
export interface Test {
  /** Byte offset in the frame, from the Ethernet destination address on. */
  readonly offset: number
  readonly size: 1 | 2 | 4
  readonly mask?: number
  readonly value: number
}

const LD = {1: 0x30, 2: 0x28, 4: 0x20} as const
const AND = 0x54
const JEQ = 0x15
const JEQ_X = 0x1d
const TAX = 0x07
const RET = 0x06
const WHOLE_FRAME = 0x40000

/**
 * Accepts a frame if all tests of any clause hold. The kernel takes a VLAN tag off before the filter runs, so offsets
 * are those of the untagged frame.
 */
export function anyOf(clauses: readonly (readonly Test[])[]): Instruction[] {
  const program: Instruction[] = []
  for (const clause of clauses) {
    const sizes = clause.map((test) => (test.mask === undefined ? 2 : 3))
    let left = sizes.reduce((a, b) => a + b, 0) + 1
    clause.forEach((test, i) => {
      left -= sizes[i]!
      program.push([LD[test.size], 0, 0, test.offset])
      if (test.mask !== undefined) program.push([AND, 0, 0, test.mask])
      program.push([JEQ, 0, left, test.value >>> 0])
    })
    program.push([RET, 0, 0, WHOLE_FRAME])
  }
  program.push([RET, 0, 0, 0])
  return program
}

export const etherType = (value: number): Test => ({offset: 12, size: 2, value})
/** IPv4 protocol number; holds for IPv4 frames only together with `etherType(0x0800)`. */
export const ipProtocol = (value: number): Test => ({offset: 23, size: 1, value})

/** Offsets in an untagged frame: of ARP's sender and target address (RFC 826). */
const ARP_SENDER_IP = 28
const ARP_TARGET_IP = 38
/** Bytes kept of one, whatever pads it. */
const ANNOUNCEMENT = 128

/**
 * Accepts what a station, or its hypervisor, announces it with: RARP (RFC 903), and ARP in which sender and target address
 * are the same (RFC 5227 section 3). Of any other frame two instructions are run.
 */
export const ANNOUNCEMENTS: readonly Instruction[] = [
  [LD[2], 0, 0, 12],
  [JEQ, 5, 0, 0x8035],
  [JEQ, 0, 5, 0x0806],
  [LD[4], 0, 0, ARP_TARGET_IP],
  [TAX, 0, 0, 0],
  [LD[4], 0, 0, ARP_SENDER_IP],
  [JEQ_X, 0, 1, 0],
  [RET, 0, 0, ANNOUNCEMENT],
  [RET, 0, 0, 0],
]

/** The first next-header byte; holds for IPv6 frames only together with `etherType(0x86dd)`. */
export const nextHeader = (value: number): Test => ({offset: 20, size: 1, value})

/** SKF_AD_OFF + SKF_AD_PKTTYPE: not of the frame, but of what the kernel knows of it (linux/filter.h). */
const PACKET_TYPE = 0xffff_f004
const PACKET_OUTGOING = 4
/** A frame that leaves by the interface: at a VM's port, one that goes to the VM. */
export const outgoing: Test = {offset: PACKET_TYPE, size: 1, value: PACKET_OUTGOING}

/** The Ethernet source or destination is this MAC. */
export function macTests(side: 'destination' | 'source', mac: string): Test[] {
  const bytes = mac.split(':').map((pair) => Number.parseInt(pair, 16))
  const at = side === 'destination' ? 0 : 6
  return [
    {offset: at, size: 2, value: (bytes[0]! << 8) | bytes[1]!},
    {offset: at + 2, size: 4, value: ((bytes[2]! << 24) | (bytes[3]! << 16) | (bytes[4]! << 8) | bytes[5]!) >>> 0},
  ]
}

/** `struct sock_filter[]`. */
export function encodeFilter(program: readonly Instruction[]): Buffer {
  const out = Buffer.alloc(Math.max(program.length, 16) * 8)
  program.forEach(([code, jt, jf, k], i) => {
    out.writeUInt16LE(code, i * 8)
    out.writeUInt8(jt, i * 8 + 2)
    out.writeUInt8(jf, i * 8 + 3)
    out.writeUInt32LE(k, i * 8 + 4)
  })
  return out
}
