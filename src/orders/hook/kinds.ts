// The platforms that call hooks: where each looks for them, and what it takes besides.

export const HOOK_KINDS = ['libvirt', 'proxmox', 'xcp-ng', 'ovirt', 'generic'] as const
export type HookKind = (typeof HOOK_KINDS)[number]

export interface HookPlace {
  /** Where it lies unless --file says another place. */
  readonly file: string
  /** Is there wherever the platform is; undefined for none. */
  readonly platform?: string
  /** What is left to do once it lies there. */
  readonly next: (file: string) => readonly string[]
}

export const HOOK_PLACES: Readonly<Record<HookKind, HookPlace>> = {
  libvirt: {file: '/etc/libvirt/hooks/qemu.d/gwswitch', platform: '/etc/libvirt', next: () => []},
  proxmox: {
    file: '/var/lib/vz/snippets/gwswitch',
    platform: '/etc/pve',
    next: (file) => [
      `on every node alike, then for each VM: qm set VMID --hookscript STORAGE:snippets/${file.split('/').at(-1)}`,
    ],
  },
  'xcp-ng': {file: '/etc/xapi.d/vm-post-migrate/gwswitch', platform: '/etc/xapi.d', next: () => []},
  ovirt: {
    file: '/usr/libexec/vdsm/hooks/after_vm_migrate_destination/50_gwswitch',
    platform: '/usr/libexec/vdsm',
    next: () => ['VDSM runs hooks as the user vdsm: let its group open the socket (docs/hooks.md)'],
  },
  generic: {
    file: '/usr/local/sbin/gwswitch-hook',
    next: (file) => [`when its CPU runs here: ${file} arrived VM|MAC [PORT]`],
  },
}

/** The only hook that libvirt knows before 6.5.0, and the first of all since (libvirt.org/hooks.html). */
export const LIBVIRT_HOOK = '/etc/libvirt/hooks/qemu'

/**
 * Where libvirt's hook goes by what `libvirtd --version` says; undefined, or what is no version: a folder of hooks is there
 * since 6.5.0, of July 2020.
 */
export function libvirtFile(version: string | undefined): string {
  const [, major, minor] = /(\d+)\.(\d+)\.\d+/.exec(version ?? '') ?? []
  const isOld = major !== undefined && (Number(major) < 6 || (Number(major) === 6 && Number(minor) < 5))
  return isOld ? LIBVIRT_HOOK : HOOK_PLACES.libvirt.file
}

/** When a file that libvirt may take for a hook last changed, ms since the epoch. */
interface KnownHook {
  readonly changedMs: number
  readonly executable: boolean
}

/**
 * Whether the daemon may not know yet that there are hooks: it looks when it starts, and when it is told to reload (virHookCall
 * in libvirt's virhook.c), and calls all that are there later if it saw one. `calledMs`: when it called ours last; null: never
 * since the host was booted.
 */
export const mayNotKnow = (
  daemonStartedMs: number | undefined,
  hooks: readonly KnownHook[],
  calledMs: number | null,
): boolean =>
  daemonStartedMs !== undefined &&
  !(calledMs !== null && calledMs >= daemonStartedMs) &&
  !hooks.some(({changedMs, executable}) => executable && changedMs < daemonStartedMs)
