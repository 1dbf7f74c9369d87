// Which gateway each TCP session uses while a switch drains: by conntrack mark, set by nft(8) rules of a table of our own.
//
// A session's mark says which gateway saw it begin, and stays with it when the drain is over: in the next drain, which may
// lead back, it is still known where the session belongs. A session without a mark of one of the two gateways is held to
// be one of the old one, if the first packet seen of it is no SYN; so is what arrives from the old gateway's MAC, for a
// stateful firewall there must see the answers. Packets of sessions of the old gateway are marked, and routed by that. Only
// byte 2 of both marks is ours; the rest of them stays as others set it.
import type {Mac} from '../../wire/address.ts'
import {readText} from '../file/text-file.ts'
import type {Family} from '../netlink/netlink-message.ts'
import {runCommand, tryCommand} from '../process/command.ts'
import {counterOf, readNftJson} from './nft-listing.ts'

const TABLE = 'inet gwswitch_drain'
const FIELD = '0x00ff0000'
const OTHERS = '0xff00ffff'
const TO_OLD = '0x00670000'

/** The packets that policy rules send to the old gateway. */
export const DRAIN_MARK = {value: 0x670000, mask: 0xff0000} as const

/** What drains of one family. */
export interface DrainFamily {
  readonly family: Family
  readonly interfaceIndex: number
  /** The gateways. */
  readonly from: string
  readonly to: string
  /** Theirs, as far as they are known. */
  readonly oldMacs: readonly Mac[]
  readonly newMacs: readonly Mac[]
}
export type DrainRules = readonly DrainFamily[]

/**
 * What becomes of sessions that begin now. `new`: they take the new gateway, which is how it goes on. For the time in which
 * routes are being changed, `old`: they are held on the old gateway; `none`: no packet of any session leaves, for another
 * drain is not over, and the routes are those of its gateways. Who sent it will send it again.
 */
export type DrainPhase = 'old' | 'none' | 'new'

/** The ruleset, replacing an earlier one in one transaction. @internal */
export function drainRuleset(rules: DrainRules, phase: DrainPhase): string {
  return [
    `table ${TABLE}`,
    `delete table ${TABLE}`,
    `table ${TABLE} {`,
    ...rules.flatMap((each) => holding(each, phase)),
    'chain arrive {',
    'type filter hook prerouting priority mangle; policy accept;',
    ...rules.flatMap((each) => arriving(each, phase)),
    '}',
    'chain leave {',
    'type route hook output priority mangle; policy accept;',
    ...rules.map((each) => leaving(each, phase)),
    '}',
    '}',
    '',
  ].join('\n')
}

const SYN = 'tcp flags & (fin | syn | rst | ack) == syn'

/** The chain for packets of a family that are on their way out, before they are routed. */
function holding({family, from, to}: DrainFamily, phase: DrainPhase): string[] {
  if (phase === 'none') return []
  const {old, fresh, stray} = marksOf(from, to)
  return [
    `chain hold${family} {`,
    ...(phase === 'new' ? [`${SYN} ${stray} ${setMark('ct', fresh)}`] : []),
    `meta l4proto tcp ${stray} ${setMark('ct', old)}`,
    `meta l4proto tcp ct mark & ${FIELD} == ${old} counter ${setMark('meta', TO_OLD)}`,
    '}',
  ]
}

/** What comes from the gateways, and what comes from elsewhere to be forwarded: containers in the VM, say. */
function arriving({family, interfaceIndex, from, to, oldMacs, newMacs}: DrainFamily, phase: DrainPhase): string[] {
  const {old, fresh, stray} = marksOf(from, to)
  const by = (macs: readonly Mac[], rest: string): string[] =>
    macs.length === 0
      ? []
      : [`iif ${interfaceIndex} meta nfproto ipv${family} ether saddr { ${macs.join(', ')} } ${rest}`]
  const forwarded = `iif != ${interfaceIndex} meta nfproto ipv${family} meta l4proto tcp fib daddr type unicast`
  if (phase === 'none') return [`${forwarded} drop`]
  return [
    ...by(oldMacs, `meta l4proto tcp ${stray} ${setMark('ct', old)}`),
    ...(phase === 'new' ? by(newMacs, `${SYN} ${stray} ${setMark('ct', fresh)}`) : []),
    `${forwarded} jump hold${family}`,
  ]
}

const leaving = ({family, from, to}: DrainFamily, phase: DrainPhase): string =>
  phase === 'none'
    ? `meta l4proto tcp rt ${family === 4 ? 'ip' : 'ip6'} nexthop { ${from}, ${to} } drop`
    : `meta nfproto ipv${family} jump hold${family}`

const setMark = (of: 'ct' | 'meta', value: string): string => `${of} mark set ${of} mark & ${OTHERS} | ${value}`

