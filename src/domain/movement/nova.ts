// OpenStack Nova's versioned notifications (nova, doc/source/reference/notifications.rst), as oslo.messaging sends them: an
// envelope with the message as text in `oslo.message`, or that message itself.
import type {Mac} from '../../wire/address.ts'
import {documents} from './documents.ts'
import {at, listAt, macAt, movements, textAt, timeMs} from './foreign.ts'
import type {Movement, MovementKind} from './movement.ts'

/** `post_dest`: the destination runs it. A rollback is told by both ends. */
const KINDS: Readonly<Record<string, MovementKind>> = {
  'instance.live_migration_post_dest.end': 'arrived',
  'instance.live_migration_post.end': 'left',
  'instance.live_migration_rollback.end': 'cancelled',
  'instance.live_migration_rollback_dest.end': 'cancelled',
}

/** A VM is its UUID; one piece of news for each of its ports. The host is the one that says so. */
export function novaReader(): (line: string) => readonly Movement[] {
  const document = documents()
  return (line) => {
    const value = document(line)
    const inner = textAt(value, 'oslo.message')
    return notification(inner === null ? value : documents()(inner))
  }
}

function notification(message: unknown): Movement[] {
  const event = textAt(message, 'event_type') ?? ''
  if (!Object.hasOwn(KINDS, event)) return []
  const payload = at(message, 'payload', 'nova_object.data')
  const macs: Mac[] = listAt(payload, 'ip_addresses').flatMap(
    (address) => macAt(address, 'nova_object.data', 'mac') ?? [],
  )
  const host = /^nova-compute:(.+)$/.exec(textAt(message, 'publisher_id') ?? '')?.[1] ?? textAt(payload, 'host')
  const atMs = timeMs(textAt(message, 'timestamp'))
  return movements(KINDS[event]!, macs, {vm: textAt(payload, 'uuid'), host, atMs, source: 'nova'})
}
