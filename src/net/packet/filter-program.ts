// A BPF program as setsockopt(2) takes it: one for sockets of every family.
import {addressOf} from '../libc.ts'
import {encodeFilter, type Instruction} from './bpf.ts'

export const SO_ATTACH_FILTER = 26
/** Bytes of `struct sock_fprog`. */
const SOCK_FPROG = 16

/** `struct sock_fprog`; the instructions that it points to are behind it, in the same memory. */
export function filterProgram(program: readonly Instruction[]): Buffer {
  const filter = encodeFilter(program)
  const memory = Buffer.alloc(SOCK_FPROG + filter.length)
  memory.writeUInt16LE(program.length, 0)
  memory.writeBigUInt64LE(addressOf(memory) + BigInt(SOCK_FPROG), 8)
  memory.set(filter, SOCK_FPROG)
  return memory.subarray(0, SOCK_FPROG)
}
