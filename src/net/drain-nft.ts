// Which gateway each TCP session uses while a switch drains: by conntrack mark, set by nft(8) rules of a table of our own.
//
// A session that was open before is one whose first packet seen is no SYN: it is marked as old. So is what arrives from
// the old gateway's MAC, for a stateful firewall there must see the answers. Marked sessions are routed by fwmark. Only
// byte 2 of both marks is ours; the rest of them stays as others set it.
import type {Mac} from '../wire/address.ts'
import {runCommand, tryCommand} from './command.ts'

const TABLE = 'inet gwswitch_drain'
const FIELD = '0x00ff0000'
const OTHERS = '0xff00ffff'
const OLD = '0x00670000'
const NEW = '0x00680000'

/** The packets that policy rules send to the old gateway. */
export const DRAIN_MARK = {value: 0x670000, mask: 0xff0000} as const

export interface DrainRules {
  readonly interfaceIndex: number
  /** Of the old gateways and of the new ones, as far as they are known. */
  readonly oldMacs: readonly Mac[]
  readonly newMacs: readonly Mac[]
}

/**
 * The ruleset, replacing an earlier one in one transaction. `everything`: sessions that begin now are held on the old
 * gateway too, for the time in which routes are being changed.
 */
export function drainRuleset({interfaceIndex, oldMacs, newMacs}: DrainRules, everything: boolean): string {
  const unmarked = `ct mark & ${FIELD} == 0`
  const syn = 'tcp flags & (fin | syn | rst | ack) == syn'
  const mark = (value: string): string => `ct mark set ct mark & ${OTHERS} | ${value}`
  const from = (macs: readonly Mac[], rest: string): string[] =>
    macs.length === 0 ? [] : [`iif ${interfaceIndex} ether saddr { ${macs.join(', ')} } ${rest}`]
  return [
    `table ${TABLE}`,
    `delete table ${TABLE}`,
    `table ${TABLE} {`,
    'chain arrive {',
    'type filter hook prerouting priority mangle; policy accept;',
    ...from(oldMacs, `meta l4proto tcp ${unmarked} ${mark(OLD)}`),
    ...(everything ? [] : from(newMacs, `${syn} ${unmarked} ${mark(NEW)}`)),
    '}',
    'chain leave {',
    'type route hook output priority mangle; policy accept;',
    ...(everything ? [] : [`${syn} ${unmarked} ${mark(NEW)}`]),
    `meta l4proto tcp ${unmarked} ${mark(OLD)}`,
    `meta l4proto tcp ct mark & ${FIELD} == ${OLD} counter meta mark set meta mark & ${OTHERS} | ${OLD}`,
    '}',
    '}',
    '',
  ].join('\n')
}

/** @throws Failure `privilege` or `runtime`, with what nft(8) says. */
export async function setDrain(rules: DrainRules, everything: boolean): Promise<void> {
  await runCommand('nft', ['-f', '-'], {input: drainRuleset(rules, everything)})
}

/** Gone afterwards, also if it was not there. */
export async function clearDrain(): Promise<void> {
  await runCommand('nft', ['-f', '-'], {input: `table ${TABLE}\ndelete table ${TABLE}\n`})
}

/** Packets that left by the old gateway so far; undefined if nothing drains. */
export async function drainedPackets(): Promise<number | undefined> {
  const {code, stdout} = await tryCommand('nft', ['-j', 'list', 'table', ...TABLE.split(' ')])
  const packets = code === 0 ? /"counter": *\{"packets": *(\d+)/.exec(stdout)?.[1] : undefined
  return packets === undefined ? undefined : Number(packets)
}
