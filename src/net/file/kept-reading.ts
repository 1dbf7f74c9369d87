// What a file was found to say, kept for the next start: to read and check an inventory again takes longer than to start
// Node. Only ever a shortcut: whatever is wrong with it, the file is read.
import {lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {homedir} from 'node:os'
import {join} from 'node:path'
import {deserialize, serialize} from 'node:v8'
import type {NamedText} from './inventory-file.ts'

/** Of what this program was made; set by scripts/bundle.mjs. What another one made of a text is not taken. */
declare const GWSWITCH_BUILD: string | undefined

export interface KeptReadings {
  /** A folder of our own; made if it is not there. */
  readonly folder: string
  /** Of the program; undefined: nothing is kept. */
  readonly build: string | undefined
  /** Nothing new is kept: a dry run touches nothing. */
  readonly readOnly?: boolean
}

/** Beside Node's compile cache (bin/run.js), and trusted as that is. */
export const usualReadings = (): KeptReadings => ({
  folder: join(process.env.XDG_CACHE_HOME || join(process.env.HOME || homedir(), '.cache'), 'gwswitch', 'inventories'),
  build: typeof GWSWITCH_BUILD === 'undefined' ? undefined : GWSWITCH_BUILD,
})

/** Files that are kept, the newest. */
const MOST = 8

/** What was made of a file and of those that it draws in. */
export interface Reading<T, Draws> {
  readonly value: T
  /** Which others it draws in, for `drawn`. */
  readonly draws: Draws
  /** What was there then. */
  readonly texts: readonly NamedText[]
}

interface Kept {
  /** What it was made of, by whom. */
  readonly of: string
  readonly reading: Reading<unknown, unknown>
}

/**
 * What `read` makes of the text of the file at `path`, or what it made at an earlier start of the very same text and the
 * very same texts of the files that it draws in, which `drawn` reads. What it throws is not kept.
 */
export async function keptReading<T, Draws>(
  {path, text}: NamedText,
  read: () => Promise<Reading<T, Draws>>,
  drawn: (draws: Draws) => readonly NamedText[],
  {folder, build, readOnly = false}: KeptReadings,
): Promise<T> {
  if (build === undefined) return (await read()).value
  const of = `${build} ${process.version} ${path}\n${text}`
  const place = join(folder, encodeURIComponent(path))
  const kept = load(place, folder)
  if (kept?.of === of && isSame(kept.reading as Reading<T, Draws>, drawn)) return kept.reading.value as T
  const reading = await read()
  if (!readOnly) keep(place, folder, {of, reading})
  return reading.value
}

/** Whether all that was drawn in is there, as it was. What cannot be read is not the same: whoever reads it says why. */
const isSame = <T, Draws>({draws, texts}: Reading<T, Draws>, drawn: (draws: Draws) => readonly NamedText[]): boolean =>
  tried(() => {
    const now = drawn(draws)
    return (
      now.length === texts.length && now.every(({path, text}, i) => path === texts[i]?.path && text === texts[i].text)
    )
  }) === true

/** Undefined for what is not there, not ours alone, or damaged. */
const load = (place: string, folder: string): Kept | undefined =>
  tried(() => {
    if (!isOurs(folder)) return undefined
    return deserialize(readFileSync(place)) as Kept
  })

function keep(place: string, folder: string, kept: Kept): void {
  const beside = `${place}.${process.pid}`
  tried(() => {
    mkdirSync(folder, {recursive: true, mode: 0o700})
    if (!isOurs(folder)) return
    writeFileSync(beside, serialize(kept), {mode: 0o600, flag: 'wx'})
    renameSync(beside, place)
    forgetOldest(folder)
  })
  tried(() => rmSync(beside, {force: true}))
}

/** Undefined where it fails, for whatever reason: the file is read then. */
function tried<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

/** Nobody else can write there. */
function isOurs(folder: string): boolean {
  const stat = lstatSync(folder)
  return stat.isDirectory() && stat.uid === process.geteuid?.() && (stat.mode & 0o022) === 0
}

function forgetOldest(folder: string): void {
  const files = readdirSync(folder).map((name) => join(folder, name))
  if (files.length <= MOST) return
  const aged = files.map((path) => ({path, at: statSync(path, {throwIfNoEntry: false})?.mtimeMs ?? 0}))
  aged.sort((a, b) => b.at - a.at)
  for (const {path} of aged.slice(MOST)) rmSync(path, {force: true})
}
