// `gwswitch hook`: writes the script that a platform calls, takes it away, and says how it is.
import {join} from 'node:path'
import {type Inventory, neededSite} from '../../domain/inventory/site.ts'
import {usage} from '../../errors.ts'
import {replaceFile} from '../../net/file/replace-file.ts'
import {fileFacts, makeFolderOf, readNamed, removeFile} from '../../net/file/text-file.ts'
import {tryCommand} from '../../net/process/command.ts'
import {type HookParts, type HookSettings, hookText} from './hook-text.ts'
import {HOOK_KINDS, HOOK_PLACES, type HookKind, LIBVIRT_HOOK, libvirtFile} from './kinds.ts'
import {
  daemonAdvice,
  type FoundHook,
  findHook,
  type HookRow,
  isAsMeant,
  lastCalledMs,
  lookAtHook,
  proxmoxUsers,
} from './look.ts'

interface HookDocumentBase {
  readonly schema: 'gwswitch.hook/1'
}

export interface InstalledHook extends HookDocumentBase {
  readonly action: 'install' | 'print' | 'remove'
  readonly dryRun: boolean
  readonly kind: HookKind
  readonly file: string
  /** `kept`: it was so already. */
  readonly done: 'written' | 'removed' | 'kept' | 'shown'
  readonly settings: HookSettings | null
  /** The script; null where it is removed. */
  readonly text: string | null
  readonly warnings: readonly string[]
  readonly next: readonly string[]
}

export interface HookStatus extends HookDocumentBase {
  readonly action: 'status'
  readonly exitCode: 0 | 10
  readonly hooks: readonly HookRow[]
}

export interface HookOrder {
  readonly kind: HookKind
  /** Undefined: the platform's own place. */
  readonly file: string | undefined
  /** Folder of the scripts that gwswitch comes with. */
  readonly packaged: string
  readonly force: boolean
  readonly dryRun: boolean
}

/** Longest path of a unix socket (unix(7): sun_path, with its end). */
const SOCKET_BYTES = 107
/** Also what socat(1) reads as one word. */
const PLAIN_PATH = /^\/[\w./+@-]+$/

/** @throws Failure `usage` for what no script can be written of. `inventory`: whether it knows the site is looked up there. */
export function checkSettings(settings: HookSettings, inventory: Inventory | undefined): HookSettings {
  if (!/^[\w.][\w.-]*$/.test(settings.site)) throw usage(`--site ${settings.site} is no name of a site`)
  if (inventory) neededSite(inventory, settings.site)
  if (!PLAIN_PATH.test(settings.socket) || Buffer.byteLength(settings.socket) > SOCKET_BYTES)
    throw usage(
      `--socket ${settings.socket}: want an absolute path of at most ${SOCKET_BYTES} bytes, letters, digits and ./+@-_`,
    )
  for (const word of [settings.inventory ?? '', settings.connect ?? '', ...settings.program])
    if (/\p{Cc}/u.test(word)) throw usage(`${JSON.stringify(word)}: has control characters`)
  return settings
}

const partsOf = (kind: HookKind, packaged: string): HookParts => {
  const part = (name: string): string =>
    readNamed(join(packaged, `${name}.sh`), 'want the scripts that gwswitch comes with')
  return {common: part('common'), own: part(kind)}
}

/** What a host has of libvirt, as its daemon says; undefined if nothing. By sh(1), to which a program that is missing is a code. */
async function libvirtVersion(): Promise<string | undefined> {
  for (const daemon of ['virtqemud', 'libvirtd']) {
    const {stdout, code} = await tryCommand('sh', ['-c', `exec ${daemon} --version`])
    if (code === 0) return stdout
  }
  return undefined
}

const placeOf = async (kind: HookKind, file: string | undefined): Promise<string> =>
  file ?? (kind === 'libvirt' ? libvirtFile(await libvirtVersion()) : HOOK_PLACES[kind].file)

export async function printHook(order: HookOrder, settings: HookSettings): Promise<InstalledHook> {
  const {kind, packaged} = order
  const file = await placeOf(kind, order.file)
  const text = hookText(kind, settings, partsOf(kind, packaged))
  const next = HOOK_PLACES[kind].next(file)
  return {
    schema: 'gwswitch.hook/1',
    action: 'print',
    dryRun: true,
    kind,
    file,
    done: 'shown',
    settings,
    text,
    warnings: [],
    next,
  }
}

