// What readers of events share: looking into JSON of other programs, and remembering a bounded number of their VMs.
import {type Mac, readMac} from '../../wire/address.ts'
import type {Movement, MovementKind} from './movement.ts'

/** What lies at a path of keys; undefined where one of them is not there. */
export function at(value: unknown, ...keys: readonly string[]): unknown {
  let here = value
  for (const key of keys) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, key)) return undefined
    here = (here as Readonly<Record<string, unknown>>)[key]
  }
  return here
}

/** The same where it is text, and not an empty one; null otherwise. */
export function textAt(value: unknown, ...keys: readonly string[]): string | null {
  const found = at(value, ...keys)
  return typeof found === 'string' && found !== '' ? found : null
}

/** The same where it is a list; an empty one otherwise. */
export function listAt(value: unknown, ...keys: readonly string[]): readonly unknown[] {
  const found = at(value, ...keys)
  return Array.isArray(found) ? found : []
}

/** The same where it is a MAC; null otherwise. */
export function macAt(value: unknown, ...keys: readonly string[]): Mac | null {
  return readMac(textAt(value, ...keys) ?? '') ?? null
}

/** A time of RFC 3339, or with a space for the `T`; UTC where it names no zone. ms since the epoch, null for none. */
export function timeMs(text: string | null): number | null {
  const parts = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(Z|[+-]\d\d:?\d\d)?$/.exec(text ?? '')
  if (!parts) return null
  const zone = (parts[3] ?? 'Z').replace(/^([+-]\d\d)(\d\d)$/, '$1:$2')
  const ms = Date.parse(`${parts[1]}T${parts[2]}${zone}`)
  return Number.isNaN(ms) ? null : ms
}

/** What an event says of a VM. */
interface News {
  readonly vm: string | null
  readonly host?: string | null
  readonly atMs: number | null
  readonly source: string
}

/** News of each of a VM's interfaces; of the VM by its name where none is known. Nothing where it has no name either. */
export function movements(kind: MovementKind, macs: readonly Mac[], {vm, host, atMs, source}: News): Movement[] {
  const known = [...new Set(macs)]
  const whom: readonly (Mac | null)[] = known.length > 0 ? known : vm === null ? [] : [null]
  return whom.map((mac) => ({kind, mac, vm, host: host ?? null, atMs, source, port: null}))
}

/** More VMs than any one of these platforms has; whoever was not heard of for longest is forgotten. */
const REMEMBERED = 65_536

/** Sets the value of a VM, as the one heard of last. */
export function remember<T>(of: Map<string, T>, vm: string, value: T): void {
  of.delete(vm)
  of.set(vm, value)
  if (of.size > REMEMBERED) of.delete(of.keys().next().value!)
}
