// What a running dnsmasq was configured with: its command line, and the files that it names.
import {readdirSync} from 'node:fs'
import {join} from 'node:path'
import {textIfReadable} from '../file/text-file.ts'

/** Read where no other file is named (dnsmasq(8)). */
const DEFAULT_FILE = '/etc/dnsmasq.conf'
/** Files that include each other. */
const DEEPEST = 8

/** A line of dnsmasq's files without what it leaves out: `#` begins a comment where a space is before it. */
export const withoutComment = (line: string): string => line.replace(/\s#.*$/, '')

/**
 * Every `KEY=VALUE` for one of `keys`, the value alone, in the order in which dnsmasq reads them, as far as we may read
 * what it read. Files are looked for where the process sees them (proc_pid_root(5)).
 */
export function dnsmasqSettings(pid: number, keys: readonly string[]): string[] {
  const words = (textIfReadable(`/proc/${pid}/cmdline`) ?? '').split('\0').slice(1)
  const found: string[] = []
  const take = (key: string, value: string, depth: number): void => {
    if (keys.includes(key)) found.push(value)
    else if (key === 'conf-file') readFile(value, depth + 1)
    else if (key === 'conf-dir') for (const file of filesIn(pid, value)) readFile(file, depth + 1)
  }
  const readFile = (path: string, depth: number): void => {
    if (depth > DEEPEST) return
    for (const line of (textIfReadable(`/proc/${pid}/root${path}`) ?? '').split('\n')) {
      const [, key, value] = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(withoutComment(line)) ?? []
      if (key !== undefined) take(key, value!, depth)
    }
  }
  const given = words.flatMap((word, i) => argument(word, words[i + 1]))
  if (!given.some(([key]) => key === 'conf-file')) readFile(DEFAULT_FILE, 0)
  for (const [key, value] of given) take(key, value, 0)
  return found
}

const SHORT: Readonly<Record<string, string>> = {C: 'conf-file', '7': 'conf-dir', O: 'dhcp-option'}

/** `--key=value`, `-C value`, `-Cvalue`, by the long name. */
function argument(word: string, next: string | undefined): [string, string][] {
  const [, long, value] = /^--([\w-]+)(?:=(.*))?$/s.exec(word) ?? []
  if (long !== undefined) return value === undefined && next === undefined ? [] : [[long, value ?? next!]]
  const key = word.startsWith('-') ? SHORT[word[1] ?? ''] : undefined
  if (key === undefined) return []
  const attached = word.slice(2)
  return attached === '' && next === undefined ? [] : [[key, attached === '' ? next! : attached]]
}

/** `DIR`, `DIR,.bak,...` (endings that are left out), or `DIR,*.conf` (those that are taken). */
function filesIn(pid: number, value: string): string[] {
  const [folder = '', ...endings] = value.split(',')
  const taken = endings.filter((ending) => ending.startsWith('*')).map((ending) => ending.slice(1))
  const left = endings.filter((ending) => !ending.startsWith('*'))
  try {
    return readdirSync(`/proc/${pid}/root${folder}`)
      .filter((name) => !/^[.#]|~$/.test(name) && !left.some((ending) => name.endsWith(ending)))
      .filter((name) => taken.length === 0 || taken.some((ending) => name.endsWith(ending)))
      .sort()
      .map((name) => join(folder, name))
  } catch {
    return []
  }
}