/**
 * The conntrack marks of two gateways, and what a session of neither looks like. Always the same for the same two,
 * whichever is the old one. From 0x80 up, so that a program that copies them to packets (CONNMARK) does not write
 * {@link DRAIN_MARK}.
 */
function marksOf(from: string, to: string): {readonly old: string; readonly fresh: string; readonly stray: string} {
  const [a, b] = [hash(from), hash(to)]
  // Two of the same: one of them, and always that one, takes the next.
  const [one, other] = a !== b ? [a, b] : from < to ? [a, b + 1] : [a + 1, b]
  const text = (value: number): string => `0x00${(0x80 | (value & 0x7f)).toString(16)}0000`
  const [old, fresh] = [text(one), text(other)]
  return {old, fresh, stray: `ct mark & ${FIELD} != { ${old}, ${fresh} }`}
}

/** 0 to 127. */
const hash = (address: string): number => [...address].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) & 0x7f, 0)

/** @throws Failure `privilege` or `runtime`, with what nft(8) says. */
export async function setDrain(rules: DrainRules, phase: DrainPhase): Promise<void> {
  await runCommand('nft', ['-f', '-'], {input: drainRuleset(rules, phase)})
}

/** Gone afterwards, also if it was not there: without nft(8) nobody has made it. */
export async function clearDrain(): Promise<void> {
  if (!(await hasProgram())) return
  await runCommand('nft', ['-f', '-'], {input: `table ${TABLE}\ndelete table ${TABLE}\n`})
}

/** Whether what keeps open sessions where they are is there. */
export async function hasDrain(): Promise<boolean> {
  return (await hasProgram()) && (await tryCommand('nft', ['list', 'table', ...TABLE.split(' ')])).code === 0
}

/** Of nft's table family `inet`. */
export const DRAIN_TABLE_NAME = TABLE.split(' ')[1]!

const hasProgram = (): Promise<boolean> =>
  tryCommand('nft', ['--version']).then(
    () => true,
    () => false,
  )

/**
 * Why sessions that are open could not be kept on the old gateway, in words; undefined if nothing is known against it.
 * Conntrack must take up sessions that it did not see begin (nf_conntrack_tcp_loose, nf_conntrack-sysctl in the kernel's
 * documentation), and track them at all.
 */
export async function drainProblem(): Promise<string | undefined> {
  if (readText(TCP_LOOSE)?.trim() === '0')
    return 'nf_conntrack_tcp_loose is 0: sessions that were open before would not be kept; set it to 1, or use rule'
  if (!(await hasProgram())) return 'drain needs nft(8), which is not installed (Debian: nftables)'
  const {code, stdout, stderr} = await tryCommand('nft', ['-j', 'list', 'ruleset'])
  if (code !== 0) return `drain needs nft(8): ${stderr.trim().split('\n')[0] ?? ''}`
  return untracked(stdout)
}

/** A rule in the output of `nft -j list ruleset` that keeps TCP from being tracked, in words. @internal */
export function untracked(ruleset: string): string | undefined {
  const found = readNftJson(ruleset).find(({kind, body}) => kind === 'rule' && keepsFromTracking(body))
  if (found === undefined) return undefined
  const {table, chain} = found.body as {table?: unknown; chain?: unknown}
  const where = `a rule of chain ${String(chain)} in table ${String(table)}`
  return `${where} keeps TCP from being tracked (notrack): drain needs conntrack`
}

const TCP_LOOSE = '/proc/sys/net/netfilter/nf_conntrack_tcp_loose'

/** A rule for all TCP, or for all of an interface; one for certain addresses or ports is about a part. */
function keepsFromTracking(body: object): boolean {
  const {expr} = body as {expr?: unknown}
  if (!Array.isArray(expr)) return false
  const statements = expr.filter((each): each is object => typeof each === 'object' && each !== null)
  if (!statements.some((each) => 'notrack' in each)) return false
  return statements.every((each) => !('match' in each) || isWide(each.match))
}

function isWide(match: unknown): boolean {
  const {left, right} = (match ?? {}) as {left?: {meta?: {key?: unknown}}; right?: unknown}
  const key = left?.meta?.key
  if (key === 'l4proto') return right === 'tcp' || right === 6
  return typeof key === 'string' && /^(?:i|o)if(?:name)?$/.test(key) && right !== 'lo'
}

/** Packets that left by the old gateways so far; undefined if nothing drains. */
export async function drainedPackets(): Promise<number | undefined> {
  const {code, stdout} = await tryCommand('nft', ['-j', 'list', 'table', ...TABLE.split(' ')])
  if (code !== 0) return undefined
  return readNftJson(stdout).reduce((sum, {body}) => sum + (counterOf(body)?.packets ?? 0), 0)
}
