// What `who` says on a terminal.
import type {NamedGateway, WhoDocument, WhoGateway, WhoRow, WhoVerdict} from '../domain/who.ts'
import type {Paint} from './paint.ts'
import {tableLines} from './table.ts'

const WORDS: Readonly<Record<WhoVerdict, string>> = {
  'as-expected': 'as expected',
  'other-site': "ANOTHER SITE'S",
  stranger: 'STRANGER',
  unseen: 'unknown: answers, but sends to its gateway elsewhere',
  silent: 'unknown: silent',
  'no-site': 'unknown: say at which site it is (--site)',
}

const gatewayText = ({name, mac, site}: NamedGateway): string => `${name} ${mac} (site ${site})`

function usesText({uses}: WhoRow): string {
  if (uses === null) return '-'
  const [first, ...others] = uses.gateways
  if (first === undefined) return `${uses.mac} (no gateway)`
  return others.length === 0
    ? gatewayText(first)
    : `${uses.mac} (${uses.gateways.map(({name}) => name).join(', ')} alike)`
}

const SERVES: Readonly<Record<WhoGateway['code'], string>> = {
  served: 'SERVES',
  unverified: 'UNVERIFIED',
  'target-dead': 'DEAD',
}

function gatewayLine({code, evidence}: WhoGateway, paint: Paint): string {
  const tone = code === 'served' ? paint.good : code === 'unverified' ? paint.warn : paint.bad
  return `${tone(SERVES[code])}: ${evidence}`
}

export function whoText({rows, gateways, strangers, ports}: WhoDocument, paint: Paint): string[] {
  const mark = (verdict: WhoVerdict): string => {
    const tone =
      verdict === 'as-expected'
        ? paint.good
        : verdict === 'other-site' || verdict === 'stranger'
          ? paint.bad
          : paint.warn
    return tone(WORDS[verdict])
  }
  const head = ['VM', 'ADDRESS', 'SHOULD USE', 'USES', 'SEEN BY', '']
  const body = rows.map((row) => [
    row.vm,
    row.ip,
    row.should ? gatewayText(row.should) : '-',
    usesText(row),
    row.seenBy ?? '-',
    mark(row.verdict),
  ])
  const unseen = rows.some(({verdict}) => verdict === 'unseen')
  return [
    ...tableLines([head, ...body]),
    ...gateways.map((gateway) => gatewayLine(gateway, paint)),
    ...strangers.map(({text, segment}) => `${paint.bad('STRANGER')} on ${segment}: ${text}`),
    ...(unseen
      ? [
          `what those VMs send to their gateway does not pass ${ports.join(', ')}: look at their own ports, or at their bridge`,
        ]
      : []),
  ]
}
