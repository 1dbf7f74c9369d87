// The filter for hosts that have tc(8) and no nft(8): one classic BPF program at each inter-site port, as shell commands.
import {Failure} from '../../errors.ts'
import type {FilterIntent} from './intent.ts'
import {type ByteTest, filterRules} from './rules.ts'

/** What is lost beside nft, one line a piece. */
export const TC_LIMITS: readonly string[] = [
  'no counters: tc does not say which rule dropped how much, or that any did',
  'IPv6 extension headers and IPv4 options in front of a hello are not stepped over',
  'a port that is made anew has no filter, and ingress and egress are two commands',
]

/** Above what tc(8) gives out by itself, so that other filters may stand before it. */
const PRIORITY = 4901

/** Instruction codes and return values: linux/bpf_common.h, linux/pkt_cls.h. */
const LD = {1: 0x30, 2: 0x28, 4: 0x20} as const
const AND = 0x54
const JEQ = 0x15
const RET = 0x06
const TC_ACT_SHOT = 2
const TC_ACT_UNSPEC = 0xffff_ffff
/** BPF_MAXINSNS */
const MOST = 4096

const full = {1: 0xff, 2: 0xffff, 4: 0xffff_ffff} as const

/**
 * `len,code jt jf k,...` as tc(8) reads it. @throws Failure `usage` if the kernel would not take a program so long.
 * @internal
 */
export function bpfBytecode(intent: FilterIntent): string {
  const clauses = filterRules(intent).flatMap(({frames}) => frames)
  const program = [...clauses.flatMap(clauseCode), `${RET} 0 0 ${TC_ACT_UNSPEC}`]
  if (program.length > MOST) {
    throw new Failure(
      'usage',
      `${program.length} instructions are more than the kernel takes (${MOST}): use nft for so many gateways`,
    )
  }
  return [program.length, ...program].join(',')
}

/** Drops a frame that passes all tests; the first that fails jumps behind the drop. */
function clauseCode(tests: readonly ByteTest[]): string[] {
  const steps = tests.map(({offset, size, mask, value}) => {
    const isMasked = mask !== undefined && mask !== full[size]
    return {before: [`${LD[size]} 0 0 ${offset}`, ...(isMasked ? [`${AND} 0 0 ${mask >>> 0}`] : [])], value}
  })
  const length = steps.reduce((sum, {before}) => sum + before.length + 1, 0)
  let at = 0
  const code = steps.flatMap(({before, value}) => {
    at += before.length + 1
    return [...before, `${JEQ} 0 ${length - at + 1} ${value >>> 0}`]
  })
  return [...code, `${RET} 0 0 ${TC_ACT_SHOT}`]
}

/** Shell lines that set the filter up, again too. */
export function tcFilter(intent: FilterIntent): string[] {
  const bytecode = bpfBytecode(intent)
  return [
    `program='${bytecode}'`,
    ...intent.ports.flatMap((port) => [
      `tc qdisc add dev ${port} clsact 2>/dev/null`,
      ...['ingress', 'egress'].map(
        (side) =>
          `tc filter replace dev ${port} ${side} protocol all prio ${PRIORITY} handle 1 bpf bytecode "$program" direct-action`,
      ),
    ]),
  ]
}

/** Shell lines that take it away; the qdisc stays, for others may use it. */
export const tcRemove = ({ports}: FilterIntent): string[] =>
  ports.flatMap((port) =>
    ['ingress', 'egress'].map((side) => `tc filter del dev ${port} ${side} protocol all prio ${PRIORITY}`),
  )
