import {Flags} from '@oclif/core'
import {dryRunFlag} from '../../cli/flags.ts'
import {fileFlag, HookCommand, neededKind} from '../../cli/hook-flags.ts'
import type {InstalledHook} from '../../orders/hook/run-hook.ts'

export default class HookRemove extends HookCommand {
  static override summary = 'take away the script that hook install wrote, if it is as it was written'
  static override description =
    'What was changed since stays, and what differs is said; another hook stays in any case. A process that waits for a VM now still does what it is there for.'
  static override examples = ['<%= config.bin %> <%= command.id %> libvirt']
  static override args = {kind: neededKind}
  static override flags = {
    file: fileFlag,
    force: Flags.boolean({summary: 'also one that was changed, or that VMs of Proxmox VE name'}),
    'dry-run': dryRunFlag,
  }

  async run(): Promise<InstalledHook> {
    const {args, flags} = await this.parse(HookRemove)
    const {removeHook} = await import('../../orders/hook/run-hook.ts')
    const {installedLines} = await import('../../orders/hook/hook-lines.ts')
    const {file, force} = flags
    const document = await removeHook({kind: args.kind, file, packaged: this.packaged, force, dryRun: flags['dry-run']})
    for (const line of installedLines(document)) this.log(line)
    return document
  }
}
