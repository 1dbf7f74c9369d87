// VirtualMachineInstances as `kubectl get vmi -A -w -o json` gives them, with `--output-watch-events` or without.
//
// A VM runs at the target node from `status.migrationState.targetNodeDomainReadyTimestamp` on: virt-handler there sets it,
// for network plugins that move addresses (KubeVirt, pkg/virt-handler/migration-target.go). What the state was when a VM
// is seen first is no news.
import type {Mac} from '../../wire/address.ts'
import {documents} from './documents.ts'
import {at, listAt, macAt, movements, remember, textAt, timeMs} from './foreign.ts'
import type {Movement, MovementKind} from './movement.ts'

/** As much of a migration as news are made of. */
interface Migration {
  readonly uid: string | null
  readonly readyAt: string | null
  readonly failed: boolean
}

/** A VM is `NAMESPACE/NAME`; one piece of news for each of its MACs. */
export function kubevirtReader(): (line: string) => readonly Movement[] {
  const document = documents()
  const seen = new Map<string, Migration>()
  return (line) => {
    const value = document(line)
    const items = textAt(value, 'kind')?.endsWith('List') ? listAt(value, 'items') : [value]
    return items.flatMap((item) => {
      const change = textAt(item, 'type')
      return instance(seen, change === null ? item : at(item, 'object'), change === 'DELETED')
    })
  }
}

function instance(seen: Map<string, Migration>, vmi: unknown, deleted: boolean): Movement[] {
  const name = textAt(vmi, 'metadata', 'name')
  if (textAt(vmi, 'kind') !== 'VirtualMachineInstance' || name === null) return []
  const vm = `${textAt(vmi, 'metadata', 'namespace') ?? 'default'}/${name}`
  const key = textAt(vmi, 'metadata', 'uid') ?? vm
  const state = at(vmi, 'status', 'migrationState')
  const now: Migration = {
    uid: textAt(state, 'migrationUid'),
    readyAt: textAt(state, 'targetNodeDomainReadyTimestamp'),
    failed: at(state, 'failed') === true,
  }
  const before = seen.get(key)
  if (deleted) seen.delete(key)
  else remember(seen, key, now)
  if (before === undefined || deleted) return []
  const macs = listAt(vmi, 'status', 'interfaces').flatMap((nic) => macAt(nic, 'mac') ?? [])
  const tell = (kind: MovementKind, host: string | null, atMs: number | null): Movement[] =>
    movements(kind, macs as readonly Mac[], {vm, host, atMs, source: 'kubevirt'})
  const target = textAt(state, 'targetNode')
  if (now.readyAt !== null && now.readyAt !== before.readyAt) {
    const atMs = timeMs(now.readyAt)
    const source = textAt(state, 'sourceNode')
    return [...tell('arrived', target, atMs), ...(source === null ? [] : tell('left', source, atMs))]
  }
  // One that fails after the VM runs at the target does not bring it back.
  if (now.failed && now.readyAt === null && !(before.failed && before.uid === now.uid))
    return tell('cancelled', target, timeMs(textAt(state, 'endTimestamp')))
  return []
}
