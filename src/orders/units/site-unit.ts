// `serve site ... --install`: the unit that starts what was asked for, from any folder.
import {resolve} from 'node:path'
import {siteUnit, type UnitFile} from '../../domain/units.ts'
import {CAP_NET_ADMIN, CAP_NET_RAW, CAPABILITY_NAMES, type Rights} from '../../net/process/confine.ts'

/** Flags whose values are files. */
const FILES = ['--key', '--audit', '--metrics', '--pcap', '--control', '--inventory', '-f']
/** What is about the installation. */
const OURS = ['--install', '--dry-run', '--json']

/**
 * `argv`: what is behind `serve site`. `rights`: what its inventory asks for; undefined where that is not known. `inventory`:
 * the file that was found.
 */
export function siteUnitFor(
  command: readonly string[],
  argv: readonly string[],
  rights: Rights | undefined,
  inventory: string,
): UnitFile {
  const words = argv.filter((word) => !OURS.includes(word)).map((word, i, all) => absolute(word, all[i - 1]))
  const named = words.some((word) => /^(?:-f|--inventory)(?:=|$)/.test(word))
  // One that needs less has them anyhow: the next inventory may want both.
  const capabilities = new Set([CAP_NET_RAW, CAP_NET_ADMIN, ...(rights?.capabilities ?? [])])
  return siteUnit(command, [...words, ...(named ? [] : ['--inventory', resolve(inventory)])], {
    capabilities: [...capabilities].map((each) => CAPABILITY_NAMES[each]!),
    folders: rights?.folders ?? [],
  })
}

/** A file by its whole path, also after `=`. */
function absolute(word: string, before: string | undefined): string {
  const [, flag, file] = /^(--[a-z-]+)=(.*)$/s.exec(word) ?? []
  if (flag !== undefined && file !== undefined && FILES.includes(flag)) return `${flag}=${resolve(file)}`
  return before !== undefined && FILES.includes(before) ? resolve(word) : word
}
