import {Flags} from '@oclif/core'
import {dryRunFlag} from '../../cli/flags.ts'
import {fileFlag, HookCommand, neededKind, settingFlags} from '../../cli/hook-flags.ts'
import type {InstalledHook} from '../../orders/hook/run-hook.ts'

export default class HookInstall extends HookCommand {
  static override summary = 'write the script by which a hypervisor tells that a VM arrives'
  static override description =
    'It holds up no migration: what it does, a process of its own does after it. When the CPU of the VM runs here, it tells gwswitch serve site by its socket; ' +
    'where nobody answers there, it starts gwswitch switch, once. Other hooks stay as they are. docs/hooks.md has each platform.'
  static override examples = [
    {
      description: 'On a libvirt host of site y',
      command: '<%= config.bin %> <%= command.id %> libvirt --site y',
    },
    {
      description: 'On a Proxmox VE node; then, for each VM: qm set VMID --hookscript local:snippets/gwswitch',
      command: '<%= config.bin %> <%= command.id %> proxmox --site y',
    },
    {
      description: 'See what would be written where',
      command: '<%= config.bin %> <%= command.id %> xcp-ng --site y --dry-run',
    },
  ]
  static override args = {kind: neededKind}
  static override flags = {
    ...settingFlags,
    file: fileFlag,
    force: Flags.boolean({summary: 'write it anew though it was changed by hand'}),
    'dry-run': dryRunFlag,
  }

  async run(): Promise<InstalledHook> {
    const {args, flags} = await this.parse(HookInstall)
    const {installHook} = await import('../../orders/hook/run-hook.ts')
    const {installedLines} = await import('../../orders/hook/hook-lines.ts')
    const {file, force} = flags
    const order = {kind: args.kind, file, packaged: this.packaged, force, dryRun: flags['dry-run']}
    const document = await installHook(order, await this.settings(args.kind, flags))
    for (const warning of document.warnings) this.caution(warning)
    for (const line of installedLines(document)) this.log(line)
    return document
  }
}
