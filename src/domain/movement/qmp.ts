// QEMU's monitor (docs/interop/qmp-spec): events RESUME, STOP and MIGRATION, and what it answers to `query-status`,
// `query-name` and `query-rx-filter`, which tell who the VM is and whether it waits for its memory.
//
// RESUME also follows a pause, and a migration from here that failed: only where a VM came in has it arrived.
// MIGRATION events come where the migration capability `events` is on, as libvirt sets it.
import type {Mac} from '../../wire/address.ts'
import {documents} from './documents.ts'
import {at, macAt, movements, textAt} from './foreign.ts'
import type {Movement, MovementKind} from './movement.ts'

interface Standing {
  /** What it is called by its command line (`-name`). */
  readonly vm: string | null
  readonly macs: readonly Mac[]
  /** It waits here for its memory. */
  readonly waiting: boolean
  /** It ran here before. */
  readonly ran: boolean
  /** Which way it is moving; null where that is not known. */
  readonly migration: 'in' | 'out' | null
}

/** Of one monitor, hence of one VM. */
export function qmpReader(): (line: string) => readonly Movement[] {
  const document = documents()
  let standing: Standing = {vm: null, macs: [], waiting: false, ran: false, migration: null}
  return (line) => {
    const value = document(line)
    const event = textAt(value, 'event')
    if (event === null) {
      standing = told(standing, at(value, 'return'))
      return []
    }
    const {kind, ...next} = step(standing, event, textAt(value, 'data', 'status'))
    standing = next
    return kind === undefined
      ? []
      : movements(kind, next.macs, {vm: next.vm, atMs: eventMs(at(value, 'timestamp')), source: 'qmp'})
  }
}

function told(before: Standing, answer: unknown): Standing {
  const status = textAt(answer, 'status')
  const macs = (Array.isArray(answer) ? answer : []).flatMap((filter) => macAt(filter, 'main-mac') ?? [])
  return {
    ...before,
    ...{vm: textAt(answer, 'name') ?? before.vm, macs: macs.length > 0 ? macs : before.macs},
    ...(status === 'inmigrate' ? {waiting: true, migration: 'in'} : {}),
    ran: before.ran || status === 'running',
  }
}

function step(before: Standing, event: string, status: string | null): Standing & {readonly kind?: MovementKind} {
  if (event === 'RESUME')
    return {...before, waiting: false, ran: true, ...(before.waiting ? {kind: 'arrived' as const} : {})}
  if (event === 'STOP') return {...before, waiting: false, ran: true}
  if (event !== 'MIGRATION') return before
  switch (status) {
    case 'active':
    case 'setup':
      if (status === 'active' && before.migration !== null) return before
      // What never ran here comes here, whether or not anybody asked.
      return before.ran ? {...before, migration: 'out'} : {...before, waiting: true, migration: 'in'}
    case 'failed':
    case 'cancelled':
      return {...before, waiting: false, migration: null, kind: 'cancelled'}
    case 'completed':
      // All memory is here: before it runs, or after with post-copy. RESUME tells when.
      if (before.migration === 'in' || !before.ran) return {...before, migration: null}
      return {...before, ran: false, migration: null, kind: 'left'}
    default:
      return before
  }
}

/** `{"seconds": 1401385907, "microseconds": 422329}`; -1 where QEMU does not know. */
function eventMs(timestamp: unknown): number | null {
  const seconds = at(timestamp, 'seconds')
  const microseconds = at(timestamp, 'microseconds')
  if (typeof seconds !== 'number' || typeof microseconds !== 'number' || seconds < 0) return null
  return seconds * 1000 + Math.floor(microseconds / 1000)
}
