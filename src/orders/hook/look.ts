// How a hook is on this host: whether it lies there, is ours and as it was written, and what it needs to be called.
import {isService} from '../../net/file/pid-file.ts'
import {fileFacts, filesIn, readText, textIfReadable} from '../../net/file/text-file.ts'
import {askLine} from '../../net/stream/unix-request.ts'
import {differences, type HookParts, type HookSettings, hookText, readHook} from './hook-text.ts'
import {type HookKind, LIBVIRT_HOOK, mayNotKnow} from './kinds.ts'

/**
 * `current`: as this gwswitch writes it. `outdated`: as another version wrote it. `changed`: somebody changed it. `foreign`:
 * it is none of ours.
 */
export type HookState = 'absent' | 'current' | 'outdated' | 'changed' | 'foreign'

export interface FoundHook {
  readonly kind: HookKind
  readonly file: string
  readonly state: HookState
  readonly settings: HookSettings | null
  /** What a changed one has, or lacks. */
  readonly differences: readonly string[]
}

export interface HookRow extends FoundHook {
  /** Whether the platform would start it: it is there, and executable. */
  readonly executable: boolean
  /** When it was called last since this host was booted, ISO 8601; null: not yet. */
  readonly calledAt: string | null
  /** Whether the resident service answers, null without settings: without it the hook starts a switch of its own. */
  readonly service: {readonly socket: string; readonly state: 'answers' | 'silent'; readonly detail: string} | null
  /** What is to be done. */
  readonly needs: readonly string[]
}

/** Where hooks write when they were called (packaging/hooks/common.sh). */
const STATE = '/run/gwswitch-hook'
const ANSWER_MS = 2000
/** Of libvirt, each with the file that it writes when it starts. */
const DAEMONS = ['libvirtd', 'virtqemud']

/** @throws Failure `privilege` or `runtime` for a file that cannot be read. */
export function findHook(kind: HookKind, file: string, parts: HookParts): FoundHook {
  const text = readText(file)
  if (text === undefined) return {kind, file, state: 'absent', settings: null, differences: []}
  const hook = readHook(text)
  if (hook?.kind !== kind) return {kind, file, state: 'foreign', settings: null, differences: []}
  const {settings, untouched} = hook
  if (settings === null) return {kind, file, state: 'changed', settings, differences: ['its settings cannot be read']}
  const meant = hookText(kind, settings, parts)
  if (untouched) return {kind, file, state: text === meant ? 'current' : 'outdated', settings, differences: []}
  return {kind, file, state: 'changed', settings, differences: differences(text, meant)}
}

/** Null: not since this host was booted. */
export const lastCalledMs = (kind: HookKind): number | null => fileFacts(`${STATE}/${kind}`)?.changedMs ?? null

export async function lookAtHook(kind: HookKind, file: string, parts: HookParts): Promise<HookRow> {
  const found = findHook(kind, file, parts)
  const executable = fileFacts(file)?.executable ?? false
  const calledMs = lastCalledMs(kind)
  const {settings} = found
  const row = {...found, executable, calledAt: calledMs === null ? null : new Date(calledMs).toISOString()}
  if (settings === null) return {...row, service: null, needs: found.state === 'absent' ? [] : advice(found)}
  const gone = settings.program.filter((word) => word.startsWith('/') && fileFacts(word) === undefined)
  const needs = [
    ...advice(found),
    ...(executable ? [] : [`it is not executable, and is not called: chmod 755 ${file}`]),
    ...gone.map((word) => `${word} is gone, without which it cannot switch by itself: hook install ${kind} again`),
    ...(kind === 'libvirt' ? daemonAdvice(calledMs) : []),
  ]
  return {...row, service: await askService(settings.socket), needs}
}

function advice({kind, state}: FoundHook): string[] {
  if (state === 'outdated') return [`another version of gwswitch wrote it: hook install ${kind} again`]
  if (state === 'changed') return [`it was changed: hook install ${kind} --force writes it anew`]
  return []
}

/** As it is meant to be: exit code 0 of `hook status`. */
export const isAsMeant = ({state, executable, settings}: HookRow): boolean =>
  state === 'current' && executable && (settings?.program.every((word) => fileFacts(word) !== undefined) ?? false)

/** libvirt's daemons that may have to be told that there are hooks. */
export function daemonAdvice(calledMs: number | null): string[] {
  const hooks = [LIBVIRT_HOOK, ...filesIn(`${LIBVIRT_HOOK}.d`)].flatMap((each) => fileFacts(each) ?? [])
  return DAEMONS.filter((name) => mayNotKnow(startedMs(name), hooks, calledMs)).map(
    (name) =>
      `${name} has not called it, and started before there was any hook: systemctl reload ${name} (stops nothing), unless that was done since`,
  )
}

function startedMs(daemon: string): number | undefined {
  const file = `/run/${daemon}.pid`
  const pid = Number(textIfReadable(file)?.trim())
  return pid > 1 && isService(pid, daemon) ? fileFacts(file)?.changedMs : undefined
}

async function askService(socket: string): Promise<HookRow['service']> {
  try {
    await askLine(socket, 'status', 'gwswitch serve site', ANSWER_MS)
    return {socket, state: 'answers', detail: ''}
  } catch (error) {
    return {socket, state: 'silent', detail: (error as Error).message}
  }
}

/** Ids of the VMs of this cluster whose configuration names the hook: they do not start where it is gone (qm(1), hookscript). */
export function proxmoxUsers(file: string, folder = '/etc/pve/nodes'): string[] {
  const name = file.split('/').at(-1)!
  const guests = filesIn(folder).flatMap((node) => ['qemu-server', 'lxc'].flatMap((kind) => filesIn(`${node}/${kind}`)))
  return guests
    .filter((guest) => (textIfReadable(guest) ?? '').split('\n').some((line) => namesHook(line, name)))
    .map((guest) => /(\d+)\.conf$/.exec(guest)?.[1] ?? guest)
    .toSorted((a, b) => Number(a) - Number(b))
}

const namesHook = (line: string, name: string): boolean =>
  line.startsWith('hookscript:') && line.trim().endsWith(`:snippets/${name}`)