/** @throws Failure `usage` where another hook lies there, or ours, changed, without --force; `privilege`, `runtime`. */
export async function installHook(order: HookOrder, settings: HookSettings): Promise<InstalledHook> {
  const {kind, packaged, dryRun} = order
  const parts = partsOf(kind, packaged)
  const file = await placeOf(kind, order.file)
  const text = hookText(kind, settings, parts)
  const found = findHook(kind, file, parts)
  if (found.state === 'foreign') throw usage(`${file}: is another hook, and stays${instead(file)}`)
  refuseChanged(found, order, 'write it anew')
  const isThere = found.state === 'current' && JSON.stringify(found.settings) === JSON.stringify(settings)
  const kept = isThere && fileFacts(file)?.executable === true
  if (!dryRun && !kept) {
    makeFolderOf(file, 0o755)
    replaceFile(file, text, {mode: 0o755})
  }
  const {platform, next} = HOOK_PLACES[kind]
  return {
    ...{schema: 'gwswitch.hook/1', action: 'install', dryRun, kind, file, settings, text},
    done: kept ? 'kept' : 'written',
    warnings: [
      ...(platform === undefined || fileFacts(platform)
        ? []
        : [`there is no ${platform} here: is this a host of ${kind}?`]),
      ...(kind === 'libvirt' && fileFacts(HOOK_PLACES.ovirt.platform!)
        ? ['VDSM has libvirt in its hands here: hook install ovirt is for that']
        : []),
    ],
    next: [...next(file), ...(kind === 'libvirt' && !dryRun ? daemonAdvice(lastCalledMs(kind)) : [])],
  }
}

const instead = (file: string): string =>
  file === LIBVIRT_HOOK
    ? ': this libvirt knows no other file; install with --file /etc/libvirt/gwswitch-hook, and call that from it with the same arguments and input'
    : ': give another --file'

function refuseChanged({kind, file, state, differences}: FoundHook, {force}: HookOrder, what: string): void {
  if (state !== 'changed' || force) return
  throw usage(
    `${file}: was changed since gwswitch hook install ${kind} wrote it: ${differences.join('; ')} (--force: ${what})`,
  )
}

/** @throws Failure `usage` for what is not as gwswitch wrote it, and while VMs of Proxmox name it. */
export async function removeHook(order: HookOrder): Promise<InstalledHook> {
  const {kind, packaged, dryRun, force} = order
  const file = await placeOf(kind, order.file)
  const found = findHook(kind, file, partsOf(kind, packaged))
  if (found.state === 'foreign') throw usage(`${file}: is no hook of gwswitch, and stays`)
  refuseChanged(found, order, 'remove it all the same')
  const users = kind === 'proxmox' && found.state !== 'absent' ? proxmoxUsers(file) : []
  if (users.length > 0 && !force)
    throw usage(
      `${file}: VMs name it, and would not start without it: ${users.join(', ')} (for each: qm set VMID --delete hookscript)`,
    )
  if (!dryRun) removeFile(file)
  return {
    ...{schema: 'gwswitch.hook/1', action: 'remove', dryRun, kind, file, settings: found.settings, text: null},
    ...{done: found.state === 'absent' ? 'kept' : 'removed', warnings: [], next: []},
  }
}

/** Of one kind, or of all. Exit code 10 where the one is not as it is meant, or, of all, one that is there, or where none is. */
export async function hookStatus(
  kind: HookKind | undefined,
  order: Pick<HookOrder, 'file' | 'packaged'>,
): Promise<HookStatus> {
  const kinds = kind === undefined ? HOOK_KINDS : [kind]
  const rows = kinds.map(async (each) =>
    lookAtHook(each, await placeOf(each, order.file), partsOf(each, order.packaged)),
  )
  const hooks = await Promise.all(rows)
  const judged = kind === undefined ? hooks.filter(({state}) => !['absent', 'foreign'].includes(state)) : hooks
  const exitCode = judged.length > 0 && judged.every(isAsMeant) ? 0 : 10
  return {schema: 'gwswitch.hook/1', action: 'status', exitCode, hooks}
}
