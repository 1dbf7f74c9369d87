// `gwswitch inventory import`: VMs of a platform as `vms:` of an inventory.
import {stringify} from 'yaml'
import {type Imported, type ImportOrder, importGuests, readAddresses} from '../../domain/import/guest.ts'
import type {Inventory} from '../../domain/inventory/site.ts'
import {usage} from '../../errors.ts'
import {readNamed} from '../../net/file/text-file.ts'
import {readMac} from '../../wire/address.ts'

export const IMPORT_KINDS = ['libvirt', 'kubevirt'] as const
export type ImportKind = (typeof IMPORT_KINDS)[number]

export interface ImportFlags {
  readonly kind: ImportKind
  /** Files; empty: standard input. */
  readonly files: readonly string[]
  /** `NETWORK=SEGMENT`. */
  readonly networks: readonly string[]
  readonly segment: string | undefined
  readonly site: string | undefined
  /** Files of MACs and addresses. */
  readonly addresses: readonly string[]
}

/** @throws Failure `usage` for a file that cannot be read or is none of its kind, and for names that the inventory does not have. */
export async function importVms(
  flags: ImportFlags,
  inventory: Inventory,
  stdin: () => Promise<string>,
): Promise<Imported & {readonly yaml: string}> {
  const read =
    flags.kind === 'libvirt'
      ? (await import('../../domain/import/libvirt.ts')).readLibvirt
      : (await import('../../domain/import/kubevirt.ts')).readKubevirt
  const want = `want what ${flags.kind === 'libvirt' ? 'virsh dumpxml' : 'kubectl get vmi -A -o json'} prints`
  const guests =
    flags.files.length === 0
      ? read(await stdin(), 'standard input')
      : flags.files.flatMap((file) => read(readNamed(file, want), file))
  const imported = importGuests(guests, inventory, orderOf(flags))
  return {...imported, yaml: stringify({vms: imported.vms}, {lineWidth: 0})}
}

function orderOf({networks, segment, site, addresses}: ImportFlags): ImportOrder {
  const pairs = networks.map((text) => {
    const at = text.lastIndexOf('=')
    if (at <= 0 || at === text.length - 1) throw usage(`--network ${text} is not NETWORK=SEGMENT`)
    return [text.slice(0, at), text.slice(at + 1)] as const
  })
  const texts = addresses.map((file) => readNamed(file, 'want lines with a MAC and an address each'))
  return {networks: new Map(pairs), segment, site, addresses: readAddresses(texts.join('\n'), readMac)}
}
