// Classic BPF (bpf(4)) by a machine of our own: the instructions that we use.
import type {Instruction} from '../../src/net/packet/bpf.ts'

const SIZES: Readonly<Record<number, number>> = {48: 1, 40: 2, 32: 4, 80: 1, 64: 4}
/** SKF_AD_OFF + SKF_AD_RANDOM (linux/filter.h). */
const RANDOM = 0xfffff038

/** Whether a program lets a packet through. A load beyond it ends the program: nothing is accepted. */
export function accepts(program: readonly Instruction[], packet: Uint8Array, random = 0): boolean {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length)
  let value = 0
  let index = 0
  for (let at = 0; at < program.length; at++) {
    const [code, ifTrue, ifFalse, k] = program[at]!
    const size = SIZES[code]
    const offset = code === 0x50 || code === 0x40 ? index + k : k
    if (code === 0x20 && k === RANDOM) value = random
    else if (size !== undefined && offset + size > packet.length) return false
    else if (size === 1) value = view.getUint8(offset)
    else if (size === 2) value = view.getUint16(offset)
    else if (size === 4) value = view.getUint32(offset)
    else if (code === 0x80) value = packet.length
    else if (code === 0x07) index = value
    else if (code === 0x14) value = (value - k) >>> 0
    else if (code === 0x54) value = (value & k) >>> 0
    else if (code === 0x15) at += value === k ? ifTrue : ifFalse
    else if (code === 0x1d) at += value === index ? ifTrue : ifFalse
    else if (code === 0x25) at += value > k ? ifTrue : ifFalse
    else if (code === 0x35) at += value >= k ? ifTrue : ifFalse
    else if (code === 0x06) return k > 0
    else throw new Error(`opcode 0x${code.toString(16)}`)
  }
  throw new Error('ends without a verdict')
}
