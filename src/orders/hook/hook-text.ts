// The script that a platform calls: its settings, what all kinds share, and what is the platform's own. What is written
// carries the digest of itself, so that one that somebody changed is known from one that an older gwswitch wrote.
import {createHash} from 'node:crypto'
import {HOOK_KINDS, type HookKind} from './kinds.ts'

export interface HookSettings {
  /** The site that this host is at. */
  readonly site: string
  /** Control socket of the resident service. */
  readonly socket: string
  /** Absolute; null: where gwswitch looks by itself. */
  readonly inventory: string | null
  /** libvirt's connection URI; null for other kinds. */
  readonly connect: string | null
  /** Words that start gwswitch, absolute paths. */
  readonly program: readonly string[]
}

/** Shell, as packaged: what all kinds share, and what one adds. */
export interface HookParts {
  readonly common: string
  readonly own: string
}

export function hookText(kind: HookKind, settings: HookSettings, {common, own}: HookParts): string {
  const body = [
    `# "gwswitch hook remove ${kind}" takes this away; changed by hand, it is left alone. See docs/hooks.md.`,
    `KIND=${quoted(kind)}`,
    `SITE=${quoted(settings.site)}`,
    `SOCKET=${quoted(settings.socket)}`,
    `INVENTORY=${quoted(settings.inventory ?? '')}`,
    ...(settings.connect === null ? [] : [`CONNECT=${quoted(settings.connect)}`]),
    `gwswitch() { ${settings.program.map(quoted).join(' ')} "$@"; }`,
    '',
    common,
    own,
  ].join('\n')
  return `#!/bin/sh\n# gwswitch hook ${kind} sha256 ${digest(body)}\n${body}`
}

/** What a file that may be a hook of ours says of itself. */
export interface WrittenHook {
  readonly kind: HookKind
  /** As it was written, by whatever version. */
  readonly untouched: boolean
  /** Null where somebody changed them into what cannot be read. */
  readonly settings: HookSettings | null
}

/** Undefined for what is no hook of ours. */
export function readHook(text: string): WrittenHook | undefined {
  const [, name, written, body] =
    /^#!\/bin\/sh\n# gwswitch hook (\S+) sha256 ([0-9a-f]{64})\n([\s\S]*)$/.exec(text) ?? []
  const kind = HOOK_KINDS.find((each) => each === name)
  if (kind === undefined || body === undefined) return undefined
  return {kind, untouched: digest(body) === written, settings: settingsOf(kind, body)}
}

function settingsOf(kind: HookKind, body: string): HookSettings | null {
  const value = (name: string): string | undefined => wordsOf(new RegExp(`^${name}=(.*)$`, 'm').exec(body)?.[1])?.[0]
  const program = wordsOf(/^gwswitch\(\) \{ (.*) "\$@"; \}$/m.exec(body)?.[1])
  const [site, socket, inventory, connect] = ['SITE', 'SOCKET', 'INVENTORY', 'CONNECT'].map(value)
  if (!site || !socket || inventory === undefined || program === undefined) return null
  if (kind === 'libvirt' && !connect) return null
  return {site, socket, inventory: inventory || null, connect: connect ?? null, program}
}

/** Lines of one text that the other has not, the first few: what was changed. */
export function differences(found: string, meant: string, limit = 6): string[] {
  const lines = (text: string): string[] =>
    text.split('\n').filter((line) => !/^# gwswitch hook \S+ sha256 /.test(line))
  const lacking = (all: readonly string[], others: readonly string[]): string[] => {
    const known = new Set(others)
    return all.filter((line) => line.trim() !== '' && !known.has(line))
  }
  const [there, wanted] = [lines(found), lines(meant)]
  const all = [
    ...lacking(there, wanted).map((line) => `it has    ${line.trim()}`),
    ...lacking(wanted, there).map((line) => `it lacks  ${line.trim()}`),
  ]
  if (all.length > limit) return [...all.slice(0, limit - 1), `and ${all.length - limit + 1} lines more`]
  return all.length === 0 ? ['the order of its lines, or empty ones'] : all
}

const digest = (body: string): string => createHash('sha256').update(body).digest('hex')

/** A word of the shell; what it may hold is checked where it comes from. */
const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`

/** The words of a line of single-quoted ones; undefined if it is none. */
function wordsOf(line: string | undefined): string[] | undefined {
  if (line === undefined || !/^(?:'(?:[^']|'\\'')*'(?: |$))+$/.test(line)) return undefined
  return [...line.matchAll(/'((?:[^']|'\\'')*)'(?: |$)/g)].map(([, word]) => word!.replaceAll(`'\\''`, "'"))
}
