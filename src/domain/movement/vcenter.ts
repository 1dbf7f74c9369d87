// vCenter's events: as `govc events -f -json` prints them, whose record has the event's words alone (govmomi,
// cli/events/command.go; its type only with `-l`), and as events themselves, which pyVmomi and VI/JSON give.
import {documents} from './documents.ts'
import {at, movements, textAt, timeMs} from './foreign.ts'
import type {Movement} from './movement.ts'

const ARRIVED = ['VmMigratedEvent', 'DrsVmMigratedEvent', 'VmRelocatedEvent']
const FAILED = ['VmFailedMigrateEvent', 'VmRelocateFailedEvent']

/** A VM is vCenter's name of it, a host too. vCenter tells of a migration when it has ended. */
export function vcenterReader(): (line: string) => readonly Movement[] {
  const document = documents()
  return (line) => {
    const value = document(line)
    const message = textAt(value, 'message') ?? textAt(value, 'Message')
    const atMs = timeMs(textAt(value, 'createdTime') ?? textAt(value, 'CreatedTime'))
    return at(value, 'vm') === undefined && message !== null ? fromWords(message, atMs) : fromEvent(value, atMs)
  }
}

function fromEvent(event: unknown, atMs: number | null): Movement[] {
  const type = textAt(event, '_typeName') ?? ''
  const vm = textAt(event, 'vm', 'name')
  if (FAILED.includes(type))
    return movements('cancelled', [], {vm, host: textAt(event, 'destHost', 'name'), atMs, source: 'vcenter'})
  if (!ARRIVED.includes(type)) return []
  return moved(vm, textAt(event, 'sourceHost', 'name'), textAt(event, 'host', 'name'), atMs)
}

/** `fullFormat` of VmMigratedEvent and DrsVmMigratedEvent, in English; that of VmRelocatedEvent names no VM. */
const MIGRATED = /^Migration of virtual machine (.+) from ([^\s,]+), [^,]+ to ([^\s,]+), [^,]+ completed$/
const BY_DRS = /^DRS migrated (.+) from (\S+) to (\S+) in cluster /
/** A name has 80 characters at most, a host's 255. */
const MESSAGE_LIMIT = 2000

function fromWords(message: string, atMs: number | null): Movement[] {
  if (message.length > MESSAGE_LIMIT) return []
  const [, vm, from, to] = MIGRATED.exec(message) ?? BY_DRS.exec(message) ?? []
  return vm === undefined ? [] : moved(vm, from ?? null, to ?? null, atMs)
}

/** To another datastore of the same host is nowhere else. */
function moved(vm: string | null, from: string | null, to: string | null, atMs: number | null): Movement[] {
  if (from === to) return []
  const arrived = to === null ? [] : movements('arrived', [], {vm, host: to, atMs, source: 'vcenter'})
  const left = from === null ? [] : movements('left', [], {vm, host: from, atMs, source: 'vcenter'})
  return [...arrived, ...left]
}
