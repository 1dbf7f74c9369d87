// Incus' lifecycle events, of `incus monitor --type=lifecycle --format=json` (LXD's have the same form).
//
// `instance-migrated` comes from the member that sent the instance, when it has gone. Where it went to, Incus does not
// say, nor does that member where the instance was running all the while (internal/server/instance/drivers/driver_qemu.go,
// MigrateSend and start): of a live migration this tells that it left. One that is started or resumed at another member
// than it was heard of at has arrived there.
import {documents} from './documents.ts'
import {movements, remember, textAt, timeMs} from './foreign.ts'
import type {Movement} from './movement.ts'

const RUNS = ['instance-started', 'instance-resumed', 'instance-restarted']

/** A VM is the instance's name, a host the cluster member's. */
export function incusReader(): (line: string) => readonly Movement[] {
  const document = documents()
  const members = new Map<string, string>()
  return (line) => {
    const value = document(line)
    const action = textAt(value, 'metadata', 'action')
    const vm = textAt(value, 'metadata', 'name') ?? nameIn(textAt(value, 'metadata', 'source'))
    if (textAt(value, 'type') !== 'lifecycle' || action === null || vm === null) return []
    const key = `${textAt(value, 'project') ?? textAt(value, 'metadata', 'project') ?? 'default'}/${vm}`
    const host = textAt(value, 'location')
    const news = {vm, host, atMs: timeMs(textAt(value, 'timestamp')), source: 'incus'}
    const before = members.get(key)
    if (action === 'instance-deleted') members.delete(key)
    else if (host !== null && (action === 'instance-migrated' || RUNS.includes(action))) remember(members, key, host)
    if (action === 'instance-migrated') return movements('left', [], news)
    const elsewhere = before !== undefined && host !== null && before !== host
    return RUNS.includes(action) && elsewhere ? movements('arrived', [], news) : []
  }
}

/** Of `/1.0/instances/NAME?project=...`, where older ones say no name. */
function nameIn(source: string | null): string | null {
  const name = /^\/1\.0\/(?:instances|virtual-machines)\/([^/?]+)(?:\?.*)?$/.exec(source ?? '')?.[1]
  try {
    return name === undefined ? null : decodeURIComponent(name)
  } catch {
    return null
  }
}
