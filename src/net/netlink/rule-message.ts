// Policy rules (ip-rule(8)) as rtnetlink tells of them, and how to add and delete those of our own.
import {
  addressText,
  af,
  attribute,
  attributeMap,
  type Family,
  familyOf,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  OWN_PROTOCOL,
  request,
  u32,
  u32In,
  whole,
} from './netlink-message.ts'

export const RTM_NEWRULE = 32
export const RTM_DELRULE = 33
const RTM_GETRULE = 34

const FR_ACT_TO_TBL = 1
const FIB_RULE_INVERT = 2

const FRA = {
  dst: 1,
  src: 2,
  iifname: 3,
  priority: 6,
  fwmark: 10,
  flow: 11,
  suppressPrefixlength: 14,
  table: 15,
  fwmask: 16,
  oifname: 17,
  pad: 18,
  uidRange: 20,
  protocol: 21,
  ipProto: 22,
  sportRange: 23,
  dportRange: 24,
} as const
/** What says nothing about which packets a rule is for. Whatever else there may be is taken to say something. */
const FRA_NO_SELECTOR: readonly number[] = [FRA.priority, FRA.flow, FRA.table, FRA.pad, FRA.protocol]

/** A policy rule, as far as it may be ours. */
export interface PolicyRule {
  readonly family: Family
  readonly priority: number
  readonly table: number
  /** Only packets with this mark under this mask; `not`: only packets without. */
  readonly mark?: {readonly value: number; readonly mask: number; readonly not?: true}
  /** Ignore routes of this prefix length or shorter. */
  readonly suppressPrefixLength?: number
}

export interface NumberRange {
  readonly first: number
  readonly last: number
}

/** Which packets a rule is for, besides their mark (ip-rule(8)); without any of it, for all. */
export interface RuleSelector {
  readonly source?: {readonly address: string; readonly length: number}
  readonly destination?: {readonly address: string; readonly length: number}
  /** Interface that they came in by; `lo` for what the VM itself sends. */
  readonly incoming?: string
  /** Interface that their socket is bound to. */
  readonly outgoing?: string
  readonly users?: NumberRange
  /** IP protocol number, and ports of TCP or UDP. */
  readonly ipProtocol?: number
  readonly sourcePorts?: NumberRange
  readonly ports?: NumberRange
  readonly tos?: number
}

/** A rule as the kernel lists it. */
export interface ListedRule extends PolicyRule {
  readonly selector: RuleSelector
  /** Made by gwswitch. */
  readonly own: boolean
  /** Looks up every route of its table for every packet. */
  readonly catchAll: boolean
}

// fib_rule_hdr: family, dst_len, src_len, tos, table, res1, res2, action, flags (u32).
const RULE = 12

export function dumpRules(family: Family): Buffer {
  const header = Buffer.alloc(RULE)
  header[0] = af(family)
  return request(RTM_GETRULE, NLM_F_DUMP, header)
}

/** The rule that a message of {@link dumpRules}, or a notification, tells of; undefined for another family's. */
export function parseRule(body: Buffer): ListedRule | undefined {
  const family = familyOf(body[0] ?? 0)
  if (family === undefined || body.length < RULE) return undefined
  const found = attributeMap(body, RULE)
  const value = u32In(found, FRA.fwmark)
  const suppress = (u32In(found, FRA.suppressPrefixlength) ?? -1) | 0
  const invert = (body.readUInt32LE(8) & FIB_RULE_INVERT) !== 0
  const mask = u32In(found, FRA.fwmask) ?? 0xffffffff
  return {
    family,
    priority: u32In(found, FRA.priority) ?? 0,
    table: u32In(found, FRA.table) ?? body[4]!,
    ...(value === undefined ? {} : {mark: {value, mask, ...(invert ? {not: true} : {})}}),
    ...(suppress < 0 ? {} : {suppressPrefixLength: suppress}),
    selector: selectorOf(body, found),
    own: found.get(FRA.protocol)?.[0] === OWN_PROTOCOL,
    catchAll: suppress < 0 && !invert && body[7] === FR_ACT_TO_TBL && !selects(body, found),
  }
}

function selectorOf(body: Buffer, found: ReadonlyMap<number, Buffer>): RuleSelector {
  const prefix = (type: number, length: number) => {
    const data = found.get(type)
    return data === undefined || length === 0 ? undefined : {address: addressText(data), length}
  }
  const name = (type: number): string | undefined => found.get(type)?.toString('latin1').replace(/\0.*$/s, '')
  /** fib_rule_uid_range has two u32, fib_rule_port_range two u16. */
  const range = (type: number, size: 2 | 4): NumberRange | undefined => {
    const data = found.get(type)
    if (data === undefined) return undefined
    whole(data, 0, 2 * size)
    return {first: data.readUIntLE(0, size), last: data.readUIntLE(size, size)}
  }
  const all: {[Key in keyof RuleSelector]: RuleSelector[Key] | undefined} = {
    ...{source: prefix(FRA.src, body[2]!), destination: prefix(FRA.dst, body[1]!)},
    ...{incoming: name(FRA.iifname), outgoing: name(FRA.oifname), users: range(FRA.uidRange, 4)},
    ...{ipProtocol: found.get(FRA.ipProto)?.[0], tos: body[3] || undefined},
    ...{sourcePorts: range(FRA.sportRange, 2), ports: range(FRA.dportRange, 2)},
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

/** Source, destination, TOS, mark, ... */
const selects = (body: Buffer, found: ReadonlyMap<number, Buffer>): boolean =>
  body[1] !== 0 ||
  body[2] !== 0 ||
  body[3] !== 0 ||
  [...found.keys()].some((type) => type !== FRA.suppressPrefixlength && !FRA_NO_SELECTOR.includes(type))

function ruleBody(rule: PolicyRule): Buffer {
  const header = Buffer.from([
    af(rule.family),
    0,
    0,
    0,
    rule.table < 256 ? rule.table : 0,
    0,
    0,
    FR_ACT_TO_TBL,
    rule.mark?.not ? FIB_RULE_INVERT : 0,
    0,
    0,
    0,
  ])
  const parts = [
    attribute(FRA.priority, u32(rule.priority)),
    attribute(FRA.table, u32(rule.table)),
    attribute(FRA.protocol, Uint8Array.of(OWN_PROTOCOL)),
  ]
  if (rule.mark) parts.push(attribute(FRA.fwmark, u32(rule.mark.value)), attribute(FRA.fwmask, u32(rule.mark.mask)))
  if (rule.suppressPrefixLength !== undefined)
    parts.push(attribute(FRA.suppressPrefixlength, u32(rule.suppressPrefixLength)))
  return Buffer.concat([header, ...parts])
}

/** Fails with EEXIST if the very rule is there. */
export const addRule = (rule: PolicyRule): Buffer =>
  request(RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, ruleBody(rule))
/** Fails with ENOENT if there is no such rule. */
export const deleteRule = (rule: PolicyRule): Buffer => request(RTM_DELRULE, NLM_F_ACK, ruleBody(rule))
