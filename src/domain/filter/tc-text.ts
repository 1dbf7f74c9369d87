// The filter for hosts that have tc(8) and no nft(8): one classic BPF program at each inter-site port, for all segments on it, as shell commands.
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
const JA = 0x05
const RET = 0x06
const TC_ACT_SHOT = 2
const TC_ACT_UNSPEC = 0xffff_ffff
/** SKF_AD_OFF + SKF_AD_VLAN_TAG: the tag that the kernel took off the frame (linux/filter.h), and its VLAN identifier. */
const VLAN_TAG = 0xffff_f02c
const VID = 0x0fff
/** BPF_MAXINSNS */
const MOST = 4096

const full = {1: 0xff, 2: 0xffff, 4: 0xffff_ffff} as const

/**
 * `len,code jt jf k,...` as tc(8) reads it, for one port. @throws Failure `usage` if the kernel would not take a program so
 * long.
 * @internal
 */
export function bpfBytecode(intents: readonly FilterIntent[], port: string): string {
  const here = intents.filter(({ports}) => ports.includes(port))
  const program = [...here.flatMap((intent) => intentCode(intent, port)), `${RET} 0 0 ${TC_ACT_UNSPEC}`]
  if (program.length > MOST) {
    throw new Failure(
      'usage',
      `${program.length} instructions are more than the kernel takes (${MOST}): use nft for so many gateways`,
    )
  }
  return [program.length, ...program].join(',')
}

/** The rules of one filter, jumped over by frames of other VLANs. */
function intentCode(intent: FilterIntent, port: string): string[] {
  const code = filterRules(intent)
    .flatMap(({frames}) => frames)
    .flatMap(clauseCode)
  const {vlan, untagged, otherVlans} = intent
  if (vlan === null) return [...(otherVlans.length > 0 ? vlanGate(otherVlans, 'skip', code.length) : []), ...code]
  const wanted = vlan === 'untagged' || untagged.includes(port) ? 0 : vlan
  return [...vlanGate([wanted], 'take', code.length), ...code]
}

/** The VLAN of a frame without a tag reads as 0. The two instructions a number jump as the next ones need it. */
function vlanGate(vlans: readonly number[], what: 'skip' | 'take', length: number): string[] {
  const jumps = vlans.flatMap((vlan, i) => [
    `${JEQ} ${what === 'take' ? '1 0' : '0 1'} ${vlan}`,
    `${JA} 0 0 ${length + 2 * (vlans.length - 1 - i)}`,
  ])
  return [`${LD[4]} 0 0 ${VLAN_TAG}`, `${AND} 0 0 ${VID}`, ...jumps]
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

const portsOf = (intents: readonly FilterIntent[]): string[] => [...new Set(intents.flatMap(({ports}) => ports))].sort()

/** Shell lines that set the filters up, again too. */
export const tcFilter = (intents: readonly FilterIntent[]): string[] =>
  portsOf(intents).flatMap((port) => [
    `program='${bpfBytecode(intents, port)}'`,
    `tc qdisc add dev ${port} clsact 2>/dev/null || :`,
    ...['ingress', 'egress'].map(
      (side) =>
        `tc filter replace dev ${port} ${side} protocol all prio ${PRIORITY} handle 1 bpf bytecode "$program" direct-action`,
    ),
  ])

/** Shell lines that take them away; the qdisc stays, for others may use it. */
export const tcRemove = (intents: readonly FilterIntent[]): string[] =>
  portsOf(intents).flatMap((port) =>
    ['ingress', 'egress'].map((side) => `tc filter del dev ${port} ${side} protocol all prio ${PRIORITY}`),
  )
