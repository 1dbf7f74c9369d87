// What virsh(1) prints of lifecycle events: `virsh event --event lifecycle --loop --timestamp`, or `--all`.
//
// A VM runs at the destination from `Resumed Migrated` on, with post-copy from `Resumed Post-copy` on. The source may say
// `Resumed Migrated` too, of a VM that it had suspended for a migration that then failed (libvirt, src/qemu/qemu_domain.c,
// qemuDomainRunningReasonToResumeEvent): which of them it is, the lines before tell.
import {movements, remember, timeMs} from './foreign.ts'
import type {Movement, MovementKind} from './movement.ts'

/** Where a domain is between two lines: it waits here for its memory, stands still while that goes away, or is here. */
type Standing = 'incoming' | 'leaving' | 'arrived'

const LINE = /^(?:(\d{4}-\d\d-\d\d \S+): )?event 'lifecycle' for domain (.+): (.+)$/

/** Lines of one connection; English ones (`LC_ALL=C`). The domain is its name; there is no MAC in them, and no host. */
export function libvirtReader(): (line: string) => readonly Movement[] {
  const standings = new Map<string, Standing>()
  return (line) => {
    const [, at, named, detail] = LINE.exec(line.trimEnd()) ?? []
    if (named === undefined || detail === undefined) return []
    // Before libvirt 7 the name was not quoted.
    const vm = /^'(.+)'$/.exec(named)?.[1] ?? named
    const {kind, standing} = step(standings.get(vm), detail)
    if (standing === undefined) standings.delete(vm)
    else remember(standings, vm, standing)
    return kind === undefined ? [] : movements(kind, [], {vm, atMs: timeMs(at ?? null), source: 'libvirt'})
  }
}

interface Step {
  readonly kind?: MovementKind
  readonly standing: Standing | undefined
}

function step(before: Standing | undefined, detail: string): Step {
  // Whatever makes it go on at the source: QEMU says `Unpaused` when it does so by itself.
  if (before === 'leaving' && detail.startsWith('Resumed ')) return {kind: 'cancelled', standing: undefined}
  switch (detail) {
    case 'Started Migrated':
      return {standing: 'incoming'}
    case 'Suspended Migrated':
    case 'Suspended Post-copy':
      return {standing: 'leaving'}
    case 'Resumed Post-copy':
      return before === 'arrived' ? {standing: before} : {kind: 'arrived', standing: 'arrived'}
    case 'Resumed Migrated':
      // After post-copy it says so once more.
      return before === 'arrived' ? {standing: undefined} : {kind: 'arrived', standing: undefined}
    case 'Stopped Migrated':
      return {kind: 'left', standing: undefined}
    default:
      if (!detail.startsWith('Stopped ')) return {standing: before}
      return before === 'incoming' ? {kind: 'cancelled', standing: undefined} : {standing: undefined}
  }
}
