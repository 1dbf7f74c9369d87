// The draft of an inventory in a few lines, for whoever has it in a file.
import type {DraftSegment} from '../domain/init/draft.ts'
import {tableLines} from './table.ts'

/** What is shown of a segment; its prefix as text. */
type Shown = Omit<DraftSegment, 'prefix'> & {readonly prefix: string}

const KIND = {own: 'own address', shared: 'shared address', fhrp: 'virtual address', anycast: 'anycast'} as const

export function initSummary(segments: readonly Shown[], notes: readonly string[]): string[] {
  return [
    ...segments.flatMap(({name, prefix, prefixBy, interface: at, vlan, gateways, vms}) => [
      `${name}: ${prefix}${prefixBy === 'guess' ? ' (guessed)' : ''} on ${at}${vlan === null ? '' : `, VLAN ${vlan}`}`,
      ...tableLines(
        [
          ['GATEWAY', 'SITE', 'ADDRESS', 'MAC', 'KIND', ''],
          ...gateways.map((gateway) => [
            ...[gateway.name, gateway.siteBy === 'guess' ? `${gateway.site}?` : gateway.site, gateway.ip, gateway.mac],
            ...[KIND[gateway.kind], gateway.seen ? '' : 'a guess'],
          ]),
        ],
        {indent: '  '},
      ),
      `  ${vms.length} VM${vms.length === 1 ? '' : 's'}${vms.length === 0 ? '' : `: ${someOf(vms.map((vm) => vm.name))}`}`,
    ]),
    ...notes,
  ]
}

const SHOWN = 4
const someOf = (names: readonly string[]): string =>
  names.length <= SHOWN ? names.join(', ') : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`

/** How many values somebody must look at. */
export const guesses = (text: string): number => text.split('\n').filter((line) => /#.*guess/.test(line)).length - 1
