// The draft of an inventory as the file: what is a key was seen or is said to be guessed, what has no key is a comment.

import type {DraftGateway, DraftSegment, DraftSite, DraftVm, InitDraft} from '../domain/init/draft.ts'
import {prefixText} from '../wire/address.ts'
import {harmless} from '../wire/printable.ts'

export interface DraftHead {
  /** The command line, as it was typed. */
  readonly command: string
  /** ISO 8601. */
  readonly at: string
  readonly listenedS: number
}

const PREFIX_BY = {
  given: 'given: --prefix',
  interface: "seen: this host's own address has it",
  dhcp: 'seen: offered by DHCP',
  guess: 'guessed around the addresses that were heard: nobody said how long it is (--prefix)',
} as const
const KIND = {
  own: 'an address of its own',
  shared: 'a shared address: several MACs answer for it',
  fhrp: 'the virtual address of a redundancy protocol',
  anycast: 'one address at one MAC on both sides',
} as const

export function inventoryDraftText(draft: InitDraft, {command, at, listenedS}: DraftHead): string {
  return [
    `# Drafted by ${harmless(command)}`,
    `# at ${at}, from what was heard in ${listenedS} s. "seen" is what frames said; "guessed" is for you to check.`,
    '# What was silent meanwhile is not in it. All keys: docs, "Inventory".',
    'version: 1',
    '',
    'sites:',
    ...draft.sites.flatMap(siteLines),
    '',
    'segments:',
    ...draft.segments.flatMap(segmentLines),
    'vms:',
    ...draft.segments.flatMap((segment) => segment.vms.map((vm) => vmLine(vm, segment))),
    ...comments(draft.notes, ''),
    '',
  ].join('\n')
}

const comments = (notes: readonly string[], indent: string): string[] =>
  notes.map((note) => `${indent}# ${harmless(note)}`)

const siteLines = ({name, because}: DraftSite): string[] => [
  ...comments([because], '  '),
  `  ${quoted(name)}: {} # add "prefixes" near it, and "probes" beyond its gateways that answer echoes`,
]

function segmentLines({name, prefix, prefixBy, vlan, ports, gateways, notes}: DraftSegment): string[] {
  return [
    `  ${quoted(name)}:`,
    `    prefix: ${prefixText(prefix)} # ${PREFIX_BY[prefixBy]}`,
    ...(vlan === null ? [] : [`    vlan: ${vlan} # seen: the tag of its frames here`]),
    ...(ports.length === 0 ? [] : [`    ports: [${ports.map((port) => JSON.stringify(port)).join(', ')}]`]),
    ...comments(notes, '    '),
    '    gateways:',
    ...gateways.flatMap(gatewayLines),
    '',
  ]
}

function gatewayLines({name, site, siteBy, kind, ip, mac, ownIp, ip6, ra, port, because}: DraftGateway): string[] {
  const place = {
    port: port === null ? 'seen: on this host' : `seen: behind ${port}`,
    given: 'given',
    guess: port === null ? 'guessed: on which side it is was not seen' : `guessed: it is behind ${port}`,
  }[siteBy]
  const keys = [
    ...[`name: ${quoted(name)}`, `site: ${quoted(site)}`, `ip: ${ip}`, `mac: "${mac}"`],
    ...(ownIp === null ? [] : [`ownIp: ${ownIp}`]),
    ...(ip6.length === 0 ? [] : [`ip6: [${ip6.map((each) => `"${each}"`).join(', ')}]`]),
    ...(ra === null ? [] : [`ra: { lifetime: ${ra.lifetime}, preference: ${ra.preference} }`]),
  ]
  return [
    ...comments(
      [`${KIND[kind]}; site ${place}`, ...because.map((each) => `${each.seen ? 'seen' : 'guessed'}: ${each.text}`)],
      '      ',
    ),
    `      - { ${keys.join(', ')} }`,
  ]
}

function vmLine({name, ip, mac, ip6, site, port}: DraftVm, segment: DraftSegment): string {
  const keys = [
    ...[`segment: ${quoted(segment.name)}`, `ip: ${ip}`, `mac: "${mac}"`],
    ...(ip6.length === 0 ? [] : [`ip6: [${ip6.map((each) => `"${each}"`).join(', ')}]`]),
    ...(site === null ? [] : [`site: ${quoted(site)}`]),
  ]
  return `  ${quoted(name)}: { ${keys.join(', ')} }${port === null ? '' : ` # seen: behind ${harmless(port)}`}`
}

/** A name that YAML would read as something else than text. */
const quoted = (name: string): string =>
  /^[A-Za-z][A-Za-z0-9._-]*$/.test(name) && !RESERVED.test(name) ? name : JSON.stringify(name)
const RESERVED = /^(?:true|false|null|yes|no|on|off|y|n)$/i
