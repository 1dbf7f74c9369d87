import {text} from 'node:stream/consumers'
import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {IMPORT_KINDS, type ImportKind} from '../../orders/inventory/import.ts'

interface ImportDocument {
  readonly schema: 'gwswitch.inventory-import/1'
  readonly vms: Readonly<Record<string, unknown>>
  /** What could not be taken, a line each. */
  readonly left: readonly string[]
  readonly file: string | null
  readonly exitCode: number
}

export default class InventoryImport extends BaseCommand {
  static override summary = "write a platform's VMs as vms: for an inventory to include"
  static override description =
    'Reads what "virsh dumpxml" or "kubectl get vmi -A -o json" prints, and writes YAML. The segment of a NIC is that of --network, that with the name of its bridge or network, --segment, or the one that its address lies in. ' +
    'libvirt knows no addresses: --addresses takes any text with a MAC and an address in a line (ip neigh, virsh domifaddr, net-dhcp-leases). What could not be taken is said on stderr.\n\n' +
    'Exit: 0 all NICs were taken, 10 some were not.'
  static override examples = [
    {
      description: 'All domains of a hypervisor, with the addresses that it has heard',
      command:
        'for d in $(virsh list --name); do virsh dumpxml "$d"; done | <%= config.bin %> <%= command.id %> libvirt --addresses <(ip neigh) -o vms/hv1.yaml',
    },
    {
      description: 'KubeVirt, the attachment net-a being tenant-a',
      command: 'kubectl get vmi -A -o json | <%= config.bin %> <%= command.id %> kubevirt --network net-a=tenant-a',
    },
  ]
  static override strict = false
  static override args = {
    kind: Args.string({description: 'platform', ignoreStdin: true, options: [...IMPORT_KINDS], required: true}),
    file: Args.string({description: 'files (default: standard input)', ignoreStdin: true}),
  }
  static override flags = {
    network: Flags.string({
      helpValue: 'NETWORK=SEGMENT',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'the segment of NICs on this bridge, network or attachment; may be repeated',
    }),
    segment: Flags.string({helpValue: 'NAME', summary: 'the segment of all other NICs'}),
    site: Flags.string({helpValue: 'SITE', summary: 'site: of every VM, a hint'}),
    addresses: Flags.string({
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'lines with a MAC and an address each; may be repeated',
    }),
    output: Flags.string({char: 'o', helpValue: 'FILE', summary: 'write into this file, which must not be there yet'}),
    force: Flags.boolean({dependsOn: ['output'], summary: 'write over it'}),
  }

  async run(): Promise<ImportDocument> {
    const {args, argv, flags} = await this.parse(InventoryImport)
    const inventory = await this.neededInventory(flags.inventory)
    const {importVms} = await import('../../orders/inventory/import.ts')
    const {neededSite} = await import('../../domain/inventory/site.ts')
    if (flags.site !== undefined) neededSite(inventory, flags.site)
    const {yaml, vms, left} = await importVms(
      {
        ...{
          kind: args.kind as ImportKind,
          files: (argv as string[]).slice(1),
          segment: flags.segment,
          site: flags.site,
        },
        ...{networks: flags.network ?? [], addresses: flags.addresses ?? []},
      },
      inventory,
      () => text(process.stdin),
    )
    for (const line of left) this.caution(line)
    if (flags.output !== undefined) {
      const {createOrReplace} = await import('../../net/file/replace-file.ts')
      createOrReplace(flags.output, yaml, flags.force)
    } else this.page(yaml)
    process.exitCode = left.length > 0 ? 10 : 0
    return {schema: 'gwswitch.inventory-import/1', vms, left, file: flags.output ?? null, exitCode: process.exitCode}
  }
}
